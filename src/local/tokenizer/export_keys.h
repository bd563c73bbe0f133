// export_keys.h - a folder's tokenizer as the tokenizer.ggml.* keys of a GGUF file.
//
// SentencePiece BPE (tokenizer.model, or a tokenizer.json with byte fallback) becomes model
// "llama", byte-level BPE "gpt2" with the name of its pre-tokenizer. What those keys cannot say
// is refused: Unigram, WordPiece, and pre-tokenizers without a name. User-defined pieces of
// SentencePiece are written, but GGUF readers seek them in the text before it is normalized, so
// white space around them may give other ids.
#pragma once
#include <stdbool.h>

struct error;
struct gguf_writer;
struct model_file;

// n_vocab: rows of the embedding; ids without a piece become unused ones. A folder without a
// tokenizer gives no keys and a warning. False with err.
bool tokenizer_export_keys(const struct model_file *folder, int n_vocab, struct gguf_writer *w,
                           struct error *err);
