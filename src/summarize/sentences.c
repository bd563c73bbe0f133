#include "summarize/sentences.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/memory.h"
#include "documents/document.h"
#include "summarize/breaks.h"
#include "summarize/summarize.h"

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

// The next word, folded to lower case in ASCII, as a hash; 0 at the end.
static uint64_t next_word(struct slice s, size_t *at)
{
    char word[64];
    size_t n = 0;
    while (*at < s.len && !is_letter(s.ptr[*at]))
        (*at)++;
    if (*at >= s.len)
        return 0;
    for (; *at < s.len && is_letter(s.ptr[*at]); (*at)++) {
        if (n < sizeof word)
            word[n++] = (char)tolower((unsigned char)s.ptr[*at]);
    }
    return hash_bytes(word, n, 1) | 1;
}

static uint64_t sentence_hash(struct slice s)
{
    uint64_t h = 7, word;
    for (size_t at = 0; (word = next_word(s, &at)) != 0;)
        h = hash_mix(h ^ word);
    return h | 1;
}

// Adds a hash; false if it was there.
static bool set_add(struct sentence_set *set, uint64_t h)
{
    if (set->n * 2 >= set->capacity) {
        struct sentence_set larger = {.capacity = set->capacity ? set->capacity * 2 : 64};
        larger.hashes = memory_array(uint64_t, larger.capacity);
        for (size_t i = 0; i < set->capacity; i++) {
            if (set->hashes[i])
                (void)set_add(&larger, set->hashes[i]);
        }
        free(set->hashes);
        *set = larger;
    }
    size_t i = h & (set->capacity - 1);
    for (; set->hashes[i]; i = (i + 1) & (set->capacity - 1)) {
        if (set->hashes[i] == h)
            return false;
    }
    set->hashes[i] = h;
    set->n++;
    return true;
}

static bool set_has(const struct sentence_set *set, uint64_t h)
{
    if (!set->capacity)
        return false;
    for (size_t i = h & (set->capacity - 1); set->hashes[i]; i = (i + 1) & (set->capacity - 1)) {
        if (set->hashes[i] == h)
            return true;
    }
    return false;
}

void sentence_set_release(struct sentence_set *seen)
{
    free(seen->hashes);
    *seen = (struct sentence_set){0};
}

static bool has_newline(const char *from, const char *to)
{
    return to > from && memchr(from, '\n', (size_t)(to - from)) != NULL;
}

void sentences_without_repeats(struct splitter *s, struct slice text, struct sentence_set *seen,
                               struct buf *out)
{
    struct slice sentence;
    const char *last_end = text.ptr;
    size_t begin = out->len;
    for (size_t at = 0; splitter_next(s, text, &at, &sentence);) {
        bool line = has_newline(last_end, sentence.ptr);
        // The white space in front tells how it was joined to the one before.
        size_t indent = 0;
        while (line && sentence.ptr - indent > last_end &&
               sentence.ptr[-(ptrdiff_t)indent - 1] == ' ')
            indent++;
        last_end = sentence.ptr + sentence.len;
        if (!set_add(seen, sentence_hash(sentence)))
            continue;
        if (out->len > begin)
            buf_char(out, line ? '\n' : ' ');
        buf_add(out, sentence.ptr - indent, indent + sentence.len);
    }
}

void sentences_cut_whole(struct splitter *s, struct buf *text)
{
    struct slice sentence, all = buf_view(text);
    size_t keep = 0;
    for (size_t at = 0; splitter_next(s, all, &at, &sentence);) {
        size_t end = (size_t)(sentence.ptr - all.ptr) + sentence.len;
        if (at < all.len || byte_of(sentence.ptr[sentence.len - 1], ".!?\"')"))
            keep = end;
    }
    if (keep > 0) {
        text->len = keep;
        text->ptr[keep] = 0;
    }
}

// ---- where sentences come from

enum { MAX_SOURCES = 3, MIN_WORDS = 4 };

struct best {
    double score;
    struct summary_source source;
};

static void keep_best(struct best *best, double score, struct summary_source source)
{
    int i = MAX_SOURCES - 1;
    for (int k = 0; k < MAX_SOURCES; k++) {
        if (best[k].score > 0 && best[k].source.document == source.document &&
            best[k].source.start == source.start)
            return;  // another sentence of the same block was better already, or comes first
    }
    if (score <= best[i].score)
        return;
    for (; i > 0 && best[i - 1].score < score; i--)
        best[i] = best[i - 1];
    best[i] = (struct best){.score = score, .source = source};
}

// The share of the set's words that a block's sentence holds.
static double shared_words(const struct sentence_set *words, struct slice sentence)
{
    struct sentence_set found = {0};
    uint64_t word;
    size_t n = 0;
    for (size_t at = 0; (word = next_word(sentence, &at)) != 0;)
        n += set_has(words, word) && set_add(&found, word);
    sentence_set_release(&found);
    return words->n ? (double)n / (double)words->n : 0;
}

struct traced {
    struct slice text;
    struct sentence_set words;
    struct best best[MAX_SOURCES];
};

static void trace_sentence(struct traced *t, size_t n, struct slice sentence,
                           struct summary_source source)
{
    static const double near = 0.6;
    uint64_t h = sentence_hash(sentence);
    for (size_t i = 0; i < n; i++) {
        if (t[i].words.n < MIN_WORDS)
            continue;
        double score = h == sentence_hash(t[i].text) ? 2 : shared_words(&t[i].words, sentence);
        if (score >= near)
            keep_best(t[i].best, score, source);
    }
}

static void finish_trace(const struct traced *t, struct summary_sentence *out, struct arena *a)
{
    struct summary_source *sources = arena_new(a, struct summary_source, MAX_SOURCES);
    out->text = slice_of(arena_text(a, t->text), t->text.len);
    out->sources = sources;
    for (int i = 0; i < MAX_SOURCES && t->best[i].score > 0; i++) {
        if (i > 0 && t->best[0].score > 1)
            break;  // the words themselves were found: near ones add nothing
        sources[out->n_sources++] = t->best[i].source;
    }
}

struct summary_sentence *sentences_trace(struct splitter *s, struct slice summary,
                                         struct document *const *documents, size_t n_documents,
                                         struct arena *a, size_t *n)
{
    struct traced *traced = NULL;
    size_t capacity = 0;
    struct slice sentence;
    *n = 0;
    for (size_t at = 0; splitter_next(s, summary, &at, &sentence);) {
        memory_grow(traced, capacity, *n + 1);
        struct traced *t = &traced[(*n)++];
        *t = (struct traced){.text = sentence};
        uint64_t word;
        for (size_t w = 0; (word = next_word(sentence, &w)) != 0;)
            (void)set_add(&t->words, word);
    }
    for (size_t d = 0; d<n_documents && * n> 0; d++) {
        for (size_t b = 0; b < documents[d]->n_blocks; b++) {
            const struct document_block *block = &documents[d]->blocks[b];
            struct summary_source source = {
                .document = (int)d, .start = block->start, .end = block->end};
            for (size_t at = 0; splitter_next(s, block->text, &at, &sentence);)
                trace_sentence(traced, *n, sentence, source);
        }
    }
    struct summary_sentence *out = arena_new(a, struct summary_sentence, *n + 1);
    for (size_t i = 0; i < *n; i++) {
        finish_trace(&traced[i], &out[i], a);
        sentence_set_release(&traced[i].words);
    }
    free(traced);
    return out;
}
