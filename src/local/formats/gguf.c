#include "local/formats/gguf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/formats/shown.h"
#include "local/formats/tensor_index.h"

enum {
    VALUE_BYTES_MIN = 8 + 1 + 4 + 1,       // length, key, type, value
    TENSOR_BYTES_MIN = 8 + 1 + 4 + 4 + 8,  // length, name, dimensions, type, offset
    NAME_BYTES_MAX = 1024,
};

struct gguf {
    struct mapping map;  // empty for gguf_open_memory
    const unsigned char *bytes;
    uint64_t len;     // of the file
    bool start_only;  // its first bytes are here: no data
    uint32_t version;
    struct gguf_value *values;
    const struct gguf_value **by_key;
    size_t n_values;
    struct model_tensor *tensors;
    struct tensor_index index;
    size_t n_tensors;
    struct arena names;
};

// What is left of the file while it is read once from front to back.
struct reader {
    const unsigned char *p;
    size_t left;
};

static bool take(struct reader *r, void *out, size_t n)
{
    if (n > r->left)
        return false;
    memcpy(out, r->p, n);
    r->p += n;
    r->left -= n;
    return true;
}

static bool skip(struct reader *r, uint64_t n)
{
    if (n > r->left)
        return false;
    r->p += n;
    r->left -= (size_t)n;
    return true;
}

static bool take_text(struct reader *r, struct slice *out)
{
    uint64_t len;
    if (!take(r, &len, sizeof len) || len > r->left)
        return false;
    *out = slice_of((const char *)r->p, (size_t)len);
    return skip(r, len);
}

static const unsigned char type_bytes[] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2,  [GGUF_I16] = 2,    [GGUF_U32] = 4,
    [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_STRING] = 0, [GGUF_ARRAY] = 0,
    [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

static bool check_type(uint32_t type, const char *what, struct error *err)
{
    if (type < sizeof type_bytes)
        return true;
    return error_set(err, ERR_FORMAT, "%s type %" PRIu32 " does not exist", what, type);
}

static bool items_cut(const struct gguf_value *v, struct error *err)
{
    if (v->type != GGUF_ARRAY)
        return error_set(err, ERR_FORMAT, "its value runs past the end of the file");
    return error_set(err, ERR_FORMAT, "its %" PRIu64 " elements run past the end of the file",
                     v->n);
}

// Reads v->n elements of v->item_type (a lone value is one element); they stay where they are.
static bool read_items(struct reader *r, struct gguf_value *v, struct error *err)
{
    uint64_t bytes;
    if (v->item_type == GGUF_STRING) {
        struct slice text;
        for (uint64_t i = 0; i < v->n; i++)
            if (!take_text(r, &text))
                return items_cut(v, err);
        return true;
    }
    if (__builtin_mul_overflow(v->n, (uint64_t)type_bytes[v->item_type], &bytes) || !skip(r, bytes))
        return items_cut(v, err);
    for (uint64_t i = 0; v->item_type == GGUF_BOOL && i < v->n; i++)
        if (v->data[i] > 1)
            return error_set(err, ERR_FORMAT, "%d is neither true nor false", v->data[i]);
    return true;
}

static bool read_array_header(struct reader *r, struct gguf_value *v, struct error *err)
{
    uint32_t type;
    if (!take(r, &type, sizeof type) || !take(r, &v->n, sizeof v->n))
        return error_set(err, ERR_FORMAT, "the file ends within the array's header");
    if (!check_type(type, "element", err))
        return false;
    v->item_type = (enum gguf_type)type;
    if (v->item_type == GGUF_ARRAY)
        return error_set(err, ERR_UNSUPPORTED, "arrays of arrays are not supported");
    return true;
}

static bool read_typed_value(struct reader *r, struct gguf_value *v, struct error *err)
{
    uint32_t type;
    if (!take(r, &type, sizeof type))
        return error_set(err, ERR_FORMAT, "the file ends before its type");
    if (!check_type(type, "value", err))
        return false;
    v->type = v->item_type = (enum gguf_type)type;
    v->n = 1;
    if (v->type == GGUF_ARRAY && !read_array_header(r, v, err))
        return false;
    v->data = r->p;
    if (!read_items(r, v, err))
        return false;
    v->bytes = (uint64_t)(r->p - v->data);
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct gguf_value *const *x = a, *const *y = b;
    struct slice k = (*x)->key, l = (*y)->key;
    int order = memcmp(k.ptr, l.ptr, k.len < l.len ? k.len : l.len);
    return order ? order : k.len < l.len ? -1 : k.len > l.len;
}

static bool read_values(struct gguf *g, struct reader *r, struct error *err)
{
    g->values = memory_array(struct gguf_value, g->n_values);
    g->by_key = memory_array(const struct gguf_value *, g->n_values);
    for (size_t i = 0; i < g->n_values; i++) {
        struct gguf_value *v = &g->values[i];
        if (!take_text(r, &v->key))
            return error_set(err, ERR_FORMAT, "key %zu of %zu: its name runs past the end", i,
                             g->n_values);
        if (v->key.len == 0 || v->key.len > GGUF_TEXT_KEY_MAX)
            return error_set(err, ERR_FORMAT, "key %zu of %zu: its name has %zu bytes", i,
                             g->n_values, v->key.len);
        if (!read_typed_value(r, v, err))
            return error_wrap(err, "key '%s'", shown_name(v->key).text);
        g->by_key[i] = v;
    }
    qsort(g->by_key, g->n_values, sizeof *g->by_key, by_key);
    for (size_t i = 1; i < g->n_values; i++)
        if (slice_eq(g->by_key[i - 1]->key, g->by_key[i]->key))
            return error_set(err, ERR_FORMAT, "key '%s': appears twice",
                             shown_name(g->by_key[i]->key).text);
    return true;
}

// Dimensions stand innermost first in the file. Each is 1 or more, and so is their product.
static bool read_shape(struct reader *r, struct model_tensor *t, struct error *err)
{
    uint32_t n_dims;
    int64_t product = 1;
    if (!take(r, &n_dims, sizeof n_dims))
        return error_set(err, ERR_FORMAT, "the file ends before its shape");
    if (n_dims > 4)
        return error_set(err, ERR_FORMAT, "%" PRIu32 " dimensions, at most 4 are possible", n_dims);
    t->n_dims = (int)n_dims;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        int64_t *dim = &t->shape[i];
        if (!take(r, dim, sizeof *dim))
            return error_set(err, ERR_FORMAT, "the file ends within its shape");
        if (*dim < 1)
            return error_set(err, ERR_FORMAT, "dimension %d is %" PRId64, i, *dim);
        if (__builtin_mul_overflow(product, *dim, &product))
            return error_set(err, ERR_FORMAT, "its shape overflows 63 bits");
    }
    return true;
}

