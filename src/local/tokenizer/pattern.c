#define PCRE2_CODE_UNIT_WIDTH 8
#include "local/tokenizer/pattern.h"

#include <pcre2.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/regex_dialect.h"
#include "local/tokenizer/unicode.h"
#include "local/tokenizer/words.h"

enum { REGEX_MAX_BYTES = 1 << 14 };  // the longest in use has 1,500

enum pattern_kind { PATTERN_TEXT, PATTERN_CLASS, PATTERN_WORDS, PATTERN_TRAILING, PATTERN_REGEX };
struct pattern {
    enum pattern_kind kind;
    char *text;
    size_t text_len;
    uint16_t classes;
    struct word_rules rules;
    pcre2_code *code;
    char field[64];
};

static struct pattern *pattern_new(enum pattern_kind kind, const char *field)
{
    struct pattern *p = memory_array(struct pattern, 1);
    p->kind = kind;
    (void)snprintf(p->field, sizeof p->field, "%s", field);
    return p;
}

struct pattern *pattern_new_text(struct slice text, const char *field)
{
    struct pattern *p = pattern_new(PATTERN_TEXT, field);
    p->text = memory_text_n(text.ptr, text.len);
    p->text_len = text.len;
    return p;
}

struct pattern *pattern_new_class(uint16_t classes, const char *field)
{
    struct pattern *p = pattern_new(PATTERN_CLASS, field);
    p->classes = classes;
    return p;
}

static bool compile(struct pattern *p, struct slice source, struct error *err)
{
    struct buf translated = {0};
    int why = 0;
    PCRE2_SIZE where = 0;
    if (regex_translate(source, p->field, &translated, err)) {
        pcre2_compile_context *c = pcre2_compile_context_create(NULL);
        pcre2_set_max_pattern_length(c, REGEX_MAX_BYTES * 2);
        pcre2_set_parens_nest_limit(c, 100);
        p->code = pcre2_compile((PCRE2_SPTR)buf_text(&translated), translated.len,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                &why, &where, c);
        pcre2_compile_context_free(c);
        if (p->code) {
            (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);  // without it: slower only
        } else {
            char text[120];
            (void)pcre2_get_error_message(why, (PCRE2_UCHAR *)text, sizeof text);
            error_set(err, ERR_FORMAT, "%s: the expression does not compile: %s (at %zu)", p->field,
                      text, (size_t)where);
        }
    }
    buf_release(&translated);
    return p->code != NULL;
}

struct pattern *pattern_new_regex(struct slice source, const char *field, struct error *err)
{
    if (source.len > REGEX_MAX_BYTES) {
        error_set(err, ERR_LIMIT, "%s: the expression has %zu bytes, at most %d", field, source.len,
                  REGEX_MAX_BYTES);
        return NULL;
    }
    struct pattern *p = pattern_new(PATTERN_REGEX, field);
    if (word_rules_find(source, &p->rules))
        p->kind = PATTERN_WORDS;
    else if (slice_is(source, "\\s+$"))
        p->kind = PATTERN_TRAILING;
    else if (!compile(p, source, err)) {
        pattern_free(p);
        return NULL;
    }
    return p;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    free(p->text);
    pcre2_code_free(p->code);
    free(p);
}

bool pattern_is_byte(const struct pattern *p, char *byte)
{
    if (p->kind == PATTERN_TEXT && p->text_len == 1)
        *byte = p->text[0];
    return p->kind == PATTERN_TEXT && p->text_len == 1;
}

void matcher_release(struct matcher *m)
{
    pcre2_match_data_free(m->match_data);
    pcre2_match_context_free(m->context);
}

static int64_t thread_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Time for all expressions of one call: a hundred times what ordinary ones need.
static void start(struct matcher *m, size_t text_bytes)
{
    m->match_data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    pcre2_set_heap_limit(m->context, 64 << 10);  // KiB
    m->deadline_ns = thread_cpu_ns() + 500000000 + (int64_t)text_bytes * 10000;
}

static int next_regex(const struct pattern *p, struct matcher *m, struct slice text, size_t from,
                      struct match *found, struct error *err)
{
    if (!m->match_data)
        start(m, text.len);
    if (++m->n_matches % 64 == 0 && thread_cpu_ns() > m->deadline_ns) {
        error_set(err, ERR_LIMIT, "%s: the expression takes too long on this text", p->field);
        return -1;
    }
    size_t left = text.len - from;
    pcre2_set_match_limit(m->context, (uint32_t)(left > 1 << 25 ? 1 << 30 : 2000000 + left * 20));
    int n = pcre2_match(p->code, (PCRE2_SPTR)text.ptr, text.len, from, PCRE2_NO_UTF_CHECK,
                        m->match_data, m->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
        n = pcre2_match(p->code, (PCRE2_SPTR)text.ptr, text.len, from,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->match_data, m->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0) {
        char why[120];
        (void)pcre2_get_error_message(n, (PCRE2_UCHAR *)why, sizeof why);
        error_set(err, ERR_LIMIT, "%s: the expression fails on this text: %s", p->field, why);
        return -1;
    }
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->match_data);
    *found = (struct match){v[0], v[1] < v[0] ? v[0] : v[1]};
    if (found->start < from)  // \K in a lookbehind could point back
        found->start = from;
    return 1;
}

static int next_class(const struct pattern *p, const struct matcher *m, struct slice text,
                      size_t from, struct match *found)
{
    for (size_t i = from; i < text.len;) {
        uint32_t c = 0;
        size_t n = utf8_decode(text.ptr + i, text.len - i, &c);
        if (n == 0)
            n = 1;
        if (m->classes[c] & p->classes) {
            *found = (struct match){i, i + n};
            return 1;
        }
        i += n;
    }
    return 0;
}

struct slice pattern_text(const struct pattern *p, const struct matcher *m, struct slice text,
                          struct buf *shadow)
{
    if (p->kind != PATTERN_REGEX || !char_stand_ins(text, m->classes, shadow))
        return text;
    return buf_view(shadow);
}

int pattern_next(const struct pattern *p, struct matcher *m, struct slice text, size_t from,
                 struct match *found, struct error *err)
{
    if (from >= text.len)
        return 0;
    switch (p->kind) {
    case PATTERN_TEXT: {
        const char *at =
            p->text_len ? memmem(text.ptr + from, text.len - from, p->text, p->text_len) : NULL;
        if (at)
            *found = (struct match){(size_t)(at - text.ptr), (size_t)(at - text.ptr) + p->text_len};
        return at != NULL;
    }
    case PATTERN_CLASS: return next_class(p, m, text, from, found);
    case PATTERN_WORDS:
        *found = (struct match){from, word_end(&p->rules, m->classes, text, from)};
        return 1;
    case PATTERN_TRAILING:
        return trailing_spaces(m->classes, text, from, &found->start, &found->end);
    case PATTERN_REGEX: break;
    }
    return next_regex(p, m, text, from, found, err);
}
