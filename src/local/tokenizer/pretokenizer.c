// pretokenizer.c - cuts a text into words, depth first.
//
// Every stage treats each piece by itself, so a piece runs through all later stages before the
// next one is cut: no list of pieces is ever held.
// Source: tokenizers, pre_tokenizers/ and NormalizedString::split.
#include "base/error.h"
#include "base/utf8.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/unicode.h"

struct cutter {
    struct encoder *e;
    int stage;  // the next one
    struct slice text;
    bool first;
    enum split_behavior behavior;
    size_t start, end;  // what waits
    bool waiting, waits_matched, before_matched;
};

static bool give(struct cutter *c, size_t start, size_t end)
{
    if (start == end)
        return true;
    return pretokenize(c->e, c->stage, slice_sub(c->text, start, end - start),
                       c->first && start == 0);
}

static bool flush(struct cutter *c)
{
    if (!c->waiting)
        return true;
    c->waiting = false;
    return give(c, c->start, c->end);
}

static void hold(struct cutter *c, size_t start, size_t end, bool matched)
{
    c->start = start;
    c->end = end;
    c->waiting = true;
    c->waits_matched = matched;
}

// One part of the text, a match or what lies between two.
static bool part(struct cutter *c, size_t start, size_t end, bool matched)
{
    bool before = c->before_matched;
    c->before_matched = matched;
    switch (c->behavior) {
    case SPLIT_ISOLATED: return give(c, start, end);
    case SPLIT_REMOVED: return matched ? true : give(c, start, end);
    case SPLIT_CONTIGUOUS:
        if (c->waiting && matched == before) {
            c->end = end;
            return true;
        }
        break;
    case SPLIT_WITH_PREVIOUS:
        if (c->waiting && matched && !before) {
            c->end = end;
            return true;
        }
        break;
    case SPLIT_WITH_NEXT:
        if (c->waiting && c->waits_matched && !matched) {
            c->waiting = false;
            return give(c, c->start, end);
        }
        if (!flush(c))
            return false;
        if (!matched)
            return give(c, start, end);
        break;
    }
    if (!flush(c))
        return false;
    hold(c, start, end, matched);
    return true;
}

// Cuts c->text at the matches in `seen`, which is the text or as long as it.
static bool cut(struct cutter *c, const struct pattern *pattern, struct slice seen, bool invert)
{
    struct match found = {0};
    size_t done = 0, from = 0;
    int n;
    while ((n = pattern_next(pattern, &c->e->matcher, seen, from, &found, c->e->err)) > 0) {
        if (found.start > done && !part(c, done, found.start, invert))
            return false;
        if (found.end > found.start && !part(c, found.start, found.end, !invert))
            return false;
        done = from = found.end;
        if (found.start == found.end) {
            uint32_t code;
            size_t step = utf8_decode(seen.ptr + from, seen.len - from, &code);
            from += step ? step : 1;
        }
    }
    if (n < 0 || (done < seen.len && !part(c, done, seen.len, invert)))
        return false;
    return flush(c);
}

static bool split(struct encoder *e, int stage, struct slice text, bool first,
                  const struct pattern *pattern, enum split_behavior behavior, bool invert)
{
    struct buf shadow = {0};
    struct cutter c = {
        .e = e, .stage = stage + 1, .text = text, .first = first, .behavior = behavior};
    bool ok = cut(&c, pattern, pattern_text(pattern, &e->matcher, text, &shadow), invert);
    buf_release(&shadow);
    return ok;
}

// The words of ByteLevel, each as letters unless the model takes the bytes themselves.
static bool byte_level(struct encoder *e, int stage, struct slice text, bool first)
{
    const struct pretokenizer *p = &e->t->pre[stage];
    struct buf prefixed = {0}, *letters = &e->stage[stage];
    if (p->prefix_space && text.ptr[0] != ' ') {
        buf_char(&prefixed, ' ');
        buf_slice(&prefixed, text);
        text = buf_view(&prefixed);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < text.len;) {
        struct match word = {i, text.len};
        if (p->pattern && pattern_next(p->pattern, &e->matcher, text, i, &word, e->err) < 0) {
            ok = false;
            break;
        }
        struct slice bytes = slice_sub(text, word.start, word.end - word.start);
        if (!p->raw) {
            buf_clear(letters);
            byte_letters(bytes, letters);
            bytes = buf_view(letters);
        }
        ok = pretokenize(e, stage + 1, bytes, first && i == 0);
        i = word.end;
    }
    buf_release(&prefixed);
    return ok;
}

static bool metaspace(struct encoder *e, int stage, struct slice text, bool first)
{
    const struct pretokenizer *p = &e->t->pre[stage];
    struct slice meta = slice_of(p->meta, p->meta_len);
    struct buf *out = &e->stage[stage];
    buf_clear(out);
    bool starts = text.ptr[0] == ' ' || slice_starts(text, meta);
    if (!starts && (p->scheme == PREPEND_ALWAYS || (p->scheme == PREPEND_FIRST && first)))
        buf_slice(out, meta);
    for (size_t i = 0; i < text.len;) {
        const char *space = memchr(text.ptr + i, ' ', text.len - i);
        size_t end = space ? (size_t)(space - text.ptr) : text.len;
        buf_add(out, text.ptr + i, end - i);
        if (space)
            buf_slice(out, meta);
        i = end + 1;
    }
    if (!p->split)
        return pretokenize(e, stage + 1, buf_view(out), first);
    return split(e, stage, buf_view(out), first, p->pattern, SPLIT_WITH_NEXT, false);
}

static bool fixed_length(struct encoder *e, int stage, struct slice text, bool first)
{
    for (size_t i = 0; i < text.len;) {
        size_t end = i;
        for (size_t n = 0; n < e->t->pre[stage].length && end < text.len; n++) {
            uint32_t c;
            size_t step = utf8_decode(text.ptr + end, text.len - end, &c);
            end += step ? step : 1;
        }
        if (!pretokenize(e, stage + 1, slice_sub(text, i, end - i), first && i == 0))
            return false;
        i = end;
    }
    return true;
}

bool pretokenize(struct encoder *e, int stage, struct slice piece, bool first)
{
    if (piece.len == 0)
        return true;
    if (stage == e->t->n_pre)
        return model_encode(e, piece);
    const struct pretokenizer *p = &e->t->pre[stage];
    switch (p->kind) {
    case PRE_SPLIT: return split(e, stage, piece, first, p->pattern, p->behavior, p->invert);
    case PRE_BYTE_LEVEL: return byte_level(e, stage, piece, first);
    case PRE_METASPACE: return metaspace(e, stage, piece, first);
    case PRE_FIXED_LENGTH: return fixed_length(e, stage, piece, first);
    }
    return true;
}

void pretokenizer_release(struct pretokenizer *p)
{
    pattern_free(p->pattern);
}