static bool read_type(struct reader *r, struct model_tensor *t, struct error *err)
{
    uint32_t type;
    if (!take(r, &type, sizeof type))
        return error_set(err, ERR_FORMAT, "the file ends before its type");
    if (dtype_from_ggml(type, &t->dtype))
        return true;
    const char *name = dtype_ggml_name(type);
    if (!name)
        return error_set(err, ERR_UNSUPPORTED, "type %" PRIu32 " is unknown", type);
    return error_set(err, ERR_UNSUPPORTED, "type %s is not supported", name);
}

static bool set_bytes(struct model_tensor *t, struct error *err)
{
    uint64_t n = 1;
    int64_t cols = t->n_dims ? t->shape[t->n_dims - 1] : 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= (uint64_t)t->shape[i];
    if (cols % dtype_info(t->dtype)->block_len != 0)
        return error_set(err, ERR_FORMAT,
                         "rows of %" PRId64 " values are not whole blocks of %d (%s)", cols,
                         dtype_info(t->dtype)->block_len, dtype_name(t->dtype));
    if (!dtype_bytes(t->dtype, n, &t->bytes))
        return error_set(err, ERR_FORMAT, "its size overflows 64 bits");
    return true;
}

// One entry of the tensor list; its data's offset goes to *offset.
static bool read_tensor(struct gguf *g, struct reader *r, struct model_tensor *t, uint64_t *offset,
                        struct error *err)
{
    struct slice name;
    if (!take_text(r, &name))
        return error_set(err, ERR_FORMAT, "tensor %zu of %zu: its name runs past the end",
                         (size_t)(t - g->tensors), g->n_tensors);
    if (name.len == 0 || name.len > NAME_BYTES_MAX || memchr(name.ptr, 0, name.len))
        return error_set(err, ERR_FORMAT,
                         "tensor %zu of %zu: its name is empty, too long or holds a NUL",
                         (size_t)(t - g->tensors), g->n_tensors);
    t->name = arena_text(&g->names, name);
    if (!read_shape(r, t, err) || !read_type(r, t, err) || !set_bytes(t, err))
        return error_wrap(err, "tensor '%s'", shown_name(name).text);
    if (!take(r, offset, sizeof *offset))
        return error_set(err, ERR_FORMAT, "tensor '%s': the file ends before its offset",
                         shown_name(name).text);
    return true;
}

