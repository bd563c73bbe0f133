#include "local/formats/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/formats/shown.h"
#include "local/formats/tensor_index.h"

// What is no weight by itself. Where it could not be a part of one either (no elements, five
// dimensions), raw.data is NULL.
struct unreadable_tensor {
    struct raw_tensor raw;
    const char *why;
};

struct safetensors {
    struct mapping map;  // empty for safetensors_open_memory
    struct arena names;
    struct model_tensor *tensors;
    struct unreadable_tensor *unreadable;  // sorted by name
    size_t n_tensors, n_unreadable;
    struct tensor_index index;
};

// The types that the format knows; dtype DTYPE_COUNT: no weight, but their sizes are checked.
static const struct type {
    const char *name;
    uint64_t bits;
    enum dtype dtype;
    enum raw_type raw;
} types[] = {
    {"F32", 32, DTYPE_F32, RAW_OTHER},      {"F16", 16, DTYPE_F16, RAW_OTHER},
    {"BF16", 16, DTYPE_BF16, RAW_OTHER},    {"F8_E4M3", 8, DTYPE_F8_E4M3, RAW_OTHER},
    {"F8_E5M2", 8, DTYPE_COUNT, RAW_OTHER}, {"F8_E8M0", 8, DTYPE_COUNT, RAW_OTHER},
    {"F6_E2M3", 6, DTYPE_COUNT, RAW_OTHER}, {"F6_E3M2", 6, DTYPE_COUNT, RAW_OTHER},
    {"F4", 4, DTYPE_COUNT, RAW_OTHER},      {"F64", 64, DTYPE_COUNT, RAW_OTHER},
    {"C64", 64, DTYPE_COUNT, RAW_OTHER},    {"BOOL", 8, DTYPE_COUNT, RAW_OTHER},
    {"U8", 8, DTYPE_COUNT, RAW_U8},         {"I8", 8, DTYPE_COUNT, RAW_I8},
    {"U16", 16, DTYPE_COUNT, RAW_OTHER},    {"I16", 16, DTYPE_COUNT, RAW_OTHER},
    {"U32", 32, DTYPE_COUNT, RAW_OTHER},    {"I32", 32, DTYPE_COUNT, RAW_I32},
    {"U64", 64, DTYPE_COUNT, RAW_OTHER},    {"I64", 64, DTYPE_COUNT, RAW_I64},
};

// What one member of the header says.
struct entry {
    const char *name, *type;
    uint64_t begin, end;  // bytes after the header
    const json_t *shape;
};

