// quotations.c - see quotations.h.
#include "summarize/quotations.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "summarize/breaks.h"
#include "summarize/prompts.h"

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
};

struct known {
    uint64_t opening;  // hash of the first two words
    struct slice words;
};
struct quotations {
    struct known *items;  // by opening, once sorted
    size_t n, capacity;
    bool sorted;
};

static bool is_mark(char c)
{
    return byte_of(c, " -*");
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
           ((unsigned char)s.ptr[s.len - 1] >= 0x80 || byte_of(s.ptr[s.len - 1], ".!?\"')]"));
}

static const char *place_of(struct slice text, struct slice words)
{
    return words.len ? memmem(text.ptr, text.len, words.ptr, words.len) : NULL;
}

// ---- sentences that are known

struct quotations *quotations_new(void)
{
    return memory_array(struct quotations, 1);
}

void quotations_free(struct quotations *q)
{
    if (q)
        free(q->items);
    free(q);
}

static uint64_t opening(struct slice s)
{
    size_t at = 0;
    struct slice first = next_word(s, &at), second = next_word(s, &at);
    return hash_bytes(first.ptr, first.len, hash_bytes(second.ptr, second.len, 1));
}

void quotations_learn(struct quotations *q, struct splitter *s, struct slice text)
{
    struct slice words;
    for (size_t at = 0; splitter_next(s, text, &at, &words);) {
        words = without_mark(words);
        if (word_count(words) < 2)
            continue;
        memory_grow(q->items, q->capacity, q->n + 1);
        q->items[q->n++] = (struct known){.opening = opening(words), .words = words};
    }
    q->sorted = false;
}

static int by_opening(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return (x->opening > y->opening) - (x->opening < y->opening);
}

