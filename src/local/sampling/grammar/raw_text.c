#include "local/sampling/grammar/raw_text.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/charset.h"

enum { SIZED_MAX = 100 };  // beyond, a product would be large

struct raw_text {
    struct arena arena;
    // Texts with NUL or an end in them, or the first two characters of one, or the first.
    struct nfa *broken, *paired, *unplain;
    struct charset firsts;  // NUL and what ends begin with
};

static void add_literal(struct buf *out, struct slice text)
{
    for (size_t i = 0, n; i < text.len; i += n ? n : 1) {
        uint32_t code;
        n = utf8_decode(text.ptr + i, text.len - i, &code);
        buf_printf(out, "\\u{%X}", (unsigned)(n ? code : 0xFFFD));
    }
}

// Texts with NUL in them, or so many characters that an end begins with.
static struct nfa *searched(struct raw_text *r, const struct slice *ends, size_t n, size_t most)
{
    struct buf expression = {0};
    struct error err;
    buf_text_add(&expression, "\\0");
    for (size_t i = 0; i < n; i++) {
        size_t len = 0, step = 1;
        uint32_t code;
        for (size_t k = 0; k < most && step && len < ends[i].len; k++) {
            step = utf8_decode(ends[i].ptr + len, ends[i].len - len, &code);
            len += step;
        }
        if (!len)
            continue;
        buf_char(&expression, '|');
        add_literal(&expression, slice_sub(ends[i], 0, len));
    }
    const struct regex *tree = regex_read(buf_view(&expression), true, &r->arena, &err);
    struct nfa *nfa = tree ? nfa_new(tree) : NULL;
    assert(nfa);  // marks are short
    buf_release(&expression);
    return nfa;
}

struct raw_text *raw_text_new(const struct slice *ends, size_t n)
{
    struct raw_text *r = memory_new(1, sizeof *r);
    assert(n <= RAW_TEXT_ENDS_MAX);
    charset_add(&r->firsts, 0, 0);
    for (size_t i = 0; i < n; i++) {
        uint32_t code;
        if (utf8_decode(ends[i].ptr, ends[i].len, &code))
            charset_add(&r->firsts, code, code);
    }
    charset_sort(&r->firsts);
    r->broken = searched(r, ends, n, SIZE_MAX);
    r->paired = searched(r, ends, n, 2);
    r->unplain = searched(r, ends, n, 1);
    return r;
}

void raw_text_free(struct raw_text *r)
{
    if (!r)
        return;
    nfa_free(r->broken);
    nfa_free(r->paired);
    nfa_free(r->unplain);
    charset_release(&r->firsts);
    arena_release(&r->arena);
    free(r);
}

const struct nfa *raw_text_broken(const struct raw_text *r)
{
    return r->broken;
}

const struct nfa *raw_text_unplain(const struct raw_text *r)
{
    return r->unplain;
}

static uint32_t product(struct program *p, const struct language *list, size_t n, uint32_t min,
                        uint32_t max, uint32_t next)
{
    uint32_t node, rule = program_rule(p, "text");
    if (!nfa_product(p, list, n, min, max, node_chars, NODE_ID_END, &node, NULL))
        p->overflow = true;
    if (!p->overflow)
        program_set(p, rule, node);
    return p->overflow ? NODE_ID_FAIL : node_call(p, rule, next);
}

uint32_t raw_text_emit(struct program *p, const struct raw_text *r, uint32_t next)
{
    struct language all = {.nfa = r->broken, .negated = true};
    return product(p, &all, 1, 0, REPEAT_NO_MAX, next);
}

uint32_t raw_text_sized(struct program *p, const struct raw_text *r, uint32_t min, uint32_t max,
                        uint32_t next)
{
    struct language all = {.nfa = r->paired, .negated = true};
    if (min == 0 && max == REPEAT_NO_MAX)
        return raw_text_emit(p, r, next);
    if (min <= SIZED_MAX && (max <= SIZED_MAX || max == REPEAT_NO_MAX))
        return product(p, &all, 1, min, max, next);
    struct charset plain = {0};
    for (size_t i = 0; i < r->firsts.n; i++)
        charset_add(&plain, r->firsts.ranges[i].low, r->firsts.ranges[i].high);
    charset_sort(&plain);
    charset_negate(&plain);
    uint32_t one = program_rule(p, "character"), rule = program_rule(p, "text");
    if (!p->overflow) {
        program_set(p, one, node_chars(p, plain.ranges, plain.n, NODE_ID_END));
        program_set(p, rule, node_repeat(p, one, min, max, NODE_ID_END));
    }
    charset_release(&plain);
    return p->overflow ? NODE_ID_FAIL : node_call(p, rule, next);
}

uint32_t raw_text_begun(struct program *p, const struct raw_text *r, const char *not_first,
                        uint32_t next)
{
    struct arena arena = {0};
    struct error err;
    struct buf expression = {0};
    buf_printf(&expression, "^\\s*[%s]", not_first);
    const struct regex *tree = regex_read(buf_view(&expression), true, &arena, &err);
    struct nfa *begun = tree ? nfa_new(tree) : NULL;
    struct language all[] = {{r->broken, true}, {begun, true}};
    assert(begun);
    uint32_t node = product(p, all, 2, 0, REPEAT_NO_MAX, next);
    nfa_free(begun);
    arena_release(&arena);
    buf_release(&expression);
    return node;
}
