// redact_rules.c - the rules of a redaction, compiled, and where they find something.
#include <ctype.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "gateway/redact_impl.h"
#include "gateway/words.h"

// A call looks at matches that begin in so many bytes; between calls the time is looked at. It is
// the thread's own, so that who else is busy decides nothing.
enum { WINDOW_BYTES = 1024, TIME_MAX_S = 2, MATCH_LIMIT = 1000000, HEAP_LIMIT_KIB = 16 << 10 };

struct redaction_rules {
    char **names;
    pcre2_code **codes;  // NULL: a list of words
    size_t n;
    struct words *words;  // of all lists; NULL: there are none
};

static bool compile(struct redaction_rules *r, const struct config_redaction *from,
                    struct error *err)
{
    int code;
    PCRE2_SIZE at;
    unsigned char why[128];
    if (!from->pattern) {
        if (!r->words)
            r->words = words_new();
        for (size_t i = 0; i < from->n_words; i++)
            words_add(r->words, slice_str(from->words[i]), (uint32_t)r->n);
        return true;
    }
    r->codes[r->n] = pcre2_compile(
        (PCRE2_SPTR)from->pattern, PCRE2_ZERO_TERMINATED,
        PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT, &code, &at, NULL);
    if (r->codes[r->n]) {
        (void)pcre2_jit_compile(r->codes[r->n], PCRE2_JIT_COMPLETE);  // without it: slower only
        return true;
    }
    (void)pcre2_get_error_message(code, why, sizeof why);
    return error_set(err, ERR_FORMAT, "redaction '%.40s': its pattern, at byte %zu: %s", from->name,
                     (size_t)at, (char *)why);
}

bool redaction_rules_new(const struct config_redaction *list, size_t n,
                         struct redaction_rules **out, size_t *bad, struct error *err)
{
    *out = NULL;
    if (n == 0)
        return true;
    struct redaction_rules *r = memory_array(struct redaction_rules, 1);
    r->names = memory_array(char *, n);
    r->codes = memory_array(pcre2_code *, n);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        r->names[i] = memory_text(list[i].name);
        for (char *c = r->names[i]; *c; c++)
            *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        ok = compile(r, &list[i], err);
        if (!ok && bad)
            *bad = i;
        r->n++;
    }
    if (r->words)
        words_build(r->words);
    if (ok)
        *out = r;
    else
        redaction_rules_free(r);
    return ok;
}

void redaction_rules_free(struct redaction_rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        free(r->names[i]);
        pcre2_code_free(r->codes[i]);
    }
    free(r->names);
    free(r->codes);
    words_free(r->words);
    free(r);
}

const char *rules_name(const struct redaction_rules *rules, uint32_t rule)
{
    return rules->names[rule];
}

size_t rules_n(const struct redaction_rules *rules)
{
    return rules->n;
}

void spans_add(struct spans *s, struct span one)
{
    memory_grow(s->items, s->capacity, s->n + 1);
    s->items[s->n++] = one;
}

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end != y->end ? (x->end > y->end ? -1 : 1)
                            : (x->rule > y->rule) - (x->rule < y->rule);
}

void spans_merge(struct spans *s)
{
    size_t n = 0;
    if (s->n)
        qsort(s->items, s->n, sizeof *s->items, by_start);
    for (size_t i = 0; i < s->n; i++) {
        struct span one = s->items[i];
        if (n == 0 || one.start >= s->items[n - 1].end)
            s->items[n++] = one;
        else if (one.end > s->items[n - 1].end)
            s->items[n - 1].end = one.end;
    }
    s->n = n;
}

static void find_words(const struct words *w, struct slice text, struct spans *out)
{
    uint32_t state = 0, mark;
    for (size_t i = 0; i < text.len; i++) {
        size_t len = words_step(w, &state, (unsigned char)text.ptr[i], &mark);
        if (len)
            spans_add(out, (struct span){i + 1 - len, i + 1, mark});
    }
}

static int64_t thread_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static size_t next_character(struct slice text, size_t at)
{
    while (at < text.len && ((unsigned char)text.ptr[at] & 0xC0) == 0x80)
        at++;
    return at;
}

static bool too_long(const struct redaction_rules *rules, uint32_t rule, struct error *err)
{
    return error_set(err, ERR_UNSUPPORTED, "redaction '%.40s' takes too long on this text",
                     rules->names[rule]);
}

// Compiled code has a small stack; where that ends, the interpreter goes on.
static int match(const pcre2_code *code, struct slice text, size_t at, struct rule_search *s)
{
    uint32_t how = PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK;
    int n = pcre2_match(code, (PCRE2_SPTR)text.ptr, text.len, at, how, s->match, s->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
        n = pcre2_match(code, (PCRE2_SPTR)text.ptr, text.len, at, how | PCRE2_NO_JIT, s->match,
                        s->context);
    return n;
}

static bool find_pattern(const struct redaction_rules *rules, struct rule_search *s, uint32_t rule,
                         struct slice text, struct spans *out, struct error *err)
{
    PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->match);
    int64_t began = thread_ns(), spent = s->spent_ns;
    for (size_t at = 0; at < text.len;) {
        size_t limit = text.len - at > WINDOW_BYTES ? at + WINDOW_BYTES : text.len;
        pcre2_set_offset_limit(s->context, limit);
        int n = match(rules->codes[rule], text, at, s);
        s->spent_ns = spent + thread_ns() - began;
        if (n < 0 && n != PCRE2_ERROR_NOMATCH)
            return too_long(rules, rule, err);
        if (s->spent_ns > TIME_MAX_S * INT64_C(1000000000))
            return too_long(rules, rule, err);
        if (n < 0) {
            at = next_character(text, limit + 1);
            continue;
        }
        // \K can put the start behind the end.
        struct span one = {v[0] < v[1] ? v[0] : v[1], v[0] < v[1] ? v[1] : v[0], rule};
        if (one.end > one.start)
            spans_add(out, one);
        at = next_character(text, v[1] > at ? v[1] : at + 1);
    }
    return true;
}

bool rules_find(const struct redaction_rules *rules, struct rule_search *search, struct slice text,
                struct spans *out, struct error *err)
{
    out->n = 0;
    if (text.len == 0)
        return true;
    if (!utf8_valid(text.ptr, text.len))
        return error_set(err, ERR_FORMAT, "a text that is not UTF-8 cannot be redacted");
    if (rules->words)
        find_words(rules->words, text, out);
    for (uint32_t i = 0; i < rules->n; i++)
        if (rules->codes[i] && !find_pattern(rules, search, i, text, out, err))
            return false;
    spans_merge(out);
    return true;
}

void rule_search_init(struct rule_search *s)
{
    *s = (struct rule_search){.match = pcre2_match_data_create(1, NULL),
                              .context = pcre2_match_context_create(NULL)};
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    pcre2_set_heap_limit(s->context, HEAP_LIMIT_KIB);
}

void rule_search_release(struct rule_search *s)
{
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->context);
}