// The first of the known sentences that open as `s` does, or n.
static size_t first_known(const struct quotations *q, uint64_t wanted)
{
    size_t from = 0, to = q->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (q->items[middle].opening < wanted)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

// The bytes of the longest known sentence that `rest` begins with; 0 if none.
static size_t known_beginning(const struct quotations *q, struct slice rest)
{
    uint64_t wanted = opening(rest);
    size_t best = 0;
    for (size_t i = first_known(q, wanted); i < q->n && q->items[i].opening == wanted; i++) {
        struct slice s = q->items[i].words;
        if (s.len <= best || s.len > rest.len || memcmp(s.ptr, rest.ptr, s.len) != 0)
            continue;
        if (s.len == rest.len ||
            (rest.ptr[s.len] == ' ' && (ends_with_stop(s) || word_count(s) >= MIN_WORDS)))
            best = s.len;
    }
    return best;
}

// The same; of a few words without a stop only if a known sentence follows them.
static size_t known_or_short(const struct quotations *q, struct slice rest)
{
    size_t best = known_beginning(q, rest);
    uint64_t wanted = opening(rest);
    for (size_t i = best ? q->n : first_known(q, wanted); i < q->n && q->items[i].opening == wanted;
         i++) {
        struct slice s = q->items[i].words;
        if (s.len > best && s.len < rest.len && memcmp(s.ptr, rest.ptr, s.len) == 0 &&
            rest.ptr[s.len] == ' ' && known_beginning(q, slice_sub(rest, s.len + 1, rest.len)) > 0)
            best = s.len;
    }
    return best;
}

// ---- pieces

// One line, cut where known sentences end, else by the rules for sentences.
static void cut_line(const struct quotations *q, struct splitter *s, struct slice text,
                     struct slice line, struct pieces *p)
{
    struct slice rest = without_mark(line), words = {0};
    struct slice mark = slice_of(line.ptr, line.len - rest.len);
    bool begins = true;
    for (size_t at = 0; splitter_next(s, rest, &at, &words); at = 0) {
        rest = slice_sub(rest, (size_t)(words.ptr - rest.ptr), rest.len);
        size_t known = known_or_short(q, rest);
        words.len = known ? known : words.len;
        memory_grow(p->items, p->capacity, p->n + 1);
        p->items[p->n++] = (struct piece){.words = words,
                                          .mark = mark,
                                          .line = p->n_lines,
                                          .begins_line = begins,
                                          .place = place_of(text, words)};
        begins = false;
        rest = slice_sub(rest, words.len, rest.len);
    }
    p->n_lines += !begins;
}

static struct pieces cut(const struct quotations *q, struct splitter *s, struct slice text,
                         struct slice words)
{
    struct pieces p = {0};
    struct slice line;
    for (size_t at = 0; next_line(words, &at, &line);)
        cut_line(q, s, text, line, &p);
    return p;
}

// How many words both begin with.
static size_t same_beginning(struct slice a, struct slice b)
{
    size_t n = 0;
    for (size_t at_a = 0, at_b = 0;; n++) {
        struct slice x = next_word(a, &at_a), y = next_word(b, &at_b);
        if (!x.len || !slice_eq(x, y))
            return n;
    }
}

// The share of the longer one that both begin and end with.
static double likeness(struct slice a, struct slice b)
{
    size_t n_a = word_count(a), n_b = word_count(b), shorter = n_a < n_b ? n_a : n_b;
    size_t same = same_beginning(a, b);
    for (size_t end_a = a.len, end_b = b.len; same < shorter; same++) {
        if (!slice_eq(last_word(a, &end_a), last_word(b, &end_b)))
            break;
    }
    return shorter ? (double)same / (double)(n_a > n_b ? n_a : n_b) : 0;
}

// Whether nearly all of a piece is how a sentence of the text begins: it slipped at its end.
static bool begins_as_a_source(const struct pieces *sources, struct slice words)
{
    size_t n = word_count(words);
    for (size_t i = 0; i < sources->n; i++) {
        size_t n_source = word_count(sources->items[i].words), longer = n > n_source ? n : n_source;
        if (5 * same_beginning(words, sources->items[i].words) >= 4 * longer)
            return true;
    }
    return false;
}

static bool mostly_quoted(const struct pieces *p, const struct pieces *sources)
{
    size_t whole = 0, quoted = 0, all = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct piece *piece = &p->items[i];
        size_t n = word_count(piece->words);
        all += n;
        whole += piece->place ? n : 0;
        quoted += piece->place || begins_as_a_source(sources, piece->words) ? n : 0;
    }
    return whole > 0 && 2 * quoted >= all;
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
static struct slice source_of(const struct pieces *sources, struct slice words)
{
    static const double near = 0.5;
    struct slice source = {0};
    double best = 0;
    for (size_t i = 0; i < sources->n; i++) {
        double like = likeness(words, sources->items[i].words);
        if (like >= near && like > best) {
            best = like;
            source = sources->items[i].words;
        }
    }
    return source;
}

// Whether words are the model's instructions, or come to their end in them.
static bool is_echo(struct slice instructions, struct slice words)
{
    size_t end = words.len;
    for (int i = 0; i < MIN_WORDS && last_word(words, &end).len > 0; i++)
        ;
    while (end < words.len && words.ptr[end] == ' ')
        end++;
    return place_of(instructions, slice_sub(words, end, words.len)) != NULL;
}

// What `p` is put back into.
struct wanted {
    struct pieces sources;
    struct slice instructions;
};

// Puts pieces that slipped back into the text's words, and drops what was said or is an echo. How
// many slipped; *all: nothing but quotations is left.
static size_t mend(struct pieces *p, const struct wanted *w, bool *all)
{
    size_t mended = 0, kept = 0;
    bool begins = false;  // the line of a piece that went begins with the next one
    *all = true;
    for (size_t i = 0; i < p->n; i++) {
        struct piece piece = p->items[i];
        struct slice source = piece.place ? piece.words : source_of(&w->sources, piece.words);
        bool echo = !source.len && is_echo(w->instructions, piece.words);
        mended += !piece.place && (source.len > 0 || echo);
        begins = begins || piece.begins_line;
        bool goes = echo || (source.len > 0 && said(p, i, source));
        p->items[i].place = NULL;  // from here on `kept` counts
        if (goes) {
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

static void write_pieces(const struct pieces *p, bool last, struct buf *out)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct piece *piece = &p->items[i];
        bool line = piece->begins_line || (last && i > 0 && !ends_with_stop(p->items[i - 1].words));
        if (i > 0)
            buf_char(out, line ? '\n' : ' ');
        if (line || i == 0)
            buf_slice(out, piece->mark);
        buf_slice(out, piece->words);
    }
}

size_t quotations_restore(struct quotations *q, struct splitter *s, const struct prompt *prompt,
                          bool last, struct buf *answer)
{
    if (!q->sorted && q->n)
        qsort(q->items, q->n, sizeof *q->items, by_opening);
    q->sorted = true;
    struct pieces p = cut(q, s, prompt->text, buf_view(answer));
    struct wanted w = {.sources = cut(q, s, prompt->text, prompt->text)};
    size_t mended = 0;
    if (mostly_quoted(&p, &w.sources)) {
        struct buf restored = {0}, instructions = {0};
        struct prompt frame = *prompt;
        bool all = false;
        frame.text = (struct slice){0};
        prompt_write(&instructions, &frame);
        w.instructions = buf_view(&instructions);
        mended = mend(&p, &w, &all);
        if (all)
            sort(&p);
        write_pieces(&p, last, &restored);
        buf_clear(answer);
        buf_slice(answer, buf_view(&restored));
        buf_release(&restored);
        buf_release(&instructions);
    }
    free(w.sources.items);
    free(p.items);
    return mended;
}
