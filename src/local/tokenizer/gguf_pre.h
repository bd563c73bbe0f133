// gguf_pre.h - the pre-tokenizers that tokenizer.ggml.pre names.
#pragma once
#include <stdbool.h>

#include "base/slice.h"

struct error;
struct tokenizer;

// Appends its steps; *add_bos where such models begin texts with BOS. False with err
// (ERR_UNSUPPORTED) for a name that is not known: a guess would give wrong ids.
bool gguf_pretokenizer(struct tokenizer *t, struct slice name, bool *add_bos, struct error *err);
