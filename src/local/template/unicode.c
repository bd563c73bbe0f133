// unicode.c - character classes and case mapping as Python's str has them, by ICU.
#include <assert.h>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>

#include "local/template/run.h"
#include "local/template/text.h"

bool unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool unicode_is_line_break(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool unicode_is_alpha(uint32_t c)
{
    return (U_MASK(u_charType((UChar32)c)) & U_GC_L_MASK) != 0;
}

bool unicode_is_decimal(uint32_t c)
{
    return u_charType((UChar32)c) == U_DECIMAL_DIGIT_NUMBER;
}

bool unicode_is_digit(uint32_t c)
{
    int32_t type = u_getIntPropertyValue((UChar32)c, UCHAR_NUMERIC_TYPE);
    return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}

bool unicode_is_numeric(uint32_t c)
{
    return u_getIntPropertyValue((UChar32)c, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool unicode_is_lower(uint32_t c)
{
    return u_hasBinaryProperty((UChar32)c, UCHAR_LOWERCASE);
}

bool unicode_is_upper(uint32_t c)
{
    return u_hasBinaryProperty((UChar32)c, UCHAR_UPPERCASE);
}

bool unicode_is_title(uint32_t c)
{
    return u_charType((UChar32)c) == U_TITLECASE_LETTER;
}

bool unicode_is_word(uint32_t c)
{
    return c == '_' || unicode_is_alpha(c) || unicode_is_numeric(c);
}

bool unicode_is_printable(uint32_t c)
{
    if (c < 0x7F)
        return c >= 0x20;
    return (U_MASK(u_charType((UChar32)c)) & (U_GC_C_MASK | U_GC_Z_MASK)) == 0;
}

// Marks of a text whose bytes moved: kept where nothing moved, else all of it counts as marked.
static void add_marks(struct builder *b, size_t at, const struct text *t, size_t from, size_t to)
{
    bool same_size = b->len - at == to - from, any = false;
    for (size_t i = 0; i < t->n_marks; i++) {
        size_t start = t->marks[i].start > from ? t->marks[i].start : from;
        size_t end = t->marks[i].end < to ? t->marks[i].end : to;
        any |= start < end;
        if (same_size && start < end)
            builder_mark(b, at + start - from, at + end - from);
    }
    if (any && !same_size)
        builder_mark(b, at, b->len);
}

// One character at a time: titles, and texts that grow a lot.
static void map_bytes(struct builder *b, const char *bytes, int32_t len, enum unicode_case which)
{
    UErrorCode status = U_ZERO_ERROR;
    // The root locale's map needs no opening that could fail halfway: it is one per call.
    UCaseMap *map = ucasemap_open("", U_TITLECASE_NO_LOWERCASE, &status);
    int32_t capacity = len * 3 + 16, n = 0;
    char *out = NULL;
    if (U_SUCCESS(status)) {
        struct run *r = b->r;
        bool fits = (size_t)capacity <= r->max_memory - r->arena.used_bytes;
        if (fits) {
            out = arena_alloc(&r->arena, (size_t)capacity, 1);
            n = which == CASE_LOWER ? ucasemap_utf8ToLower(map, out, capacity, bytes, len, &status)
                : which == CASE_UPPER
                    ? ucasemap_utf8ToUpper(map, out, capacity, bytes, len, &status)
                : which == CASE_FOLD
                    ? ucasemap_utf8FoldCase(map, out, capacity, bytes, len, &status)
                    : ucasemap_utf8ToTitle(map, out, capacity, bytes, len, &status);
        }
    }
    ucasemap_close(map);
    if (!out || U_FAILURE(status))
        run_fail(b->r, ERR_LIMIT, "a text is too long to change its case");
    builder_add(b, out, (size_t)n);
}

static bool is_ascii(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)p[i] >= 0x80)
            return false;
    return true;
}

void unicode_add_case(struct builder *b, const struct text *t, size_t from, size_t to,
                      enum unicode_case which)
{
    size_t at = b->len;
    if (from >= to)
        return;
    run_charge(b->r, 1 + (to - from) / 16);
    if (is_ascii(t->ptr + from, to - from)) {
        bool up = which == CASE_UPPER || which == CASE_TITLE;
        builder_add(b, t->ptr + from, to - from);
        for (size_t i = at; i < b->len; i++) {
            char c = b->ptr[i];
            if (up ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
                b->ptr[i] = (char)(c ^ 0x20);
        }
    } else {
        if (to - from > INT32_MAX / 4)
            run_fail(b->r, ERR_LIMIT, "a text is too long to change its case");
        map_bytes(b, t->ptr + from, (int32_t)(to - from), which);
    }
    add_marks(b, at, t, from, to);
}
