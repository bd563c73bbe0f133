#include "local/sampling/grammar/nfa.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/nfa_impl.h"

// Building, backwards: every function takes the state that follows.

static uint32_t add_state(struct nfa *n, struct nfa_state s)
{
    if (n->n >= NFA_STATES_MAX) {
        n->overflow = true;
        return 0;
    }
    memory_grow(n->states, n->capacity, n->n + 1);
    n->states[n->n] = s;
    return (uint32_t)n->n++;
}

static uint32_t either(struct nfa *n, uint32_t a, uint32_t b)
{
    return add_state(n, (struct nfa_state){.kind = NFA_SPLIT, .next = a, .other = b});
}

static uint32_t build(struct nfa *n, const struct regex *r, uint32_t next);

static uint32_t build_list(struct nfa *n, const struct regex *first, uint32_t next)
{
    const struct regex **list = NULL;
    size_t count = 0, capacity = 0;
    for (const struct regex *c = first; c; c = c->next) {
        memory_grow(list, capacity, count + 1);
        list[count++] = c;
    }
    while (count)
        next = build(n, list[--count], next);
    free(list);
    return next;
}

static uint32_t build_repeat(struct nfa *n, const struct regex *r, uint32_t next)
{
    uint32_t after = next;
    if (r->max == REPEAT_NO_MAX) {
        uint32_t loop = either(n, next, next);
        uint32_t body = build(n, r->first, loop);
        if (!n->overflow)
            n->states[loop].next = body;
        after = loop;
    } else {
        for (uint32_t i = r->min; i < r->max && !n->overflow; i++)
            after = either(n, build(n, r->first, after), next);
    }
    for (uint32_t i = 0; i < r->min && !n->overflow; i++)
        after = build(n, r->first, after);
    return after;
}

static uint32_t build(struct nfa *n, const struct regex *r, uint32_t next)
{
    uint32_t node;
    if (n->overflow)
        return 0;
    switch (r->kind) {
    case REGEX_SET:
        return add_state(n, (struct nfa_state){.kind = NFA_SET, .set = r, .next = next});
    case REGEX_CAT: return build_list(n, r->first, next);
    case REGEX_ALT:
        node = NFA_NOWHERE;
        for (const struct regex *c = r->first; c; c = c->next) {
            uint32_t one = build(n, c, next);
            node = node == NFA_NOWHERE ? one : either(n, one, node);
        }
        return node;
    case REGEX_REPEAT: return build_repeat(n, r, next);
    case REGEX_CALL:
    case REGEX_START:
    case REGEX_END: break;
    }
    return next;
}

struct nfa *nfa_new(const struct regex *r)
{
    struct nfa *n = memory_new(1, sizeof *n);
    uint32_t end = add_state(n, (struct nfa_state){.kind = NFA_END});
    n->start = build(n, r, end);
    if (!n->overflow)
        return n;
    nfa_free(n);
    return NULL;
}

void nfa_free(struct nfa *n)
{
    if (!n)
        return;
    free(n->states);
    free(n);
}

size_t nfa_states(const struct nfa *n)
{
    return n->n;
}

// Running

void nfa_set_init(struct nfa_set *s, const struct nfa *n)
{
    *s = (struct nfa_set){.ids = memory_array(uint32_t, n->n + 1),
                          .stack = memory_array(uint32_t, 2 * n->n + 2),
                          .seen = memory_array(uint32_t, n->n + 1)};
}

void nfa_set_release(struct nfa_set *s)
{
    free(s->ids);
    free(s->stack);
    free(s->seen);
}

void nfa_set_clear(struct nfa_set *s)
{
    s->n = 0;
    s->ends = false;
    s->round++;
}

void nfa_set_add(struct nfa_set *s, const struct nfa *n, uint32_t state)
{
    size_t depth = 0;
    s->stack[depth++] = state;
    while (depth) {
        state = s->stack[--depth];
        if (state == NFA_NOWHERE || s->seen[state] == s->round)
            continue;
        s->seen[state] = s->round;
        const struct nfa_state *t = &n->states[state];
        if (t->kind == NFA_SET) {
            s->ids[s->n++] = state;
        } else if (t->kind == NFA_END) {
            s->ends = true;
        } else {
            s->stack[depth++] = t->next;
            s->stack[depth++] = t->other;
        }
    }
}

bool nfa_takes(const struct regex *set, uint32_t code)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (set->ranges[middle].high < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && set->ranges[low].low <= code;
}

bool nfa_matches(const struct nfa *n, struct slice text)
{
    struct nfa_set a, b, *now = &a, *then = &b;
    nfa_set_init(&a, n);
    nfa_set_init(&b, n);
    nfa_set_clear(now);
    nfa_set_add(now, n, n->start);
    for (size_t i = 0, step; i < text.len; i += step) {
        uint32_t code;
        step = utf8_decode(text.ptr + i, text.len - i, &code);
        code = step ? code : 0xFFFD;
        step = step ? step : 1;
        nfa_set_clear(then);
        for (size_t k = 0; k < now->n; k++)
            if (nfa_takes(n->states[now->ids[k]].set, code))
                nfa_set_add(then, n, n->states[now->ids[k]].next);
        struct nfa_set *swap = now;
        now = then;
        then = swap;
    }
    bool ends = now->ends;
    nfa_set_release(&a);
    nfa_set_release(&b);
    return ends;
}
