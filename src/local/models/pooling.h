// pooling.h - how the hidden states of a text become one vector, its embedding.
//
// A model trained for embeddings says so in its files: the GGUF key <arch>.pooling_type, or the
// modules of sentence-transformers in a folder (modules.json and the pooling's own config.json).
// Threads: pure functions of an immutable file.
// Source: llama.cpp's enum llama_pooling_type; sentence-transformers' models.Pooling.
#pragma once
#include <stdbool.h>

struct error;
struct model_file;

enum pooling {
    POOLING_NONE,  // no embedding is wanted; of a file: it says nothing
    POOLING_MEAN,  // the mean over all tokens
    POOLING_CLS,   // the first token's
    POOLING_LAST,  // the last token's
};

// "mean", "cls", "last"; NULL, "" and "auto" are POOLING_NONE. False with err (ERR_USAGE) for
// others.
bool pooling_from_name(const char *name, enum pooling *out, struct error *err);
const char *pooling_name(enum pooling p);
// What the file says, POOLING_NONE if nothing. False with err (ERR_UNSUPPORTED, ERR_FORMAT) where
// that is something else than a mean or one token's, or more layers follow.
bool pooling_of(const struct model_file *file, enum pooling *out, struct error *err);
