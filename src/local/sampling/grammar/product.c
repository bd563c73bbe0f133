// product.c - the texts that are in several regular languages at once: nfa_product.
//
// A state is what each language has reached and how many characters there were; states that
// nothing tells apart are one. Characters are taken in intervals between which no language changes.
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "local/sampling/grammar/charset.h"
#include "local/sampling/grammar/nfa_impl.h"

enum { WORK_MAX = 20000000 };  // ids looked at in all

struct product_state {
    size_t first;  // of its words: characters, then for each language a count and ids
    uint32_t n;
    uint32_t node;
    bool ends;
};
struct edge_set {
    uint32_t to;  // state
    struct charset chars;
};
struct product {
    struct program *p;
    const struct language *list;
    size_t n;
    uint32_t min, max;
    regex_chars *chars;
    struct nfa_set sets[LANGUAGES_MAX];
    uint32_t *words;
    size_t n_words, words_capacity;
    struct product_state *states;
    size_t n_states, states_capacity;
    uint32_t *slots;
    size_t n_slots;
    struct charset cuts;
    uint32_t *key;  // scratch
    size_t n_key, key_capacity;
    struct edge_set *edges;
    size_t n_edges, edges_capacity;
    uint64_t work;
};

static void key_add(struct product *d, uint32_t word)
{
    memory_grow(d->key, d->key_capacity, d->n_key + 1);
    d->key[d->n_key++] = word;
}

