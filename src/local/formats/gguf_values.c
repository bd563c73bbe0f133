// Typed reads of GGUF values. Nothing here can run past the file: gguf.c checked every extent.
#include <assert.h>
#include <string.h>

#include "local/formats/gguf.h"

// Booleans are no integers here. False for other types, and for what int64_t cannot hold.
static bool i64_at(enum gguf_type type, const unsigned char *p, int64_t *value)
{
    int16_t i16;
    int32_t i32;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (type) {
    case GGUF_U8: *value = *p; return true;
    case GGUF_I8: *value = (int64_t)(*p ^ 0x80) - 0x80; return true;
    case GGUF_U16:
        memcpy(&u16, p, sizeof u16);
        *value = u16;
        return true;
    case GGUF_I16:
        memcpy(&i16, p, sizeof i16);
        *value = i16;
        return true;
    case GGUF_U32:
        memcpy(&u32, p, sizeof u32);
        *value = u32;
        return true;
    case GGUF_I32:
        memcpy(&i32, p, sizeof i32);
        *value = i32;
        return true;
    case GGUF_I64: memcpy(value, p, sizeof *value); return true;
    case GGUF_U64:
        memcpy(&u64, p, sizeof u64);
        if (u64 > INT64_MAX)
            return false;
        *value = (int64_t)u64;
        return true;
    default: return false;
    }
}

static bool f64_at(enum gguf_type type, const unsigned char *p, double *value)
{
    float f;
    int64_t i;
    uint64_t u;
    switch (type) {
    case GGUF_F32:
        memcpy(&f, p, sizeof f);
        *value = (double)f;
        return true;
    case GGUF_F64: memcpy(value, p, sizeof *value); return true;
    case GGUF_U64:
        memcpy(&u, p, sizeof u);
        *value = (double)u;
        return true;
    default:
        if (!i64_at(type, p, &i))
            return false;
        *value = (double)i;
        return true;
    }
}

bool gguf_get_i64(const struct gguf *g, const char *key, int64_t *value)
{
    const struct gguf_value *v = gguf_find(g, key);
    return v && i64_at(v->type, v->data, value);
}

bool gguf_get_u64(const struct gguf *g, const char *key, uint64_t *value)
{
    const struct gguf_value *v = gguf_find(g, key);
    int64_t i;
    if (v && v->type == GGUF_U64) {
        memcpy(value, v->data, sizeof *value);
        return true;
    }
    if (!v || !i64_at(v->type, v->data, &i) || i < 0)
        return false;
    *value = (uint64_t)i;
    return true;
}

bool gguf_get_f64(const struct gguf *g, const char *key, double *value)
{
    const struct gguf_value *v = gguf_find(g, key);
    return v && f64_at(v->type, v->data, value);
}

bool gguf_get_bool(const struct gguf *g, const char *key, bool *value)
{
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || v->type != GGUF_BOOL)
        return false;
    *value = v->data[0] != 0;
    return true;
}

static struct slice text_at(const unsigned char *p)
{
    uint64_t len;
    memcpy(&len, p, sizeof len);
    return slice_of((const char *)p + sizeof len, (size_t)len);
}

bool gguf_get_text(const struct gguf *g, const char *key, struct slice *value)
{
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || v->type != GGUF_STRING)
        return false;
    *value = text_at(v->data);
    return true;
}

static const unsigned char *item_at(const struct gguf_value *v, uint64_t i)
{
    assert(i < v->n);
    return v->data + i * (v->bytes / v->n);
}

bool gguf_item_i64(const struct gguf_value *v, uint64_t i, int64_t *value)
{
    if (v->item_type == GGUF_STRING)
        return false;
    const unsigned char *p = item_at(v, i);
    if (v->item_type == GGUF_BOOL) {
        *value = *p != 0;
        return true;
    }
    return i64_at(v->item_type, p, value);
}

bool gguf_item_f64(const struct gguf_value *v, uint64_t i, double *value)
{
    return v->item_type != GGUF_STRING && f64_at(v->item_type, item_at(v, i), value);
}

bool gguf_next_text(const struct gguf_value *v, const unsigned char **cursor, struct slice *value)
{
    if (v->type != GGUF_ARRAY || v->item_type != GGUF_STRING || *cursor >= v->data + v->bytes)
        return false;
    *value = text_at(*cursor);
    *cursor = (const unsigned char *)value->ptr + value->len;
    return true;
}
