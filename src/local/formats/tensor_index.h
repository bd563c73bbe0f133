// tensor_index.h - tensors found by name, and twice the same name found out.
//
// A sorted array: its time is bounded for every choice of names, which a hash table that a file's
// author can aim at is not. Threads: immutable after build.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct error;
struct model_tensor;

struct tensor_index {
    const struct model_tensor **by_name;
    size_t n;
};

// The tensors must outlive the index. False with err if two have the same name.
bool tensor_index_build(struct tensor_index *x, const struct model_tensor *tensors, size_t n,
                        struct error *err);
void tensor_index_release(struct tensor_index *x);
const struct model_tensor *tensor_index_find(const struct tensor_index *x, const char *name);

// False with err, naming both tensors, if the bytes of two tensors overlap.
bool tensor_index_check_overlap(const struct tensor_index *x, struct error *err);
