// quotations.c - see quotations.h.
#include "summarize/quotations.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "summarize/breaks.h"

// A sentence without a stop at its end must have so many words to be told apart by them: a heading
// of one word begins other sentences too.
enum { MIN_WORDS = 4 };

struct piece {
    struct slice words;
    struct slice mark;  // of its line, as "- "
    size_t line, order;
    bool begins_line;
    const char *place;  // where the text has it; NULL: nowhere
};

struct pieces {
    struct piece *items;
    size_t n, capacity, n_lines;
    struct slice *sources;  // the text's sentences
    size_t n_sources, sources_capacity;
};

static bool is_mark(char c)
{
    return strchr(" -*", c) != NULL;
}

static struct slice without_mark(struct slice s)
{
    while (s.len && s.ptr[0] && is_mark(s.ptr[0]))
        s = slice_sub(s, 1, s.len);
    return s;
}

static bool next_line(struct slice text, size_t *at, struct slice *line)
{
    if (*at >= text.len)
        return false;
    const char *begin = text.ptr + *at, *end = memchr(begin, '\n', text.len - *at);
    size_t bytes = end ? (size_t)(end - begin) : text.len - *at;
    *line = slice_of(begin, bytes);
    *at += bytes + 1;
    return true;
}

static struct slice next_word(struct slice s, size_t *at)
{
    while (*at < s.len && (unsigned char)s.ptr[*at] <= ' ')
        (*at)++;
    size_t begin = *at;
    while (*at < s.len && (unsigned char)s.ptr[*at] > ' ')
        (*at)++;
    return slice_of(s.ptr + begin, *at - begin);
}

static struct slice last_word(struct slice s, size_t *end)
{
    while (*end > 0 && (unsigned char)s.ptr[*end - 1] <= ' ')
        (*end)--;
    size_t last = *end;
    while (*end > 0 && (unsigned char)s.ptr[*end - 1] > ' ')
        (*end)--;
    return slice_of(s.ptr + *end, last - *end);
}

static size_t word_count(struct slice s)
{
    size_t n = 0;
    for (size_t at = 0; next_word(s, &at).len > 0;)
        n++;
    return n;
}

// A byte beyond ASCII may be any script's stop or closing quote.
static bool ends_with_stop(struct slice s)
{
    return s.len > 0 &&
           ((unsigned char)s.ptr[s.len - 1] >= 0x80 || strchr(".!?\"')]", s.ptr[s.len - 1]));
}

static const char *place_of(struct slice text, struct slice words)
{
    return words.len ? memmem(text.ptr, text.len, words.ptr, words.len) : NULL;
}

// The longest sentence of the text that `rest` begins with; empty if none.
static struct slice quoted_beginning(const struct pieces *p, struct slice rest)
{
    struct slice best = {0};
    for (size_t i = 0; i < p->n_sources; i++) {
        struct slice s = p->sources[i];
        if (s.len > best.len && s.len <= rest.len && memcmp(s.ptr, rest.ptr, s.len) == 0 &&
            (s.len == rest.len || rest.ptr[s.len] == ' ') &&
            (ends_with_stop(s) || word_count(s) >= MIN_WORDS))
            best = s;
    }
    return best;
}

// One line of the answer, cut where the text's own sentences end, else by the rules for sentences.
static void cut_line(struct splitter *s, struct slice text, struct slice line, struct pieces *p)
{
    struct slice rest = without_mark(line);
    struct slice mark = slice_of(line.ptr, line.len - rest.len);
    bool begins = true;
    while (rest.len > 0) {
        struct slice words = {0};
        size_t at = 0;
        if (!splitter_next(s, rest, &at, &words))
            break;
        const char *place = place_of(text, words);
        if (!place) {
            struct slice quoted =
                quoted_beginning(p, slice_sub(rest, (size_t)(words.ptr - rest.ptr), rest.len));
            if (quoted.len) {
                place = quoted.ptr;
                words.len = quoted.len;
            }
        }
        memory_grow(p->items, p->capacity, p->n + 1);
        p->items[p->n++] = (struct piece){.words = words,
                                          .mark = mark,
                                          .line = p->n_lines,
                                          .begins_line = begins,
                                          .place = place};
        begins = false;
        rest = slice_sub(rest, (size_t)(words.ptr - rest.ptr) + words.len, rest.len);
    }
    p->n_lines += !begins;
}

static void cut(struct splitter *s, struct slice text, struct slice answer, struct pieces *p)
{
    struct slice words;
    for (size_t at = 0; splitter_next(s, text, &at, &words);) {
        memory_grow(p->sources, p->sources_capacity, p->n_sources + 1);
        words = without_mark(words);
        if (words.len)
            p->sources[p->n_sources++] = words;
    }
    for (size_t at = 0; next_line(answer, &at, &words);)
        cut_line(s, text, words, p);
}

