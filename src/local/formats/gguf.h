// gguf.h - read-only view of a GGUF model file (versions 2 and 3).
//
// The file is mapped, never copied: every pointer handed out points into the mapping (or the
// small index made at open) and dies with gguf_close(). Nothing in the file is trusted; open
// checks each count, offset, type and size once, so that later reads need no checks.
// Threads: immutable after open, share it freely.
// Source: github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct gguf;
struct mapping;
struct model_tensor;

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
};

struct gguf_value {
    struct slice key;
    enum gguf_type type;        // GGUF_ARRAY for arrays
    enum gguf_type item_type;   // of an array
    uint64_t n;                 // elements of an array, else 1
    const unsigned char *data;  // first byte of the value (or of the first element), unaligned
    uint64_t bytes;             // from data on, including the lengths before strings
};

enum {
    GGUF_TEXT_KEY_MAX = 65535,     // bytes of a key, as the format says
    GGUF_VALUES_MAX = 1 << 16,     // keys in a file; real ones have some dozens
    GGUF_TENSORS_MAX = 1 << 17,    // tensors in a file; real ones have some thousands
    GGUF_ALIGNMENT_MAX = 1 << 20,  // bytes
    GGUF_ALIGNMENT_DEFAULT = 32,
};

// A view of any bytes (for tests and fuzzers); they must outlive it. NULL with err.
struct gguf *gguf_open_memory(const void *bytes, size_t len, struct error *err);
struct gguf *gguf_open(const char *path, struct error *err);
// The first len bytes of a file of file_bytes: keys and tensors as ever, but their data is NULL.
// NULL with err also if these bytes do not reach to the end of the list of tensors.
struct gguf *gguf_open_start(const void *bytes, size_t len, uint64_t file_bytes, struct error *err);
// For who needs the keys only (tokenizer, template): what is wrong with the tensors goes to
// *tensors, and there are none then; else tensors->code is ERR_NONE.
struct gguf *gguf_open_keys(const char *path, struct error *tensors, struct error *err);
void gguf_close(struct gguf *g);  // NULL is fine
// The file; for a view of memory its ptr is NULL.
const struct mapping *gguf_mapping(const struct gguf *g);

size_t gguf_type_bytes(enum gguf_type type);  // 0 for strings and arrays

uint32_t gguf_version(const struct gguf *g);
size_t gguf_n_values(const struct gguf *g);
const struct gguf_value *gguf_value(const struct gguf *g, size_t i);
const struct gguf_value *gguf_find(const struct gguf *g, const char *key);  // NULL if absent

// Typed reads; any integer type that holds the value will do. False if absent or of another kind.
bool gguf_get_u64(const struct gguf *g, const char *key, uint64_t *value);
bool gguf_get_i64(const struct gguf *g, const char *key, int64_t *value);
bool gguf_get_f64(const struct gguf *g, const char *key, double *value);  // integers too
bool gguf_get_bool(const struct gguf *g, const char *key, bool *value);
bool gguf_get_text(const struct gguf *g, const char *key, struct slice *value);

// Elements of an array value; the kind must fit the item type (checked), i < n (asserted).
// As integers, booleans are 0 and 1.
bool gguf_item_i64(const struct gguf_value *v, uint64_t i, int64_t *value);
bool gguf_item_f64(const struct gguf_value *v, uint64_t i, double *value);
// Strings have no fixed size: walk them. `cursor` starts as v->data; gives the next string, false
// after the last or if v is no array of strings.
bool gguf_next_text(const struct gguf_value *v, const unsigned char **cursor, struct slice *value);

size_t gguf_n_tensors(const struct gguf *g);
const struct model_tensor *gguf_tensor(const struct gguf *g, size_t i);  // shapes outermost first
const struct model_tensor *gguf_find_tensor(const struct gguf *g, const char *name);  // or NULL