static bool read_alignment(const struct gguf *g, uint64_t *alignment, struct error *err)
{
    const char *key = "general.alignment";
    *alignment = GGUF_ALIGNMENT_DEFAULT;
    if (!gguf_find(g, key))
        return true;
    if (!gguf_get_u64(g, key, alignment))
        return error_set(err, ERR_FORMAT, "key '%s': is not a whole number", key);
    if (*alignment == 0 || (*alignment & (*alignment - 1)) != 0 || *alignment > GGUF_ALIGNMENT_MAX)
        return error_set(err, ERR_FORMAT,
                         "key '%s': %" PRIu64 " is not a power of two of at most %d", key,
                         *alignment, GGUF_ALIGNMENT_MAX);
    return true;
}

// Puts the tensors' data into the bytes after the list, which start at the next multiple of the
// alignment; offsets count from there.
static bool place_tensors(struct gguf *g, const struct reader *r, const uint64_t *offsets,
                          uint64_t alignment, struct error *err)
{
    uint64_t start = (uint64_t)(r->p - g->bytes);
    start += (alignment - start % alignment) % alignment;
    uint64_t data_bytes = start < g->len ? g->len - start : 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct model_tensor *t = &g->tensors[i];
        struct shown name = shown_name(slice_str(t->name));
        if (offsets[i] % alignment != 0)
            return error_set(err, ERR_FORMAT,
                             "tensor '%s': offset %" PRIu64 " is not a multiple of %" PRIu64,
                             name.text, offsets[i], alignment);
        if (offsets[i] > data_bytes || t->bytes > data_bytes - offsets[i])
            return error_set(err, ERR_FORMAT,
                             "tensor '%s': %" PRIu64 " bytes at %" PRIu64
                             " run past the end (%" PRIu64 " bytes of data)",
                             name.text, t->bytes, offsets[i], data_bytes);
        t->data = g->start_only ? NULL : g->bytes + start + offsets[i];
    }
    return true;
}

static bool read_tensors(struct gguf *g, struct reader *r, struct error *err)
{
    bool ok = false;
    uint64_t alignment;
    if (!read_alignment(g, &alignment, err))
        return false;
    g->tensors = memory_array(struct model_tensor, g->n_tensors);
    uint64_t *offsets = memory_array(uint64_t, g->n_tensors);
    for (size_t i = 0; i < g->n_tensors; i++)
        if (!read_tensor(g, r, &g->tensors[i], &offsets[i], err))
            goto out;
    // Overlapping tensors would let a small file stand for any amount of packed weights.
    ok = place_tensors(g, r, offsets, alignment, err) &&
         tensor_index_build(&g->index, g->tensors, g->n_tensors, err) &&
         (g->start_only || tensor_index_check_overlap(&g->index, err));
out:
    free(offsets);
    return ok;
}

static bool check_count(uint64_t n, size_t left, size_t each, size_t max, const char *what,
                        struct error *err)
{
    if (n > left / each)
        return error_set(err, ERR_FORMAT,
                         "%s count: %" PRIu64 " do not fit into the %zu bytes that follow", what, n,
                         left);
    if (n > max)
        return error_set(err, ERR_LIMIT, "%s count: %" PRIu64 ", at most %zu are possible", what, n,
                         max);
    return true;
}

