#include "local/tokenizer/unicode.h"

#include <assert.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/utf8.h"

uint16_t *char_classes_new(void)
{
    uint16_t *classes = memory_array(uint16_t, 0x110000);
    for (int i = 0; i < n_char_ranges; i++)
        for (uint32_t c = char_ranges[i].first; c <= char_ranges[i].last; c++)
            classes[c] = char_ranges[i].classes;
    return classes;
}

void char_to_lower(uint32_t c, struct buf *out)
{
    if (c < 0x80) {
        buf_char(out, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
        return;
    }
    if (c == 0x130) {  // the only letter whose lower case is two
        buf_add(out, "i\xCC\x87", 3);
        return;
    }
    for (int i = 0; i < n_char_lower; i++) {
        if (char_lower[i][0] == c) {
            buf_utf8(out, char_lower[i][1]);
            return;
        }
    }
    buf_utf8(out, (uint32_t)u_tolower((UChar32)c));
}

static uint32_t stand_in(uint32_t c)
{
    for (int i = 0; i < n_char_newer; i++)
        if (c >= char_newer[i][0] && c <= char_newer[i][1])
            return char_newer[i][2];
    return c;
}

bool char_stand_ins(struct slice text, const uint16_t *classes, struct buf *out)
{
    size_t copied = 0;
    for (size_t i = 0, n; i < text.len; i += n) {
        uint32_t c = 0;
        n = 1;
        if ((unsigned char)text.ptr[i] < 0xE0)
            continue;
        n = utf8_decode(text.ptr + i, text.len - i, &c);
        if (n == 0)
            n = 1;
        if (!(classes[c] & CHAR_NEWER))
            continue;
        buf_add(out, text.ptr + copied, i - copied);
        buf_utf8(out, stand_in(c));
        copied = i + n;
    }
    if (copied)
        buf_add(out, text.ptr + copied, text.len - copied);
    return copied > 0;
}

static const UNormalizer2 *icu_form(enum normal_form form)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *n = form == FORM_NFC    ? unorm2_getNFCInstance(&status)
                            : form == FORM_NFD  ? unorm2_getNFDInstance(&status)
                            : form == FORM_NFKC ? unorm2_getNFKCInstance(&status)
                                                : unorm2_getNFKDInstance(&status);
    assert(U_SUCCESS(status));
    return n;
}

// The normal form of one chunk without inert characters.
static void add_normal(const UNormalizer2 *n, struct slice text, struct buf *out)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t len = (int32_t)text.len;
    UChar *from = memory_array(UChar, text.len + 1);
    int32_t n_from = 0;
    (void)u_strFromUTF8(from, len + 1, &n_from, text.ptr, len, &status);
    assert(U_SUCCESS(status));
    int32_t room = n_from * 3 + 64;
    UChar *to = memory_array(UChar, (size_t)room);
    int32_t n_to = unorm2_normalize(n, from, n_from, to, room, &status);
    if (status == U_BUFFER_OVERFLOW_ERROR) {  // NFKD makes up to 18 of one
        status = U_ZERO_ERROR;
        to = memory_resize(to, (size_t)n_to + 1, sizeof *to);
        n_to = unorm2_normalize(n, from, n_from, to, n_to + 1, &status);
    }
    assert(U_SUCCESS(status));
    buf_reserve(out, (size_t)n_to * 3 + 1);
    int32_t n_bytes = 0;
    (void)u_strToUTF8(out->ptr + out->len, n_to * 3 + 1, &n_bytes, to, n_to, &status);
    assert(U_SUCCESS(status));
    out->len += (size_t)n_bytes;
    free(from);
    free(to);
}

// ASCII never changes and never joins what is before it; a mark may join it from behind.
static size_t ascii_run(struct slice text, size_t from)
{
    size_t i = from;
    while (i < text.len && (unsigned char)text.ptr[i] < 0x80)
        i++;
    return i > from && i < text.len ? i - from - 1 : i - from;
}

size_t normal_chunk(enum normal_form form, struct slice text, const uint16_t *classes)
{
    const UNormalizer2 *n = icu_form(form);
    size_t i = 0;
    while (i < text.len) {
        uint32_t c = 0;
        size_t step = utf8_decode(text.ptr + i, text.len - i, &c);
        if (step == 0)
            return i ? i : 1;
        if (classes[c] & CHAR_INERT)
            return i ? i : step;
        if (i && unorm2_hasBoundaryBefore(n, (UChar32)c))
            return i;
        i += step;
    }
    return i;
}

// Where the chunk that starts at i may end: at ASCII text, before an inert character, or, so that
// reordering a wall of marks stays cheap, after 4096 characters.
static size_t chunk_end(const UNormalizer2 *n, struct slice text, size_t i, const uint16_t *classes)
{
    size_t end = i;
    for (int n_chars = 0;; n_chars++) {
        uint32_t c = 0;
        size_t step = utf8_decode(text.ptr + end, text.len - end, &c);
        if (step == 0)
            return end;
        if (end > i && ((classes[c] & CHAR_INERT) || n_chars > 4096))
            return end;
        if (end > i && (c < 0x80 || n_chars > 1024) && unorm2_hasBoundaryBefore(n, (UChar32)c))
            return end;
        end += step;
    }
}

void normalize_form(enum normal_form form, struct slice text, const uint16_t *classes,
                    struct buf *out)
{
    const UNormalizer2 *n = icu_form(form);
    for (size_t i = 0; i < text.len;) {
        uint32_t c = 0;
        size_t end = i + ascii_run(text, i);
        if (end > i) {
            buf_add(out, text.ptr + i, end - i);
        } else if (end = i + utf8_decode(text.ptr + i, text.len - i, &c), classes[c] & CHAR_INERT) {
            buf_add(out, text.ptr + i, end - i);
        } else {
            end = chunk_end(n, text, i, classes);
            add_normal(n, slice_sub(text, i, end - i), out);
        }
        assert(end > i);
        i = end;
    }
}

size_t utf8_broken(const char *p, size_t len)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t want = s[0] >= 0xC2 && s[0] < 0xE0   ? 2
                  : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
                  : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                                : 1;
    if (want == 1 || len < 2)
        return 1;
    unsigned char low = 0x80, high = 0xBF;
    if (s[0] == 0xE0)
        low = 0xA0;
    else if (s[0] == 0xED)
        high = 0x9F;
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F;
    if (s[1] < low || s[1] > high)
        return 1;
    size_t n = 2;
    while (n < want - 1 && n < len && (s[n] & 0xC0) == 0x80)
        n++;
    return n;
}

bool utf8_repair(struct slice text, struct buf *out)
{
    if (utf8_valid(text.ptr, text.len))
        return false;
    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t n = utf8_decode(text.ptr + i, text.len - i, &c);
        if (n) {
            buf_add(out, text.ptr + i, n);
        } else {
            n = utf8_broken(text.ptr + i, text.len - i);
            buf_utf8(out, 0xFFFD);
        }
        i += n;
    }
    return true;
}
