// gguf_write.h - writes a GGUF file (version 3): keys, then tensors, then their data in order.
//
//   w = gguf_writer_new();
//   gguf_write_text(w, "general.architecture", slice_str("llama")); ...
//   gguf_write_tensor(w, "token_embd.weight", DTYPE_F16, 2, shape); ...
//   ok = gguf_writer_begin(w, path, err) && gguf_writer_data(w, bytes, n, err) ... &&
//        gguf_writer_finish(w, err);
//   gguf_writer_free(w);
//
// The file appears under its name only when it is whole: until then it is a temporary beside it,
// which gguf_writer_free removes. Data is streamed, so memory does not grow with the model.
// A key that is given twice keeps the later value. Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "local/formats/gguf.h"
#include "local/tensor/dtype.h"

struct error;
struct gguf_writer;

struct gguf_writer *gguf_writer_new(void);
void gguf_writer_free(struct gguf_writer *w);  // NULL is fine

void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_write_u64(struct gguf_writer *w, const char *key, uint64_t value);
void gguf_write_i32(struct gguf_writer *w, const char *key, int32_t value);
void gguf_write_f32(struct gguf_writer *w, const char *key, float value);
void gguf_write_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_write_text(struct gguf_writer *w, const char *key, struct slice value);
void gguf_write_texts(struct gguf_writer *w, const char *key, const struct slice *items, size_t n);
// Elements of a fixed size, as they stand in memory: float for GGUF_F32, bool for GGUF_BOOL ...
void gguf_write_array(struct gguf_writer *w, const char *key, enum gguf_type item_type,
                      const void *items, size_t n);
// A value as another file has it; general.alignment is left out, since this file has its own.
void gguf_write_value(struct gguf_writer *w, const struct gguf_value *value);

// Shapes are outermost first, as in struct model_tensor; each dimension is 1 or more, and a row is
// a whole number of blocks (asserted).
void gguf_write_tensor(struct gguf_writer *w, const char *name, enum dtype dtype, int n_dims,
                       const int64_t *shape);

// Writes all but the data. False with err: the disk's error, or a tensor that was named twice.
bool gguf_writer_begin(struct gguf_writer *w, const char *path, struct error *err);
// The next n bytes of the tensor whose turn it is; not more than it has left (asserted).
bool gguf_writer_data(struct gguf_writer *w, const void *bytes, size_t n, struct error *err);
// After the last tensor's last byte (asserted): the file gets its name.
bool gguf_writer_finish(struct gguf_writer *w, struct error *err);
uint64_t gguf_writer_bytes(const struct gguf_writer *w);  // the whole file's, after begin
