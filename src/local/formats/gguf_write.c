#include "local/formats/gguf_write.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fresh_file.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/formats/shown.h"
#include "local/formats/tensor_index.h"

static const char alignment_key[] = "general.alignment";

// One key with its type and value as they go into the file: bytes start..end of `values`.
struct pair {
    struct slice key;  // in the arena
    size_t start, end, order;
};

struct gguf_writer {
    struct arena names;
    struct buf values;
    struct pair *pairs;
    size_t n_pairs, pairs_capacity;
    struct model_tensor *tensors;
    size_t n_tensors, tensors_capacity;
    // while writing
    struct fresh_file file;
    char *path;
    size_t current;          // tensor whose data is written
    uint64_t left, written;  // bytes: of that tensor, and of the file so far
    uint64_t total;
};

struct gguf_writer *gguf_writer_new(void)
{
    return memory_array(struct gguf_writer, 1);
}

void gguf_writer_free(struct gguf_writer *w)
{
    if (!w)
        return;
    fresh_file_drop(&w->file);
    arena_release(&w->names);
    buf_release(&w->values);
    free(w->pairs);
    free(w->tensors);
    free(w->path);
    free(w);
}

static void add_u32(struct buf *b, uint32_t v)
{
    buf_add(b, &v, sizeof v);
}

static void add_u64(struct buf *b, uint64_t v)
{
    buf_add(b, &v, sizeof v);
}

static void add_text(struct buf *b, struct slice s)
{
    add_u64(b, s.len);
    buf_slice(b, s);
}

static struct pair *begin_pair(struct gguf_writer *w, struct slice key, enum gguf_type type)
{
    assert(!w->file.f && key.len > 0 && key.len <= GGUF_TEXT_KEY_MAX);
    memory_grow(w->pairs, w->pairs_capacity, w->n_pairs + 1);
    struct pair *p = &w->pairs[w->n_pairs];
    *p = (struct pair){.key = slice_of(arena_text(&w->names, key), key.len),
                       .start = w->values.len,
                       .order = w->n_pairs++};
    add_u32(&w->values, type);
    return p;
}

static void add_pair(struct gguf_writer *w, const char *key, enum gguf_type type, const void *value,
                     size_t bytes)
{
    struct pair *p = begin_pair(w, slice_str(key), type);
    buf_add(&w->values, value, bytes);
    p->end = w->values.len;
}

void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
    add_pair(w, key, GGUF_U32, &value, sizeof value);
}

void gguf_write_u64(struct gguf_writer *w, const char *key, uint64_t value)
{
    add_pair(w, key, GGUF_U64, &value, sizeof value);
}

void gguf_write_i32(struct gguf_writer *w, const char *key, int32_t value)
{
    add_pair(w, key, GGUF_I32, &value, sizeof value);
}

void gguf_write_f32(struct gguf_writer *w, const char *key, float value)
{
    add_pair(w, key, GGUF_F32, &value, sizeof value);
}

void gguf_write_bool(struct gguf_writer *w, const char *key, bool value)
{
    unsigned char byte = value;
    add_pair(w, key, GGUF_BOOL, &byte, 1);
}

void gguf_write_text(struct gguf_writer *w, const char *key, struct slice value)
{
    struct pair *p = begin_pair(w, slice_str(key), GGUF_STRING);
    add_text(&w->values, value);
    p->end = w->values.len;
}

void gguf_write_texts(struct gguf_writer *w, const char *key, const struct slice *items, size_t n)
{
    struct pair *p = begin_pair(w, slice_str(key), GGUF_ARRAY);
    add_u32(&w->values, GGUF_STRING);
    add_u64(&w->values, n);
    for (size_t i = 0; i < n; i++)
        add_text(&w->values, items[i]);
    p->end = w->values.len;
}

void gguf_write_array(struct gguf_writer *w, const char *key, enum gguf_type item_type,
                      const void *items, size_t n)
{
    struct pair *p = begin_pair(w, slice_str(key), GGUF_ARRAY);
    assert(gguf_type_bytes(item_type));
    add_u32(&w->values, item_type);
    add_u64(&w->values, n);
    buf_add(&w->values, items, n * gguf_type_bytes(item_type));
    p->end = w->values.len;
}

void gguf_write_value(struct gguf_writer *w, const struct gguf_value *value)
{
    if (slice_is(value->key, alignment_key))
        return;
    struct pair *p = begin_pair(w, value->key, value->type);
    if (value->type == GGUF_ARRAY) {
        add_u32(&w->values, value->item_type);
        add_u64(&w->values, value->n);
    }
    buf_add(&w->values, value->data, (size_t)value->bytes);
    p->end = w->values.len;
}