static bool read_header(struct gguf *g, struct reader *r, struct error *err)
{
    char magic[4];
    uint64_t n_tensors, n_values;
    if (!take(r, magic, sizeof magic) || memcmp(magic, "GGUF", 4) != 0)
        return error_set(err, ERR_FORMAT, "magic: not a GGUF file");
    if (!take(r, &g->version, sizeof g->version) || !take(r, &n_tensors, sizeof n_tensors) ||
        !take(r, &n_values, sizeof n_values))
        return error_set(err, ERR_FORMAT, "header: the file ends within it");
    if (g->version != 0 && (g->version & 0xFFFFFF) == 0)
        return error_set(err, ERR_UNSUPPORTED, "version: big-endian GGUF files are not supported");
    if (g->version != 2 && g->version != 3)
        return error_set(err, ERR_UNSUPPORTED, "version: %" PRIu32 ", only 2 and 3 are supported",
                         g->version);
    if (!check_count(n_values, r->left, VALUE_BYTES_MIN, GGUF_VALUES_MAX, "key", err) ||
        !check_count(n_tensors, r->left, TENSOR_BYTES_MIN, GGUF_TENSORS_MAX, "tensor", err))
        return false;
    g->n_values = (size_t)n_values;
    g->n_tensors = (size_t)n_tensors;
    return true;
}

static void drop_tensors(struct gguf *g)
{
    tensor_index_release(&g->index);
    free(g->tensors);
    arena_release(&g->names);
    g->tensors = NULL;
    g->n_tensors = 0;
}

// Reads into g, which it takes over. `tensors` NULL: a fault in them is a fault of the file.
static struct gguf *open_bytes(struct gguf *g, size_t len, struct error *tensors, struct error *err)
{
    struct reader r = {g->bytes, len};
    if (!read_header(g, &r, err) || !read_values(g, &r, err))
        goto fail;
    error_clear(tensors);
    if (!read_tensors(g, &r, tensors ? tensors : err)) {
        if (!tensors)
            goto fail;
        drop_tensors(g);
    }
    return g;
fail:
    gguf_close(g);
    return NULL;
}

struct gguf *gguf_open_memory(const void *bytes, size_t len, struct error *err)
{
    struct gguf *g = memory_array(struct gguf, 1);
    *g = (struct gguf){.bytes = bytes, .len = len};
    return open_bytes(g, len, NULL, err);
}

struct gguf *gguf_open_start(const void *bytes, size_t len, uint64_t file_bytes, struct error *err)
{
    struct gguf *g = memory_array(struct gguf, 1);
    *g = (struct gguf){.bytes = bytes, .len = file_bytes, .start_only = true};
    return open_bytes(g, len, NULL, err);
}

static struct gguf *open_path(const char *path, struct error *tensors, struct error *err)
{
    struct mapping map;
    if (!mapping_open(&map, path, err))
        return NULL;
    struct gguf *g = memory_array(struct gguf, 1);
    *g = (struct gguf){.map = map, .bytes = map.ptr, .len = map.len};
    g = open_bytes(g, map.len, tensors, err);
    if (!g)
        error_wrap(err, "open '%s'", shown_path(path).text);
    else if (tensors && tensors->code != ERR_NONE)
        error_wrap(tensors, "open '%s'", shown_path(path).text);
    return g;
}

struct gguf *gguf_open(const char *path, struct error *err)
{
    return open_path(path, NULL, err);
}

struct gguf *gguf_open_keys(const char *path, struct error *tensors, struct error *err)
{
    assert(tensors);
    return open_path(path, tensors, err);
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    drop_tensors(g);
    free(g->by_key);
    free(g->values);
    mapping_close(&g->map);
    free(g);
}

const struct mapping *gguf_mapping(const struct gguf *g)
{
    return &g->map;
}

size_t gguf_type_bytes(enum gguf_type type)
{
    return type_bytes[type];
}

uint32_t gguf_version(const struct gguf *g)
{
    return g->version;
}

size_t gguf_n_values(const struct gguf *g)
{
    return g->n_values;
}

const struct gguf_value *gguf_value(const struct gguf *g, size_t i)
{
    assert(i < g->n_values);
    return &g->values[i];
}

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
    struct gguf_value wanted = {.key = slice_str(key)};
    const struct gguf_value *k = &wanted, *const *found = NULL;
    if (g->n_values)
        found = bsearch(&k, g->by_key, g->n_values, sizeof *g->by_key, by_key);
    return found ? *found : NULL;
}

size_t gguf_n_tensors(const struct gguf *g)
{
    return g->n_tensors;
}

const struct model_tensor *gguf_tensor(const struct gguf *g, size_t i)
{
    assert(i < g->n_tensors);
    return &g->tensors[i];
}

const struct model_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
    return tensor_index_find(&g->index, name);
}
