// hf_folder.h - the files of a Hugging Face folder: found, bounded, read; used by model_file.c.
//
// Names that come from files (shards in an index) must be plain file names: no path leads out of
// the folder. Threads: immutable after open.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "local/formats/tensor_index.h"

struct buf;
struct error;
struct json_t;
struct raw_tensor;
struct safetensors;

// A file name that stays in its folder: not empty, no '/', no '.' at its start.
bool hf_is_plain(const char *name);
// Path of a regular file in the folder; false if it is not there or the name is not plain.
bool hf_member(const char *folder, const char *name, char *path, size_t path_bytes);
// *value becomes the JSON object in a file of the folder, NULL if there is no such file. False
// with err if it is something else.
bool hf_read_object(const char *folder, const char *name, size_t max_bytes, struct json_t **value,
                    struct error *err);
bool hf_read_text(const char *folder, const char *name, size_t max_bytes, struct buf *text,
                  struct error *err);

// All safetensors files of a folder as one list of tensors.
struct hf_weights {
    struct safetensors **shards;
    size_t n_shards, shards_capacity;
    struct model_tensor *tensors;  // names and data belong to the shards
    size_t n_tensors;
    struct tensor_index index;
};
// False with err: a fault, or (ERR_NOT_FOUND) no weights at all. Release it either way.
bool hf_weights_open(struct hf_weights *w, const char *folder, struct error *err);
void hf_weights_release(struct hf_weights *w);
const char *hf_weights_unreadable(const struct hf_weights *w, const char *name);
const struct raw_tensor *hf_weights_raw(const struct hf_weights *w, const char *name);