static int compare_words(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// The key of what `sets` hold after so many characters. False if no text goes on from there.
static bool make_key(struct product *d, uint32_t length, bool *ends)
{
    uint32_t bound = d->max == REPEAT_NO_MAX ? d->min : d->max;
    *ends = length >= d->min;
    d->n_key = 0;
    key_add(d, length < bound ? length : bound);
    if (d->max != REPEAT_NO_MAX && length > d->max)
        return false;
    for (size_t i = 0; i < d->n; i++) {
        struct nfa_set *s = &d->sets[i];
        if (!d->list[i].negated && s->n == 0 && !s->ends)
            return false;
        *ends &= s->ends != d->list[i].negated;
        qsort(s->ids, s->n, sizeof *s->ids, compare_words);
        key_add(d, (uint32_t)s->n * 2 + s->ends);
        for (size_t k = 0; k < s->n; k++)
            key_add(d, s->ids[k]);
        d->work += s->n;
    }
    return true;
}

static uint64_t state_hash(const struct product *d, const struct product_state *s)
{
    return hash_bytes(d->words + s->first, s->n * sizeof *d->words, 5);
}

static void put_state(struct product *d, uint32_t index)
{
    size_t at = state_hash(d, &d->states[index]) & (d->n_slots - 1);
    while (d->slots[at])
        at = (at + 1) & (d->n_slots - 1);
    d->slots[at] = index + 1;
}

static uint32_t state_of_key(struct product *d, bool ends)
{
    if (d->n_states * 2 >= d->n_slots) {
        free(d->slots);
        d->n_slots = d->n_slots ? d->n_slots * 2 : 64;
        d->slots = memory_array(uint32_t, d->n_slots);
        for (uint32_t i = 0; i < d->n_states; i++)
            put_state(d, i);
    }
    size_t at = hash_bytes(d->key, d->n_key * sizeof *d->key, 5) & (d->n_slots - 1);
    for (; d->slots[at]; at = (at + 1) & (d->n_slots - 1)) {
        const struct product_state *s = &d->states[d->slots[at] - 1];
        if (s->n == d->n_key && memcmp(d->words + s->first, d->key, d->n_key * sizeof *d->key) == 0)
            return d->slots[at] - 1;
    }
    memory_grow(d->words, d->words_capacity, d->n_words + d->n_key);
    memcpy(d->words + d->n_words, d->key, d->n_key * sizeof *d->key);
    memory_grow(d->states, d->states_capacity, d->n_states + 1);
    d->states[d->n_states] = (struct product_state){
        .first = d->n_words, .n = (uint32_t)d->n_key, .node = node_loop(d->p), .ends = ends};
    d->n_words += d->n_key;
    d->slots[at] = (uint32_t)d->n_states + 1;
    return (uint32_t)d->n_states++;
}

// The ids of language i in a state's words.
static const uint32_t *ids_of(const struct product *d, const struct product_state *s, size_t i,
                              size_t *n)
{
    const uint32_t *w = d->words + s->first + 1;
    for (; i > 0; i--)
        w += 1 + *w / 2;
    *n = *w / 2;
    return w + 1;
}

// Where any language of the state changes: starts of intervals.
static void find_cuts(struct product *d, const struct product_state *s)
{
    d->cuts.n = 0;
    charset_add(&d->cuts, 0, 0);
    for (size_t i = 0; i < d->n; i++) {
        size_t n;
        const uint32_t *ids = ids_of(d, s, i, &n);
        for (size_t k = 0; k < n; k++) {
            const struct regex *set = d->list[i].nfa->states[ids[k]].set;
            for (size_t r = 0; r < set->n; r++) {
                charset_add(&d->cuts, set->ranges[r].low, 0);
                if (set->ranges[r].high < CODE_MAX)
                    charset_add(&d->cuts, set->ranges[r].high + 1, 0);
            }
        }
    }
    qsort(d->cuts.ranges, d->cuts.n, sizeof *d->cuts.ranges, compare_words);
    d->work += d->cuts.n;
}

static void step_sets(struct product *d, size_t state, uint32_t code)
{
    for (size_t i = 0; i < d->n; i++) {
        size_t n;
        const struct nfa *nfa = d->list[i].nfa;
        const uint32_t *ids = ids_of(d, &d->states[state], i, &n);
        nfa_set_clear(&d->sets[i]);
        for (size_t k = 0; k < n; k++)
            if (nfa_takes(nfa->states[ids[k]].set, code))
                nfa_set_add(&d->sets[i], nfa, nfa->states[ids[k]].next);
        d->work += n;
    }
}

static void add_edge(struct product *d, uint32_t to, uint32_t low, uint32_t high)
{
    size_t i = 0;
    while (i < d->n_edges && d->edges[i].to != to)
        i++;
    if (i == d->n_edges) {
        memory_grow(d->edges, d->edges_capacity, d->n_edges + 1);
        d->edges[d->n_edges++] = (struct edge_set){.to = to};
    }
    charset_add(&d->edges[i].chars, low, high);
}

static void find_edges(struct product *d, size_t state)
{
    find_cuts(d, &d->states[state]);
    uint32_t length = d->words[d->states[state].first] + 1;
    for (size_t i = 0; i < d->cuts.n; i++) {
        uint32_t low = d->cuts.ranges[i].low;
        uint32_t high = i + 1 < d->cuts.n ? d->cuts.ranges[i + 1].low - 1 : CODE_MAX;
        bool ends;
        if (i + 1 < d->cuts.n && d->cuts.ranges[i + 1].low == low)
            continue;
        step_sets(d, state, low);
        if (make_key(d, length, &ends))
            add_edge(d, state_of_key(d, ends), low, high);
    }
}

static void emit_state(struct product *d, size_t state, uint32_t next)
{
    uint32_t *targets = memory_array(uint32_t, d->n_edges + 1);
    size_t n = 0;
    for (size_t i = 0; i < d->n_edges; i++) {
        struct edge_set *e = &d->edges[i];
        charset_sort(&e->chars);
        targets[n++] = d->chars(d->p, e->chars.ranges, e->chars.n, d->states[e->to].node);
        charset_release(&e->chars);
    }
    d->n_edges = 0;
    uint32_t body = node_split(d->p, targets, n);
    node_loop_set(d->p, d->states[state].node, body, d->states[state].ends ? next : NODE_ID_FAIL);
    free(targets);
}

static bool too_large(const struct product *d)
{
    return d->n_states > PRODUCT_STATES_MAX || d->work > WORK_MAX || d->p->overflow;
}

static void release(struct product *d)
{
    for (size_t i = 0; i < d->n; i++)
        nfa_set_release(&d->sets[i]);
    free(d->words);
    free(d->states);
    free(d->slots);
    charset_release(&d->cuts);
    free(d->key);
    free(d->edges);
}

bool nfa_product(struct program *p, const struct language *list, size_t n, uint32_t min,
                 uint32_t max, regex_chars *chars, uint32_t next, uint32_t *node, uint64_t *work)
{
    struct product d = {.p = p, .list = list, .n = n, .min = min, .max = max, .chars = chars};
    bool ends;
    *node = NODE_ID_FAIL;
    if (n > LANGUAGES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        nfa_set_init(&d.sets[i], list[i].nfa);
        nfa_set_clear(&d.sets[i]);
        nfa_set_add(&d.sets[i], list[i].nfa, list[i].nfa->start);
    }
    if (make_key(&d, 0, &ends)) {
        uint32_t start = state_of_key(&d, ends);
        *node = d.states[start].node;
        for (size_t i = 0; i < d.n_states && !too_large(&d); i++) {
            find_edges(&d, i);
            emit_state(&d, i, next);
        }
    }
    bool ok = !too_large(&d);
    if (work)
        *work += d.work;
    release(&d);
    return ok;
}
