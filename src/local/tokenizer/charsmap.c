#include "local/tokenizer/charsmap.h"

#include "base/error.h"
#include "base/utf8.h"

bool charsmap_open(struct charsmap *m, struct slice blob, const char *field, struct error *err)
{
    uint32_t bytes = 0;
    const unsigned char *p = (const unsigned char *)blob.ptr;
    *m = (struct charsmap){0};
    if (blob.len == 0)
        return true;
    if (blob.len < 4)
        return error_set(err, ERR_FORMAT, "%s: %zu bytes are no precompiled map", field, blob.len);
    bytes = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    if (bytes > blob.len - 4 || bytes % 4 != 0)
        return error_set(err, ERR_FORMAT, "%s: a trie of %u bytes does not fit into %zu", field,
                         (unsigned)bytes, blob.len);
    m->units = p + 4;
    m->n_units = bytes / 4;
    m->replacements = slice_of(blob.ptr + 4 + bytes, blob.len - 4 - bytes);
    if (!utf8_valid(m->replacements.ptr, m->replacements.len))
        return error_set(err, ERR_FORMAT, "%s: the replacements are not UTF-8", field);
    return true;
}

static bool unit_at(const struct charsmap *m, size_t i, uint32_t *unit)
{
    if (i >= m->n_units)
        return false;
    const unsigned char *p = m->units + 4 * i;
    *unit = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return true;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

enum { KEY_MAX_BYTES = 64, REPLACEMENT_MAX_BYTES = 256 };  // the longest in use: 15 and 33

static bool replacement_at(const struct charsmap *m, size_t at, struct slice *out)
{
    if (at >= m->replacements.len)
        return false;
    const char *p = m->replacements.ptr + at;
    const char *end = memchr(p, 0, m->replacements.len - at);
    *out = slice_of(p, end ? (size_t)(end - p) : m->replacements.len - at);
    return out->len <= REPLACEMENT_MAX_BYTES &&
           utf8_valid(out->ptr, out->len);  // an offset into the middle of a character
}

size_t charsmap_find(const struct charsmap *m, struct slice text, bool longest,
                     struct slice *replacement)
{
    size_t found = 0, node = 0;
    uint32_t unit, leaf;
    if (!unit_at(m, 0, &unit))
        return 0;
    node ^= offset_of(unit);
    for (size_t i = 0; i < text.len && i < KEY_MAX_BYTES; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        node ^= c;
        if (c == 0 || !unit_at(m, node, &unit) || (unit & ((1u << 31) | 0xFF)) != c)
            break;
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1) || !unit_at(m, node, &leaf))
            continue;
        if (replacement_at(m, leaf & ((1u << 31) - 1), replacement)) {
            found = i + 1;
            if (!longest)
                break;
        }
    }
    return found;
}
