// model_file.h - one read-only view of a model on disk: a GGUF file or a Hugging Face folder.
//
// A GGUF model in several parts (x-00001-of-00003.gguf) is opened by the path of any of them.
// Names and numbers are as the files have them; what they mean is the business of local/models
// and local/tokenizer. Nothing on disk is trusted: open checks counts, offsets, sizes, types and
// shapes once, so that later reads need no checks. Tensor data is mapped, never copied.
// Threads: immutable after open. Everything handed out dies with model_file_close().
// Source: GGUF (github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3);
// safetensors (github.com/huggingface/safetensors, "Format").
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "local/tensor/dtype.h"

struct error;
struct gguf;
struct json_t;
struct mapping;

struct model_tensor {
    const char
        *name;  // as on disk: "blk.0.attn_q.weight" or "model.layers.0.self_attn.q_proj.weight"
    enum dtype dtype;
    int n_dims;        // 0..4
    int64_t shape[4];  // outermost first: [rows, cols]; all >= 1
    const void *data;  // rows one after another; may be unaligned in safetensors
    uint64_t bytes;
};

// A tensor that is no weight by itself: integers that are parts of a packed weight (hf_quant.h).
enum raw_type { RAW_OTHER, RAW_U8, RAW_I8, RAW_I32, RAW_I64 };
struct raw_tensor {
    const char *name;
    enum raw_type type;
    int n_dims;        // 0..4
    int64_t shape[4];  // outermost first; all >= 1
    const void *data;  // may be unaligned
    uint64_t bytes;
};

enum model_parts {
    MODEL_ALL = 0,
    // A folder or file without weights will do: for tokenize, render, show.
    MODEL_NO_WEIGHTS = 1,
};

struct model_file;

// NULL on failure, with err naming file, field and what is wrong.
struct model_file *model_file_open(const char *path, enum model_parts parts, struct error *err);
// A GGUF model of which only the start of each part is here: keys, names and shapes as ever, but
// data is NULL. The bytes must outlive it. `name` stands for the path.
struct file_start {
    const void *bytes;
    size_t len;
    uint64_t file_bytes;  // of the whole file
};
struct model_file *model_file_open_starts(const char *name, const struct file_start *starts,
                                          size_t n, struct error *err);
void model_file_close(struct model_file *m);  // NULL is fine

const char *model_file_path(const struct model_file *m);
// Whether the path, however it is written, is the folder, the file or one of its parts.
bool model_file_is_at(const struct model_file *m, const char *path);
// The file (of parts the first) that holds the keys; NULL for a folder. Tensors are found below.
const struct gguf *model_file_gguf(const struct model_file *m);

// The files that hold the tensors, as they are mapped. None after model_file_open_starts.
size_t model_file_n_mappings(const struct model_file *m);
const struct mapping *model_file_mapping(const struct model_file *m, size_t i);

size_t model_file_n_tensors(const struct model_file *m);
const struct model_tensor *model_file_tensor(const struct model_file *m, size_t i);
const struct model_tensor *model_file_find(const struct model_file *m,
                                           const char *name);  // or NULL
// NULL, or why a tensor that the files hold is not among the tensors above ("type I64").
const char *model_file_unreadable(const struct model_file *m, const char *name);
// Such a tensor itself; NULL if there is none, or one without elements, and for GGUF.
const struct raw_tensor *model_file_raw(const struct model_file *m, const char *name);
// After MODEL_NO_WEIGHTS: what is wrong with the weights, or that there are none; then there are
// no tensors. NULL if nothing is.
const struct error *model_file_weights_error(const struct model_file *m);

// Tells the system that these bytes of the mapping are not needed any more (after packing), so
// that they do not count as resident memory. They can still be read.
void model_file_forget(const struct model_file *m, const struct model_tensor *t);
void model_file_forget_raw(const struct model_file *m, const struct raw_tensor *t);

// Hugging Face folders: parsed files, NULL where absent (and for GGUF). Borrowed.
const struct json_t *model_file_config(const struct model_file *m);  // config.json
const struct json_t *model_file_generation_config(const struct model_file *m);
const struct json_t *model_file_tokenizer_config(const struct model_file *m);
const struct json_t *
model_file_special_tokens(const struct model_file *m);  // special_tokens_map.json
// Path of a file in the folder ("tokenizer.json"); false if it is not there.
bool model_file_member(const struct model_file *m, const char *name, char *path, size_t path_bytes);

// The chat template's source: GGUF key tokenizer.chat_template, chat_template.jinja (others in
// additional_chat_templates/), chat_template.json, or tokenizer_config.json (a string, or the
// list's "default"; name picks another, e.g. "tool_use"; NULL is the default). Empty slice if there
// is none.
struct slice model_file_chat_template(const struct model_file *m, const char *name);
