#include "documents/encoding.h"

#include <stdint.h>
#include <stdio.h>
#include <strings.h>
#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>

#include "base/error.h"
#include "base/utf8.h"

static const struct {
    const char *bytes;
    size_t len;
    const char *charset;
} marks[] = {
    {"\xEF\xBB\xBF", 3, "UTF-8"}, {"\xFF\xFE\0\0", 4, "UTF-32LE"}, {"\0\0\xFE\xFF", 4, "UTF-32BE"},
    {"\xFF\xFE", 2, "UTF-16LE"},  {"\xFE\xFF", 2, "UTF-16BE"},
};

// ISO-8859-1 and ASCII are labels that files carry while they hold Windows-1252.
static const char *real_name(const char *name)
{
    static const char *const latin[] = {"iso-8859-1", "iso8859-1", "latin1",
                                        "latin-1",    "us-ascii",  "ascii"};
    for (size_t i = 0; i < sizeof latin / sizeof *latin; i++) {
        if (strcasecmp(name, latin[i]) == 0)
            return "windows-1252";
    }
    return name;
}

static bool is_known(const char *name)
{
    UErrorCode status = U_ZERO_ERROR;
    UConverter *c = ucnv_open(name, &status);
    ucnv_close(c);
    return U_SUCCESS(status) && c;
}

static bool find_after(struct slice head, const char *word, size_t *at)
{
    size_t n = strlen(word);
    for (size_t i = *at; i + n <= head.len; i++) {
        if (strncasecmp(head.ptr + i, word, n) == 0) {
            *at = i + n;
            return true;
        }
    }
    return false;
}

// <?xml encoding="x"?>, <meta charset="x">, <meta content="text/html; charset=x">: in the first
// bytes, as browsers look.
static bool declared_charset(struct slice bytes, char name[64])
{
    static const char *const words[] = {"encoding", "charset"};
    struct slice head = slice_sub(bytes, 0, 4096);
    for (int w = 0; w < 2; w++) {
        size_t at = 0;
        if (w == 0 && !slice_starts(head, slice_str("<?xml")))
            continue;
        while (find_after(head, words[w], &at)) {
            size_t i = at, n = 0;
            while (i < head.len && (head.ptr[i] == ' ' || head.ptr[i] == '='))
                i++;
            if (i == at)
                continue;
            if (i < head.len && (head.ptr[i] == '"' || head.ptr[i] == '\''))
                i++;
            for (; i < head.len && n < 63 && strchr("\"'>; \t\r\n?", head.ptr[i]) == NULL; i++)
                name[n++] = head.ptr[i];
            name[n] = 0;
            // The declaration could be read as ASCII, so it cannot be UTF-16 whatever it says.
            if (strncasecmp(name, "utf-16", 6) == 0 || strncasecmp(name, "utf-32", 6) == 0)
                (void)snprintf(name, 64, "UTF-8");
            if (n > 0 && is_known(name))
                return true;
        }
    }
    return false;
}

// UTF-16 without a mark: mostly Latin text has a zero in every second byte.
static const char *wide_charset(struct slice bytes)
{
    size_t n = bytes.len < 4096 ? bytes.len & ~(size_t)1 : 4096, zeros[2] = {0, 0};
    for (size_t i = 0; i < n; i++)
        zeros[i & 1] += bytes.ptr[i] == 0;
    if (n < 4)
        return NULL;
    if (zeros[1] > n / 4 && zeros[0] < n / 20)
        return "UTF-16LE";
    return zeros[0] > n / 4 && zeros[1] < n / 20 ? "UTF-16BE" : NULL;
}

static void detect(struct slice bytes, char name[64])
{
    enum { SAMPLE = 256 * 1024, MIN_CONFIDENCE = 30 };
    UErrorCode status = U_ZERO_ERROR;
    (void)snprintf(name, 64, "windows-1252");
    UCharsetDetector *d = ucsdet_open(&status);
    if (U_FAILURE(status))
        return;
    int32_t n = bytes.len < SAMPLE ? (int32_t)bytes.len : SAMPLE;
    ucsdet_setText(d, bytes.ptr, n, &status);
    const UCharsetMatch *match = ucsdet_detect(d, &status);
    if (U_SUCCESS(status) && match && ucsdet_getConfidence(match, &status) >= MIN_CONFIDENCE) {
        const char *found = ucsdet_getName(match, &status);
        if (U_SUCCESS(status) && found && is_known(found))
            (void)snprintf(name, 64, "%s", real_name(found));
    }
    ucsdet_close(d);
}

