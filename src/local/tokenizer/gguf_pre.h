// gguf_pre.h - the pre-tokenizers that tokenizer.ggml.pre names.
#pragma once
#include <stdbool.h>

#include "base/slice.h"

struct error;
struct tokenizer;

// Appends its steps; *add_bos where such models begin texts with BOS. False with err
// (ERR_UNSUPPORTED) for a name that is not known: a guess would give wrong ids.
bool gguf_pretokenizer(struct tokenizer *t, struct slice name, bool *add_bos, struct error *err);

// The way back: the name of a list of expressions, empty if there is none. whole_words: words that
// are pieces skip the merges; nfc: texts are composed first.
struct slice gguf_pre_name(const char *const *steps, int n, bool whole_words, bool nfc);
extern const char gguf_pre_gpt2[];  // GPT-2's expression
