#include "local/tokenizer/decoder.h"

#include <assert.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/pattern.h"
#include "local/tokenizer/unicode.h"
#include "local/tokenizer/vocab.h"

struct slice strings_at(const struct strings *s, size_t i)
{
    size_t start = i ? s->ends[i - 1] : 0;
    return slice_sub(buf_view(&s->text), start, s->ends[i] - start);
}

void strings_end(struct strings *s)
{
    memory_grow(s->ends, s->capacity, s->n + 1);
    s->ends[s->n++] = s->text.len;
}

void strings_clear(struct strings *s)
{
    buf_clear(&s->text);
    s->n = 0;
}

void strings_release(struct strings *s)
{
    buf_release(&s->text);
    free(s->ends);
    *s = (struct strings){0};
}

void decode_letters(struct slice s, struct buf *out)
{
    size_t before = out->len;
    for (size_t k = 0, n; k < s.len; k += n) {
        uint32_t c;
        n = utf8_decode(s.ptr + k, s.len - k, &c);
        int byte = n ? byte_of_letter(c) : -1;
        if (byte < 0) {  // not of this alphabet: the string stands for itself
            out->len = before;
            buf_slice(out, s);
            return;
        }
        buf_char(out, (char)byte);
    }
}

static void byte_level(const struct strings *in, struct strings *out)
{
    struct buf bytes = {0};
    for (size_t i = 0; i < in->n; i++)
        decode_letters(strings_at(in, i), &bytes);
    if (!utf8_repair(buf_view(&bytes), &out->text))
        buf_slice(&out->text, buf_view(&bytes));
    strings_end(out);
    buf_release(&bytes);
}

static void replace_text(struct slice s, struct slice what, struct slice by, struct buf *out)
{
    for (size_t i = 0; i < s.len;) {
        const char *at = what.len ? memmem(s.ptr + i, s.len - i, what.ptr, what.len) : NULL;
        size_t end = at ? (size_t)(at - s.ptr) : s.len;
        buf_add(out, s.ptr + i, end - i);
        if (at)
            buf_slice(out, by);
        i = end + (at ? what.len : 0);
    }
}

static void metaspace(const struct decoder *d, const struct strings *in, struct strings *out,
                      bool first)
{
    for (size_t i = 0; i < in->n; i++) {
        bool strips = i == 0 && first && d->strips_first;
        replace_text(strings_at(in, i), slice_of(d->text, d->text_len),
                     slice_str(strips ? "" : " "), &out->text);
        strings_end(out);
    }
}

// A run of byte tokens is one string if its bytes are UTF-8, else a U+FFFD for each.
static void end_bytes(struct buf *bytes, struct strings *out)
{
    if (bytes->len && utf8_valid(bytes->ptr, bytes->len)) {
        buf_slice(&out->text, buf_view(bytes));
        strings_end(out);
    } else {
        for (size_t i = 0; i < bytes->len; i++) {
            buf_utf8(&out->text, 0xFFFD);
            strings_end(out);
        }
    }
    buf_clear(bytes);
}

static void byte_fallback(const struct strings *in, struct strings *out)
{
    struct buf bytes = {0};
    for (size_t i = 0; i < in->n; i++) {
        int byte = byte_piece(strings_at(in, i));
        if (byte >= 0) {
            buf_char(&bytes, (char)byte);
            continue;
        }
        end_bytes(&bytes, out);
        buf_slice(&out->text, strings_at(in, i));
        strings_end(out);
    }
    end_bytes(&bytes, out);
    buf_release(&bytes);
}

static bool replace(const struct decoder *d, struct matcher *m, const struct strings *in,
                    struct strings *out, struct error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct slice s = strings_at(in, i);
        struct match found = {0};
        size_t done = 0, from = 0;
        int n;
        while ((n = pattern_next(d->pattern, m, s, from, &found, err)) > 0) {
            buf_slice(&out->text, slice_sub(s, done, found.start - done));
            buf_add(&out->text, d->text, d->text_len);
            done = from = found.end;
            if (found.start == found.end)
                from++;
            while (from < s.len && ((unsigned char)s.ptr[from] & 0xC0) == 0x80)
                from++;
        }
        if (n < 0)
            return false;
        buf_slice(&out->text, slice_sub(s, done, s.len));
        strings_end(out);
    }
    return true;
}