static void choose(struct slice bytes, bool declared, struct decoded *out)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (slice_starts(bytes, slice_of(marks[i].bytes, marks[i].len))) {
            out->mark = marks[i].len;
            (void)snprintf(out->charset, sizeof out->charset, "%s", marks[i].charset);
            return;
        }
    }
    char name[64];
    const char *wide = wide_charset(bytes);
    if (wide)
        (void)snprintf(out->charset, sizeof out->charset, "%s", wide);
    else if (declared && declared_charset(bytes, name))
        (void)snprintf(out->charset, sizeof out->charset, "%s", real_name(name));
    else if (utf8_valid(bytes.ptr, bytes.len))
        (void)snprintf(out->charset, sizeof out->charset, "UTF-8");
    else
        detect(bytes, out->charset);
}

// Converts the bytes and hands over each run of UTF-16 with the offsets it came from.
typedef void visit_fn(void *self, const UChar *units, const int32_t *offsets, size_t n);
static bool convert(struct slice bytes, const char *charset, visit_fn *visit, void *self)
{
    enum { UNITS = 4096 };
    UErrorCode status = U_ZERO_ERROR;
    UConverter *c = ucnv_open(charset, &status);
    if (U_FAILURE(status))
        return false;
    const char *source = bytes.ptr, *limit = bytes.ptr + bytes.len;
    do {
        UChar units[UNITS], *target = units;
        int32_t offsets[UNITS];
        const char *begin = source;
        status = U_ZERO_ERROR;
        ucnv_toUnicode(c, &target, units + UNITS, &source, limit, offsets, true, &status);
        size_t n = (size_t)(target - units), base = (size_t)(begin - bytes.ptr);
        for (size_t i = 0; i < n; i++)
            offsets[i] = (int32_t)base + (offsets[i] > 0 ? offsets[i] : 0);
        visit(self, units, offsets, n);
    } while (status == U_BUFFER_OVERFLOW_ERROR);
    ucnv_close(c);
    return U_SUCCESS(status);
}

struct writer {
    struct buf *text;  // NULL: only positions are wanted
    size_t *const *positions;
    size_t n, next, at;  // at: bytes of UTF-8 so far
    uint32_t high;       // the first half of a pair
};

static void write_units(void *self, const UChar *units, const int32_t *offsets, size_t n)
{
    struct writer *w = self;
    for (size_t i = 0; i < n; i++) {
        uint32_t code = units[i];
        if (code >= 0xD800 && code < 0xDC00) {
            w->high = code;
            continue;
        }
        if (code >= 0xDC00 && code < 0xE000)
            code = w->high ? 0x10000 + ((w->high - 0xD800) << 10) + (code - 0xDC00) : 0xFFFD;
        w->high = 0;
        while (w->next < w->n && *w->positions[w->next] <= w->at)
            *w->positions[w->next++] = (size_t)offsets[i];
        char utf8[4];
        size_t len = utf8_encode(code, utf8);
        if (w->text)
            buf_add(w->text, utf8, len);
        w->at += len;
    }
}

bool encoding_decode(struct slice bytes, bool declared, struct decoded *out, struct error *err)
{
    *out = (struct decoded){0};
    choose(bytes, declared, out);
    struct slice body = slice_sub(bytes, out->mark, bytes.len);
    if (strcasecmp(out->charset, "UTF-8") == 0 && utf8_valid(body.ptr, body.len)) {
        out->text = body;
        out->same = true;
        return true;
    }
    struct writer w = {.text = &out->owned};
    if (!convert(body, out->charset, write_units, &w)) {
        encoding_release(out);
        return error_set(err, ERR_FORMAT, "cannot be read as %s", out->charset);
    }
    out->text = buf_view(&out->owned);
    return true;
}

void encoding_release(struct decoded *d)
{
    buf_release(&d->owned);
    d->text = slice_of("", 0);
}

void encoding_map(struct slice bytes, const struct decoded *d, size_t *const *positions, size_t n)
{
    struct writer w = {.positions = positions, .n = n};
    if (!d->same) {
        struct slice body = slice_sub(bytes, d->mark, bytes.len);
        (void)convert(body, d->charset, write_units, &w);
        for (; w.next < n; w.next++)
            *positions[w.next] = body.len;
    }
    for (size_t i = 0; i < n; i++)
        *positions[i] += d->mark;
}