void gguf_write_tensor(struct gguf_writer *w, const char *name, enum dtype dtype, int n_dims,
                       const int64_t *shape)
{
    uint64_t n = 1;
    assert(!w->file.f && n_dims >= 0 && n_dims <= 4 && dtype_info(dtype)->ggml_type >= 0);
    memory_grow(w->tensors, w->tensors_capacity, w->n_tensors + 1);
    struct model_tensor *t = &w->tensors[w->n_tensors++];
    *t = (struct model_tensor){
        .name = arena_text(&w->names, slice_str(name)), .dtype = dtype, .n_dims = n_dims};
    for (int i = 0; i < n_dims; i++) {
        assert(shape[i] >= 1);
        t->shape[i] = shape[i];
        n *= (uint64_t)shape[i];
    }
    assert(n_dims == 0 || shape[n_dims - 1] % dtype_info(dtype)->block_len == 0);
    bool fits = dtype_bytes(dtype, n, &t->bytes);
    assert(fits);
    (void)fits;
}

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = memcmp(x->key.ptr, y->key.ptr, x->key.len < y->key.len ? x->key.len : y->key.len);
    if (order)
        return order;
    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int by_order(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

// Of pairs with the same key, the last stays.
static void drop_replaced(struct gguf_writer *w)
{
    size_t n = 0;
    if (!w->n_pairs)
        return;
    qsort(w->pairs, w->n_pairs, sizeof *w->pairs, by_key);
    for (size_t i = 0; i < w->n_pairs; i++)
        if (i + 1 == w->n_pairs || !slice_eq(w->pairs[i].key, w->pairs[i + 1].key))
            w->pairs[n++] = w->pairs[i];
    w->n_pairs = n;
    qsort(w->pairs, w->n_pairs, sizeof *w->pairs, by_order);
}

static uint64_t aligned(uint64_t n)
{
    return (n + GGUF_ALIGNMENT_DEFAULT - 1) / GGUF_ALIGNMENT_DEFAULT * GGUF_ALIGNMENT_DEFAULT;
}

static void build_header(struct gguf_writer *w, struct buf *out)
{
    uint64_t offset = 0;
    buf_add(out, "GGUF", 4);
    add_u32(out, 3);
    add_u64(out, w->n_tensors);
    add_u64(out, w->n_pairs);
    for (size_t i = 0; i < w->n_pairs; i++) {
        const struct pair *p = &w->pairs[i];
        add_text(out, p->key);
        buf_add(out, w->values.ptr + p->start, p->end - p->start);
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct model_tensor *t = &w->tensors[i];
        add_text(out, slice_str(t->name));
        add_u32(out, (uint32_t)t->n_dims);
        for (int d = t->n_dims - 1; d >= 0; d--)
            add_u64(out, (uint64_t)t->shape[d]);
        add_u32(out, (uint32_t)dtype_info(t->dtype)->ggml_type);
        add_u64(out, offset);
        offset += aligned(t->bytes);
    }
    while (w->n_tensors && out->len % GGUF_ALIGNMENT_DEFAULT != 0)
        buf_char(out, 0);
    w->total = out->len + offset;
}

static bool failed(const struct gguf_writer *w, struct error *err)
{
    return error_set(err, ERR_IO, "write '%s': %s", shown_path(w->path).text, strerror(errno));
}

static bool write_bytes(struct gguf_writer *w, const void *bytes, size_t n, struct error *err)
{
    if (n && fwrite(bytes, 1, n, w->file.f) != n)
        return failed(w, err);
    w->written += n;
    return true;
}

// A device or a pipe must not be replaced by a file.
static bool check_target(const struct gguf_writer *w, struct error *err)
{
    struct stat st;
    if (stat(w->path, &st) != 0 || S_ISREG(st.st_mode))
        return true;
    return error_set(err, ERR_IO, "write '%s': not a regular file", shown_path(w->path).text);
}

static bool open_file(struct gguf_writer *w, const char *path, struct error *err)
{
    w->path = memory_text(path);
    return check_target(w, err) && (fresh_file_open(&w->file, path) || failed(w, err));
}

// Moves on to the next tensor that has bytes to come (all do).
static void next_tensor(struct gguf_writer *w)
{
    w->left = w->current < w->n_tensors ? w->tensors[w->current].bytes : 0;
}

bool gguf_writer_begin(struct gguf_writer *w, const char *path, struct error *err)
{
    assert(!w->file.f);
    struct tensor_index names = {0};
    struct buf header = {0};
    bool ok = tensor_index_build(&names, w->tensors, w->n_tensors, err);
    tensor_index_release(&names);
    if (!ok || !open_file(w, path, err))
        return false;
    drop_replaced(w);
    build_header(w, &header);
    ok = write_bytes(w, header.ptr, header.len, err);
    buf_release(&header);
    next_tensor(w);
    return ok;
}

bool gguf_writer_data(struct gguf_writer *w, const void *bytes, size_t n, struct error *err)
{
    static const char zeros[GGUF_ALIGNMENT_DEFAULT];
    assert(w->file.f && n <= w->left);
    if (!write_bytes(w, bytes, n, err))
        return false;
    w->left -= n;
    if (w->left || n == 0)
        return true;
    w->current++;
    next_tensor(w);
    return write_bytes(w, zeros, (size_t)(aligned(w->written) - w->written), err);
}

bool gguf_writer_finish(struct gguf_writer *w, struct error *err)
{
    assert(w->file.f && w->current == w->n_tensors);
    return fresh_file_finish(&w->file) || failed(w, err);
}

uint64_t gguf_writer_bytes(const struct gguf_writer *w)
{
    return w->total;
}