static bool mostly_quoted(const struct pieces *p)
{
    size_t quoted = 0, all = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t n = word_count(p->items[i].words);
        all += n;
        quoted += p->items[i].place ? n : 0;
    }
    return quoted > 0 && 2 * quoted >= all;
}

// The share of the longer one that both begin and end with.
static double likeness(struct slice a, struct slice b)
{
    size_t n_a = word_count(a), n_b = word_count(b), shorter = n_a < n_b ? n_a : n_b, same = 0;
    for (size_t at_a = 0, at_b = 0; same < shorter; same++) {
        if (!slice_eq(next_word(a, &at_a), next_word(b, &at_b)))
            break;
    }
    for (size_t end_a = a.len, end_b = b.len; same < shorter; same++) {
        if (!slice_eq(last_word(a, &end_a), last_word(b, &end_b)))
            break;
    }
    return shorter ? (double)same / (double)(n_a > n_b ? n_a : n_b) : 0;
}

// Whether another piece than `self` says these words of the text: one before it, or, for words that
// `self` only meant, any.
static bool said(const struct pieces *p, size_t self, struct slice words)
{
    for (size_t i = 0; i < p->n; i++) {
        if (i == self && p->items[i].place)
            return false;
        if (p->items[i].place && slice_eq(p->items[i].words, words))
            return true;
    }
    return false;
}

// What a piece that slipped quotes; empty if it is like nothing.
static struct slice source_of(const struct pieces *p, struct slice words)
{
    static const double near = 0.5;
    struct slice source = {0};
    double best = 0;
    for (size_t i = 0; i < p->n_sources; i++) {
        double like = likeness(words, p->sources[i]);
        if (like >= near && like > best) {
            best = like;
            source = p->sources[i];
        }
    }
    return source;
}

// Puts pieces that slipped back into the text's words, and drops what was said. How many slipped;
// *all: nothing but quotations is left.
static size_t mend(struct pieces *p, bool *all)
{
    size_t mended = 0, kept = 0;
    bool begins = false;  // the line of a piece that went begins with the next one
    *all = true;
    for (size_t i = 0; i < p->n; i++) {
        struct piece piece = p->items[i];
        struct slice source = piece.place ? piece.words : source_of(p, piece.words);
        mended += source.len > 0 && !piece.place;
        begins = begins || piece.begins_line;
        bool again = source.len > 0 && said(p, i, source);
        p->items[i].place = NULL;  // from here on `kept` counts
        if (again) {
            begins = begins && i + 1 < p->n && p->items[i + 1].line == piece.line;
            continue;
        }
        if (source.len > 0 && !piece.place) {
            piece.words = source;
            piece.place = source.ptr;
        }
        piece.begins_line = begins;
        begins = false;
        *all = *all && piece.place;
        p->items[kept++] = piece;
    }
    p->n = kept;
    return mended;
}

static int by_place(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return x->place != y->place ? (x->place > y->place) - (x->place < y->place)
                                : (x->order > y->order) - (x->order < y->order);
}

// Of several lines each stays whole and follows its first sentence.
static void sort(struct pieces *p)
{
    bool lines = p->n > 0 && p->items[p->n - 1].line != p->items[0].line;
    for (size_t i = 0; i < p->n; i++) {
        p->items[i].order = i;
        p->items[i].begins_line = p->items[i].begins_line && lines;
        if (lines && i > 0 && p->items[i].line == p->items[i - 1].line)
            p->items[i].place = p->items[i - 1].place;
    }
    qsort(p->items, p->n, sizeof *p->items, by_place);
}

static void write_pieces(const struct pieces *p, struct buf *out)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct piece *piece = &p->items[i];
        bool line = piece->begins_line || (i > 0 && !ends_with_stop(p->items[i - 1].words));
        if (i > 0)
            buf_char(out, line ? '\n' : ' ');
        if (line || i == 0)
            buf_slice(out, piece->mark);
        buf_slice(out, piece->words);
    }
}

size_t quotations_restore(struct splitter *s, struct slice text, struct buf *answer)
{
    struct pieces p = {0};
    size_t mended = 0;
    cut(s, text, buf_view(answer), &p);
    if (mostly_quoted(&p)) {
        struct buf restored = {0};
        bool all = false;
        mended = mend(&p, &all);
        if (all)
            sort(&p);
        write_pieces(&p, &restored);
        buf_clear(answer);
        buf_slice(answer, buf_view(&restored));
        buf_release(&restored);
    }
    free(p.items);
    free(p.sources);
    return mended;
}
