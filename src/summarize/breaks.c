#include "summarize/breaks.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

struct splitter {
    UBreakIterator *iterators[BREAK_KINDS];
    // The text that the sentence iterator stands on, for splitter_next.
    UText *text;
    const char *current;
    size_t current_len;
};

struct splitter *splitter_new(struct error *err)
{
    static const UBreakIteratorType types[BREAK_KINDS] = {UBRK_SENTENCE, UBRK_LINE, UBRK_CHARACTER};
    struct splitter *s = memory_array(struct splitter, 1);
    UErrorCode status = U_ZERO_ERROR;
    for (int i = 0; i < BREAK_KINDS; i++)
        s->iterators[i] = ubrk_open(types[i], "", NULL, 0, &status);
    if (U_SUCCESS(status))
        return s;
    splitter_free(s);
    (void)error_set(err, ERR_INTERNAL, "ICU's break rules: %s", u_errorName(status));
    return NULL;
}

void splitter_free(struct splitter *s)
{
    if (!s)
        return;
    for (int i = 0; i < BREAK_KINDS; i++) {
        if (s->iterators[i])
            ubrk_close(s->iterators[i]);
    }
    utext_close(s->text);
    free(s);
}

static bool stand_on(struct splitter *s, enum break_kind kind, struct slice text)
{
    UErrorCode status = U_ZERO_ERROR;
    s->text = utext_openUTF8(s->text, text.ptr, (int64_t)text.len, &status);
    ubrk_setUText(s->iterators[kind], s->text, &status);
    s->current = NULL;
    return U_SUCCESS(status) && text.len > 0;
}

bool splitter_next(struct splitter *s, struct slice text, size_t *at, struct slice *sentence)
{
    while (*at < text.len) {
        if (*at == 0 || s->current != text.ptr || s->current_len != text.len) {
            if (!stand_on(s, BREAK_SENTENCE, text))
                return false;
            s->current = text.ptr;
            s->current_len = text.len;
        }
        int32_t next = ubrk_following(s->iterators[BREAK_SENTENCE], (int32_t)*at);
        size_t end = next == UBRK_DONE ? text.len : (size_t)next;
        *sentence = slice_of(text.ptr + *at, end - *at);
        *at = end;
        while (sentence->len && (unsigned char)sentence->ptr[0] <= ' ')
            *sentence = slice_sub(*sentence, 1, sentence->len);
        while (sentence->len && (unsigned char)sentence->ptr[sentence->len - 1] <= ' ')
            sentence->len--;
        if (sentence->len)
            return true;
    }
    s->current = NULL;  // the caller may free the text
    return false;
}

size_t splitter_before(struct splitter *s, struct slice text, enum break_kind kind, size_t limit)
{
    if (limit >= text.len)
        return text.len;
    if (!stand_on(s, kind, text))
        return 0;
    int32_t at = ubrk_preceding(s->iterators[kind], (int32_t)limit + 1);
    return at == UBRK_DONE ? 0 : (size_t)at;
}

size_t splitter_character(struct splitter *s, struct slice text)
{
    if (!stand_on(s, BREAK_CHARACTER, text))
        return text.len;
    int32_t at = ubrk_following(s->iterators[BREAK_CHARACTER], 0);
    return at == UBRK_DONE ? text.len : (size_t)at;
}

// How many of the first `len` bytes to take so that they have at most max tokens, by proportion
// and bisection; `tokens` is what all of them have.
static bool fitting_bytes(struct slice text, int64_t tokens, int64_t max, count_fn *count,
                          void *self, size_t *bytes, struct error *err)
{
    enum { TRIES = 10 };
    size_t fits = 0, too_many = text.len;
    for (int i = 0; i < TRIES && too_many - fits > 1 + text.len / 64; i++) {
        size_t guess = i == 0 ? (size_t)((double)text.len * (double)max / (double)tokens * 0.97)
                              : fits + (too_many - fits) / 2;
        guess = guess > fits && guess < too_many ? guess : fits + (too_many - fits) / 2;
        size_t whole = utf8_whole(text.ptr, guess);
        int64_t n = 0;
        if (!count(self, slice_of(text.ptr, whole), &n, err))
            return false;
        if (n <= max)
            fits = guess;
        else
            too_many = guess;
    }
    *bytes = fits;
    return true;
}

bool splitter_prefix(struct splitter *s, struct slice text, int64_t max_tokens, count_fn *count,
                     void *self, size_t *bytes, struct error *err)
{
    enum { BYTES_PER_TOKEN = 12, SLACK = 64 };
    *bytes = 0;
    size_t window = (size_t)(max_tokens > 0 ? max_tokens : 0) * BYTES_PER_TOKEN + SLACK;
    struct slice view = slice_sub(text, 0, window);
    if (view.len < text.len)
        view.len = utf8_whole(view.ptr, view.len);
    int64_t tokens = 0;
    if (!count(self, view, &tokens, err))
        return false;
    size_t limit = view.len;
    if (tokens > max_tokens && !fitting_bytes(view, tokens, max_tokens, count, self, &limit, err))
        return false;
    if (limit == text.len) {
        *bytes = limit;
        return true;
    }
    if (limit == view.len && limit > 0)
        limit--;  // the end of the view is no boundary of the text
    for (int kind = BREAK_SENTENCE; kind < BREAK_KINDS; kind++) {
        size_t at = splitter_before(s, view, (enum break_kind)kind, limit);
        // A tiny beginning would make many tiny parts: rather divide a sentence.
        if (at > 0 && (at >= limit / 4 || kind == BREAK_CHARACTER)) {
            *bytes = at;
            return true;
        }
    }
    return true;
}
