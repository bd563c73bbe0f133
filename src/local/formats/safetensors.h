// safetensors.h - read-only view of one safetensors file.
//
// The file is mapped; tensor data is never copied. As the format asks, the tensors must cover the
// bytes after the header without holes or overlaps. Tensors of types that no weight has (integers,
// which packed weights are made of, and buffers) are kept apart: safetensors_raw.
// Threads: immutable after open. Source: github.com/huggingface/safetensors, "Format".
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct error;
struct mapping;
struct model_tensor;
struct raw_tensor;
struct safetensors;

enum { SAFETENSORS_HEADER_MAX = 16 << 20 };  // bytes of JSON

// A view of any bytes (for tests and fuzzers); they must outlive it. NULL with err.
struct safetensors *safetensors_open_memory(const void *bytes, size_t len, struct error *err);
struct safetensors *safetensors_open(const char *path, struct error *err);
void safetensors_close(struct safetensors *s);  // NULL is fine
// The file; for a view of memory its ptr is NULL.
const struct mapping *safetensors_mapping(const struct safetensors *s);

size_t safetensors_n_tensors(const struct safetensors *s);
const struct model_tensor *safetensors_tensor(const struct safetensors *s, size_t i);
const struct model_tensor *safetensors_find(const struct safetensors *s, const char *name);
// NULL, or what keeps a tensor that the file holds from being read: "type I64", "no elements".
const char *safetensors_unreadable(const struct safetensors *s, const char *name);
// A tensor that is no weight by itself; NULL if there is none, or one without elements.
const struct raw_tensor *safetensors_raw(const struct safetensors *s, const char *name);