static void strip(const struct decoder *d, const struct strings *in, struct strings *out)
{
    struct slice what = slice_of(d->text, d->text_len);
    for (size_t i = 0; i < in->n; i++) {
        struct slice s = strings_at(in, i);
        for (int64_t k = 0; k < d->start && what.len && slice_starts(s, what); k++)
            s = slice_sub(s, what.len, s.len);
        for (int64_t k = 0; k < d->stop && what.len && s.len >= what.len &&
                            memcmp(s.ptr + s.len - what.len, what.ptr, what.len) == 0;
             k++)
            s.len -= what.len;
        buf_slice(&out->text, s);
        strings_end(out);
    }
}

static void cleanup(struct buf *text)
{
    static const char *const rules[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    struct buf other = {0};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        buf_clear(&other);
        replace_text(buf_view(text), slice_str(rules[i][0]), slice_str(rules[i][1]), &other);
        struct buf swap = *text;
        *text = other;
        other = swap;
    }
    buf_release(&other);
}

static void wordpiece(const struct decoder *d, const struct strings *in, struct strings *out,
                      bool first)
{
    struct buf one = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct slice s = strings_at(in, i), prefix = slice_of(d->text, d->text_len);
        buf_clear(&one);
        if (i > 0 || !first) {
            if (slice_starts(s, prefix))
                s = slice_sub(s, prefix.len, s.len);
            else
                buf_char(&one, ' ');
        }
        buf_slice(&one, s);
        if (d->cleanup)
            cleanup(&one);
        buf_slice(&out->text, buf_view(&one));
        strings_end(out);
    }
    buf_release(&one);
}

static void bpe(const struct decoder *d, const struct strings *in, struct strings *out, bool last)
{
    for (size_t i = 0; i < in->n; i++) {
        bool ends = last && i + 1 == in->n;
        replace_text(strings_at(in, i), slice_of(d->text, d->text_len), slice_str(ends ? "" : " "),
                     &out->text);
        strings_end(out);
    }
}

static void ctc(const struct decoder *d, const struct strings *in, struct strings *out)
{
    struct buf one = {0}, two = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct slice s = strings_at(in, i);
        if (i > 0 && slice_eq(s, strings_at(in, i - 1)))
            continue;
        buf_clear(&one);
        buf_clear(&two);
        replace_text(s, slice_str(d->pad), slice_str(""), &one);
        if (d->cleanup) {
            cleanup(&one);
            replace_text(buf_view(&one), slice_of(d->text, d->text_len), slice_str(" "), &two);
        }
        struct slice result = buf_view(d->cleanup ? &two : &one);
        if (result.len == 0)
            continue;
        buf_slice(&out->text, result);
        strings_end(out);
    }
    buf_release(&one);
    buf_release(&two);
}

static bool run_one(const struct decoder *d, struct matcher *m, const struct strings *in,
                    struct strings *out, bool first, bool last, struct error *err)
{
    switch (d->kind) {
    case DECODE_BYTE_LEVEL: byte_level(in, out); break;
    case DECODE_METASPACE: metaspace(d, in, out, first); break;
    case DECODE_BYTE_FALLBACK: byte_fallback(in, out); break;
    case DECODE_FUSE:
        buf_slice(&out->text, buf_view(&in->text));
        strings_end(out);
        break;
    case DECODE_REPLACE: return replace(d, m, in, out, err);
    case DECODE_STRIP: strip(d, in, out); break;
    case DECODE_WORDPIECE: wordpiece(d, in, out, first); break;
    case DECODE_BPE: bpe(d, in, out, last); break;
    case DECODE_CTC: ctc(d, in, out); break;
    }
    return true;
}

bool decoders_run(const struct decoders *d, int from, int to, struct matcher *m,
                  struct strings *strings, struct strings *other, struct strings **result,
                  bool first, bool last, struct error *err)
{
    for (int i = from; i < to; i++) {
        strings_clear(other);
        other->text.max_bytes = (size_t)1 << 30;
        if (!run_one(&d->items[i], m, strings, other, first, last, err))
            return false;
        if (other->text.overflow)
            return error_set(err, ERR_LIMIT, "decoder: more than 2^30 bytes come out");
        struct strings *swap = strings;
        strings = other;
        other = swap;
    }
    *result = strings;
    return true;
}

void decoders_release(struct decoders *d)
{
    for (int i = 0; i < d->n; i++) {
        pattern_free(d->items[i].pattern);
        free(d->items[i].text);
        free(d->items[i].pad);
    }
    d->n = 0;
}