static bool read_count(const json_t *v, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static bool read_entry(const json_t *value, struct entry *e, uint64_t data_bytes, struct error *err)
{
    if (!json_is_object(value))
        return error_set(err, ERR_FORMAT, "not an object");
    const json_t *offsets = json_object_get(value, "data_offsets");
    e->type = json_string_value(json_object_get(value, "dtype"));
    e->shape = json_object_get(value, "shape");
    if (!e->type)
        return error_set(err, ERR_FORMAT, "dtype: not a string");
    if (!json_is_array(e->shape))
        return error_set(err, ERR_FORMAT, "shape: not a list");
    if (json_array_size(offsets) != 2 || !read_count(json_array_get(offsets, 0), &e->begin) ||
        !read_count(json_array_get(offsets, 1), &e->end))
        return error_set(err, ERR_FORMAT, "data_offsets: not two whole numbers");
    if (e->begin > e->end || e->end > data_bytes)
        return error_set(err, ERR_FORMAT,
                         "data_offsets: %" PRIu64 " to %" PRIu64 " is not within the %" PRIu64
                         " bytes of data",
                         e->begin, e->end, data_bytes);
    return true;
}

// The product of the shape; zero is possible.
static bool count_elements(const struct entry *e, uint64_t *n, struct error *err)
{
    size_t i;
    json_t *v;
    uint64_t dim;
    *n = 1;
    json_array_foreach((json_t *)e->shape, i, v)
    {
        if (!read_count(v, &dim))
            return error_set(err, ERR_FORMAT, "shape: not a list of whole numbers");
        if (__builtin_mul_overflow(*n, dim, n) || *n > INT64_MAX)
            return error_set(err, ERR_FORMAT, "shape: its product overflows 63 bits");
    }
    return true;
}

static void add_unreadable(struct safetensors *s, const struct entry *e, const struct type *type,
                           const unsigned char *data, uint64_t n)
{
    struct unreadable_tensor *u = &s->unreadable[s->n_unreadable++];
    size_t n_dims = json_array_size(e->shape);
    char why[64];
    if (n == 0)
        (void)snprintf(why, sizeof why, "no elements");
    else if (n_dims > 4)
        (void)snprintf(why, sizeof why, "%zu dimensions", n_dims);
    else
        (void)snprintf(why, sizeof why, "type %.32s", shown_name(slice_str(e->type)).text);
    u->why = arena_text(&s->names, slice_str(why));
    u->raw = (struct raw_tensor){.name = arena_text(&s->names, slice_str(e->name))};
    if (n == 0 || n_dims > 4)
        return;
    u->raw.type = type ? type->raw : RAW_OTHER;
    u->raw.n_dims = (int)n_dims;
    for (size_t k = 0; k < n_dims; k++)
        u->raw.shape[k] = json_integer_value(json_array_get(e->shape, k));
    u->raw.data = data + e->begin;
    u->raw.bytes = e->end - e->begin;
}

static const struct type *type_of(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

static bool add_tensor(struct safetensors *s, const struct entry *e, const unsigned char *data,
                       struct error *err)
{
    uint64_t n, bits;
    const struct type *type = type_of(e->type);
    if (!count_elements(e, &n, err))
        return false;
    if (type &&
        (__builtin_mul_overflow(n, type->bits, &bits) || (bits + 7) / 8 != e->end - e->begin))
        return error_set(err, ERR_FORMAT,
                         "shape: %" PRIu64 " values of type %s do not take %" PRIu64 " bytes", n,
                         e->type, e->end - e->begin);
    size_t n_dims = json_array_size(e->shape);
    if (!type || type->dtype == DTYPE_COUNT || n == 0 || n_dims > 4) {
        add_unreadable(s, e, type, data, n);
        return true;
    }
    struct model_tensor *t = &s->tensors[s->n_tensors++];
    *t = (struct model_tensor){.name = arena_text(&s->names, slice_str(e->name)),
                               .dtype = type->dtype,
                               .n_dims = (int)n_dims,
                               .data = data + e->begin,
                               .bytes = e->end - e->begin};
    for (size_t k = 0; k < n_dims; k++)
        t->shape[k] = json_integer_value(json_array_get(e->shape, k));
    return true;
}

struct extent {
    uint64_t begin, end;
    const char *name;
};

static int by_begin(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

// No holes, no overlaps, nothing after the last: the format asks for it, so that no second
// reader can see something else in the same file.
static bool check_extents(struct extent *extents, size_t n, uint64_t data_bytes, struct error *err)
{
    uint64_t at = 0;
    qsort(extents, n, sizeof *extents, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (extents[i].begin != at)
            return error_set(err, ERR_FORMAT,
                             "tensor '%s': data_offsets: start at %" PRIu64 ", expected %" PRIu64
                             " (%s)",
                             shown_name(slice_str(extents[i].name)).text, extents[i].begin, at,
                             extents[i].begin < at ? "overlap" : "hole");
        at = extents[i].end;
    }
    if (at != data_bytes)
        return error_set(err, ERR_FORMAT,
                         "data: %" PRIu64 " bytes, the header accounts for %" PRIu64, data_bytes,
                         at);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct unreadable_tensor *x = a, *y = b;
    return strcmp(x->raw.name, y->raw.name);
}

static bool read_entries(struct safetensors *s, json_t *header, const unsigned char *data,
                         uint64_t data_bytes, struct error *err)
{
    size_t n_max = json_object_size(header), n = 0;
    bool ok = false;
    const char *name;
    json_t *value;
    struct extent *extents = memory_array(struct extent, n_max);
    s->tensors = memory_array(struct model_tensor, n_max);
    s->unreadable = memory_array(struct unreadable_tensor, n_max);
    json_object_foreach(header, name, value)
    {
        struct entry e = {.name = name, .type = ""};
        if (strcmp(name, "__metadata__") == 0) {
            if (json_is_object(value))
                continue;
            error_set(err, ERR_FORMAT, "__metadata__: not an object");
            goto out;
        }
        if (!read_entry(value, &e, data_bytes, err) || !add_tensor(s, &e, data, err)) {
            error_wrap(err, "tensor '%s'", shown_name(slice_str(name)).text);
            goto out;
        }
        extents[n++] = (struct extent){e.begin, e.end, name};
    }
    qsort(s->unreadable, s->n_unreadable, sizeof *s->unreadable, by_name);
    ok = check_extents(extents, n, data_bytes, err) &&
         tensor_index_build(&s->index, s->tensors, s->n_tensors, err);
out:
    free(extents);
    return ok;
}

static json_t *read_header(const unsigned char *bytes, size_t len, uint64_t *header_len,
                           struct error *err)
{
    if (len < sizeof *header_len) {
        error_set(err, ERR_FORMAT, "header: %zu bytes are no safetensors file", len);
        return NULL;
    }
    memcpy(header_len, bytes, sizeof *header_len);
    if (*header_len > len - sizeof *header_len) {
        error_set(err, ERR_FORMAT,
                  "header: %" PRIu64 " bytes in a file of %zu (cut, or not a safetensors file)",
                  *header_len, len);
        return NULL;
    }
    if (*header_len > SAFETENSORS_HEADER_MAX) {
        error_set(err, ERR_LIMIT, "header: %" PRIu64 " bytes, at most %d are possible", *header_len,
                  SAFETENSORS_HEADER_MAX);
        return NULL;
    }
    struct slice text = slice_of((const char *)bytes + sizeof *header_len, (size_t)*header_len);
    json_t *header = json_parse_unique(text, err);
    if (!header) {
        error_wrap(err, "header");
        return NULL;
    }
    if (json_is_object(header))
        return header;
    json_decref(header);
    error_set(err, ERR_FORMAT, "header: not an object");
    return NULL;
}

// Takes over the mapping.
static struct safetensors *open_bytes(const unsigned char *bytes, size_t len, struct mapping map,
                                      struct error *err)
{
    struct safetensors *s = memory_array(struct safetensors, 1);
    uint64_t header_len;
    s->map = map;
    json_t *header = read_header(bytes, len, &header_len, err);
    if (header) {
        size_t start = sizeof header_len + (size_t)header_len;
        bool ok = read_entries(s, header, bytes + start, len - start, err);
        json_decref(header);
        if (ok)
            return s;
    }
    safetensors_close(s);
    return NULL;
}

struct safetensors *safetensors_open_memory(const void *bytes, size_t len, struct error *err)
{
    return open_bytes(bytes, len, (struct mapping){0}, err);
}

struct safetensors *safetensors_open(const char *path, struct error *err)
{
    struct mapping map;
    if (!mapping_open(&map, path, err))
        return NULL;
    struct safetensors *s = open_bytes(map.ptr, map.len, map, err);
    if (!s)
        error_wrap(err, "open '%s'", shown_path(path).text);
    return s;
}

void safetensors_close(struct safetensors *s)
{
    if (!s)
        return;
    tensor_index_release(&s->index);
    free(s->tensors);
    free(s->unreadable);
    arena_release(&s->names);
    mapping_close(&s->map);
    free(s);
}

const struct mapping *safetensors_mapping(const struct safetensors *s)
{
    return &s->map;
}

size_t safetensors_n_tensors(const struct safetensors *s)
{
    return s->n_tensors;
}

const struct model_tensor *safetensors_tensor(const struct safetensors *s, size_t i)
{
    assert(i < s->n_tensors);
    return &s->tensors[i];
}

const struct model_tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    return tensor_index_find(&s->index, name);
}

static const struct unreadable_tensor *find_unreadable(const struct safetensors *s,
                                                       const char *name)
{
    struct unreadable_tensor wanted = {.raw = {.name = name}};
    return s->n_unreadable
               ? bsearch(&wanted, s->unreadable, s->n_unreadable, sizeof wanted, by_name)
               : NULL;
}

const char *safetensors_unreadable(const struct safetensors *s, const char *name)
{
    const struct unreadable_tensor *found = find_unreadable(s, name);
    return found ? found->why : NULL;
}

const struct raw_tensor *safetensors_raw(const struct safetensors *s, const char *name)
{
    const struct unreadable_tensor *found = find_unreadable(s, name);
    return found && found->raw.data ? &found->raw : NULL;
}
