// gguf_parts.h - a GGUF model in one file, or in several that were split from one.
//
// Large models are published as NAME-00001-of-00003.gguf, NAME-00002-of-00003.gguf ...: any part
// stands for the whole, the others are looked for beside it, and the first holds the keys. Each
// part says its number (from 0), how many there are and how many tensors they hold together;
// nothing of that is believed until all parts agree. Here they become one list of tensors.
// Threads: immutable after open. Names and data of tensors die with gguf_parts_release().
// Source: llama.cpp's gguf-split (keys split.no, split.count, split.tensors.count).
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "local/formats/tensor_index.h"

struct error;
struct file_start;
struct gguf;

enum { GGUF_PARTS_MAX = 1024 };  // real models have some dozens

struct gguf_parts {
    struct gguf **parts;  // the first holds the keys
    size_t n;
    struct model_tensor *tensors;
    size_t n_tensors;
    struct tensor_index index;
};

// What a part's file name says: "dir/tiny-00002-of-00003.gguf" is stem "dir/tiny" (stem_len
// bytes), number 2, count 3. False for any other name.
struct gguf_part_name {
    size_t stem_len;
    int number, count;
};
bool gguf_part_name(const char *path, struct gguf_part_name *name);
// The path of another part of the same model; false if it does not fit.
bool gguf_part_path(const char *path, const struct gguf_part_name *name, int number, char *out,
                    size_t out_bytes);

// Opens a file and, if it is one part of several, the others. With `tensors` not NULL, faults of
// the tensors or of parts other than the first go there, and there are no tensors then; else
// tensors->code is ERR_NONE. False with err; release it either way.
bool gguf_parts_open(struct gguf_parts *p, const char *path, struct error *tensors,
                     struct error *err);
// A model of which the first bytes of every part are here (one for a whole file), in order; they
// must outlive it. Tensors have no data (gguf_open_start). False with err; release it either way.
bool gguf_parts_open_starts(struct gguf_parts *p, const struct file_start *starts, size_t n,
                            struct error *err);
void gguf_parts_release(struct gguf_parts *p);
