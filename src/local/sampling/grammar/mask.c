#include "local/sampling/grammar/mask.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "local/sampling/grammar/space.h"
#include "local/sampling/grammar/vocab.h"

enum {
    GROUPS_MAX = 8,
    WIDE = 32,       // bytes that a node takes
    DEAR = 1 << 15,  // visited nodes of a walk whose result is worth keeping
    // Counters are told apart up to what a token of so many bytes can reach; longer tokens, of
    // which there are few, are walked with the true stack where counters are larger.
    KNOWN_BYTES = 32,
};

// What is known of the tokens at a set.
struct token_mask {
    bool exact;      // else the groups say it, with the true stack
    uint32_t *bits;  // [n_words] or NULL: then the list
    int32_t *tokens;
    size_t n_tokens;
    uint32_t *unsure;  // nodes of the tree where the known part of the stack ends; ascending
    size_t n_unsure;
    uint32_t groups[GROUPS_MAX];  // sets over FRAME_UNKNOWN
    size_t n_groups;
};

void mask_free(void *mask)
{
    struct token_mask *m = mask;
    free(m->bits);
    free(m->tokens);
    free(m->unsure);
    free(m);
}

// Walking

struct token_walk {
    struct space *s;
    const struct vocab_tree *t;
    uint32_t *bits;
    size_t n_allowed, n_visited;
    uint32_t set[VOCAB_TOKEN_BYTES_MAX + 1];         // by depth
    uint32_t path[VOCAB_TOKEN_BYTES_MAX + 1];        // nodes
    uint8_t returned[VOCAB_TOKEN_BYTES_MAX + 1];     // depth of the last return up to here; 0: none
    const uint32_t *row[VOCAB_TOKEN_BYTES_MAX + 1];  // of the set: what follows by byte class
    bool noted[VOCAB_TOKEN_BYTES_MAX + 1];
    uint8_t most;  // bytes of a token that are walked here
    uint32_t *unsure;
    size_t n_unsure, unsure_capacity;
};

static void note_unsure(struct token_walk *w, uint8_t depth)
{
    if (depth == 0 || w->noted[depth])
        return;
    w->noted[depth] = true;
    memory_grow(w->unsure, w->unsure_capacity, w->n_unsure + 1);
    w->unsure[w->n_unsure++] = w->path[depth];
}

static void allow(struct token_walk *w, uint32_t node)
{
    for (uint32_t k = w->t->nodes[node].token; k < w->t->nodes[node + 1].token; k++) {
        uint32_t token = (uint32_t)w->t->tokens[k];
        w->bits[token / 32] |= UINT32_C(1) << token % 32;
        w->n_allowed++;
    }
}

static uint32_t step_at(struct token_walk *w, uint8_t depth, uint8_t byte)
{
    uint8_t class = w->s->program->class_of[byte];
    uint32_t next = w->row[depth] ? w->row[depth][class] : 0;
    if (next)
        return next;
    next = space_step(w->s, w->set[depth], byte);
    w->row[depth] = w->s->sets[w->set[depth]].next;
    return next;
}

// All nodes from begin to end, which are below a node of this depth at this set.
static void walk(struct token_walk *w, uint32_t begin, uint32_t end, uint8_t depth, uint32_t set)
{
    const struct vocab_node *nodes = w->t->nodes;
    w->set[depth] = set;
    w->row[depth] = NULL;
    w->returned[depth] = 0;
    for (uint32_t i = begin; i < end;) {
        uint8_t d = nodes[i].depth;
        uint32_t next = step_at(w, (uint8_t)(d - 1), nodes[i].byte);
        w->n_visited++;
        if (next == SET_DEAD) {
            note_unsure(w, w->returned[d - 1]);
            i = nodes[i].skip;
            continue;
        }
        const struct config_set *t = &w->s->sets[next];
        w->set[d] = next;
        w->row[d] = t->next;
        w->path[d] = i;
        w->noted[d] = false;
        w->returned[d] = t->returns ? d : w->returned[d - 1];
        allow(w, i);
        if (d == w->most) {
            if (nodes[i].skip > i + 1)
                note_unsure(w, d);
            i = nodes[i].skip;
        } else {
            i++;
        }
    }
}

static int compare_nodes(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// Keeps what a walk from the root found: few tokens as a list.
static struct token_mask *keep(struct token_walk *w, size_t n_words)
{
    struct token_mask *m = memory_new(1, sizeof *m);
    m->exact = true;
    if (w->n_allowed > n_words / 2) {
        m->bits = memory_array(uint32_t, n_words);
        memcpy(m->bits, w->bits, n_words * sizeof *m->bits);
        w->s->mask_bytes += n_words * sizeof *m->bits;
    } else {
        m->tokens = memory_array(int32_t, w->n_allowed + 1);
        for (size_t i = 0; i < n_words; i++)
            for (uint32_t bits = w->bits[i]; bits; bits &= bits - 1)
                m->tokens[m->n_tokens++] = (int32_t)(i * 32) + __builtin_ctz(bits);
        w->s->mask_bytes += w->n_allowed * sizeof *m->tokens;
    }
    if (w->n_unsure) {
        qsort(w->unsure, w->n_unsure, sizeof *w->unsure, compare_nodes);
        m->unsure = memory_array(uint32_t, w->n_unsure);
        memcpy(m->unsure, w->unsure, w->n_unsure * sizeof *m->unsure);
        m->n_unsure = w->n_unsure;
    }
    w->s->mask_bytes += sizeof *m + w->n_unsure * sizeof *m->unsure;
    return m;
}

static size_t words_of(const struct grammar_vocab *v)
{
    return ((size_t)v->n_tokens + 31) / 32;
}

// Tops of stacks

// A counter as one that stands for all that tokens of KNOWN_BYTES, or any, cannot tell from it.
static uint32_t cut(uint32_t count)
{
    if (count == REPEAT_NO_MAX || count <= KNOWN_BYTES)
        return count;
    return count > VOCAB_TOKEN_BYTES_MAX ? VOCAB_TOKEN_BYTES_MAX + 1 : KNOWN_BYTES + 1;
}

// The frame over the unknown, with the counters of a REPEAT on top cut.
static uint32_t top_frame(struct space *s, uint32_t frame)
{
    struct frame f = s->frames[frame];
    if (frame == FRAME_EMPTY)
        return frame;
    if (!f.max)
        return FRAME_UNKNOWN;
    uint32_t below = f.parent == FRAME_EMPTY ? FRAME_EMPTY : FRAME_UNKNOWN;
    return space_frame(s, below, f.node, cut(f.min), cut(f.max));
}

// Counters that stand for some that a longer token can tell apart.
static bool is_far(uint32_t count)
{
    return count > KNOWN_BYTES && count <= VOCAB_TOKEN_BYTES_MAX;
}

static bool counts_far(const struct space *s, uint32_t set)
{
    const struct config_set *t = &s->sets[set];
    for (uint32_t i = 0; i < t->n; i++) {
        const struct frame *f = &s->frames[s->configs[t->first + i].frame];
        if (is_far(f->min) || is_far(f->max))
            return true;
    }
    return false;
}

static bool is_wide(const struct program *p, const struct node *n)
{
    int takes = 0;
    for (uint32_t i = 0; i < n->n && n->kind == NODE_BYTES; i++)
        takes += p->edges[n->first + i].high - p->edges[n->first + i].low + 1;
    return takes >= WIDE;
}

static bool set_is_wide(const struct space *s, const struct config_set *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (is_wide(s->program, &s->program->nodes[s->configs[t->first + i].node]))
            return true;
    return false;
}

// What top_frame leaves out: configurations that agree in it are looked at together.
static uint32_t base_of(const struct space *s, uint32_t frame)
{
    return s->frames[frame].max ? s->frames[frame].parent : frame;
}

// The configurations with one base, as a set of their tops. *at is the first that is not in a group
// yet; done [n] marks them.
static uint32_t next_group(struct space *s, uint32_t set, bool *done, uint32_t at)
{
    struct config_set t = s->sets[set];
    uint32_t base = base_of(s, s->configs[t.first + at].frame), group;
    struct config *list = memory_array(struct config, t.n);
    size_t n = 0;
    for (uint32_t i = at; i < t.n; i++) {
        struct config c = s->configs[t.first + i];
        if (done[i] || base_of(s, c.frame) != base)
            continue;
        done[i] = true;
        if (s->program->nodes[c.node].kind == NODE_BYTES)
            list[n++] = (struct config){c.node, top_frame(s, c.frame)};
    }
    group = n ? space_set(s, list, n) : SET_DEAD;
    free(list);
    return group;
}

// False if there are too many groups, or nothing is gained: the set is its own top.
static bool find_groups(struct space *s, uint32_t set, struct token_mask *m)
{
    uint32_t n = s->sets[set].n;
    bool *done = memory_array(bool, n);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++) {
        if (done[i])
            continue;
        uint32_t group = next_group(s, set, done, i);
        if (group == SET_DEAD)
            continue;
        ok = m->n_groups < GROUPS_MAX && group != set;
        if (ok)
            m->groups[m->n_groups++] = group;
    }
    free(done);
    return ok;
}

// Masks

static void begin_walk(struct token_walk *w, struct space *s, const struct vocab_tree *t,
                       uint32_t *bits)
{
    w->s = s;
    w->t = t;
    w->bits = bits;
    w->most = VOCAB_TOKEN_BYTES_MAX;
    w->n_allowed = w->n_visited = w->n_unsure = w->unsure_capacity = 0;
    w->unsure = NULL;
}

// What is known at a set by walking all tokens of at most so many bytes; `bits` [words_of] is
// scratch.
static struct token_mask *walk_all(struct space *s, const struct vocab_tree *t, size_t n_words,
                                   uint32_t set, uint8_t most, uint32_t *bits)
{
    struct token_walk w;
    begin_walk(&w, s, t, bits);
    w.most = most;
    memset(bits, 0, n_words * sizeof *bits);
    walk(&w, 1, (uint32_t)t->n, 0, set);
    struct token_mask *m = keep(&w, n_words);
    free(w.unsure);
    return m;
}

static void set_mask(struct space *s, uint32_t set, struct token_mask *m)
{
    if (s->sets[set].mask)
        mask_free(s->sets[set].mask);
    s->sets[set].mask = m;
}

static struct token_mask *known_at(struct space *s, const struct grammar_vocab *v, uint32_t set,
                                   uint32_t *bits)
{
    struct token_mask *m = s->sets[set].mask;
    if (m)
        return m;
    if (set_is_wide(s, &s->sets[set])) {
        m = memory_new(1, sizeof *m);
        if (find_groups(s, set, m)) {
            s->mask_bytes += sizeof *m;
            set_mask(s, set, m);
            return m;
        }
        mask_free(m);
    }
    m = walk_all(s, &v->tree, words_of(v), set, VOCAB_TOKEN_BYTES_MAX, bits);
    set_mask(s, set, m);
    return m;
}

static void add_known(const struct token_mask *m, uint32_t *mask, size_t n_words)
{
    if (m->bits)
        for (size_t i = 0; i < n_words; i++)
            mask[i] |= m->bits[i];
    for (size_t i = 0; i < m->n_tokens; i++)
        mask[m->tokens[i] / 32] |= UINT32_C(1) << m->tokens[i] % 32;
}

// The sets along the path to a node, of which `*depth` levels are known from the node before.
static uint32_t replay(struct token_walk *w, uint32_t node, uint8_t *depth)
{
    const struct vocab_node *nodes = w->t->nodes;
    uint32_t up[VOCAB_TOKEN_BYTES_MAX + 1];
    uint8_t d = nodes[node].depth, n = 0;
    for (; d > *depth || (d > 0 && w->path[d] != node); d--) {
        up[n++] = node;
        node = nodes[node].parent;
    }
    while (n && w->set[d] != SET_DEAD) {
        node = up[--n];
        d++;
        w->path[d] = node;
        w->set[d] = step_at(w, (uint8_t)(d - 1), nodes[node].byte);
        w->row[d] = NULL;
    }
    *depth = d;
    return n ? SET_DEAD : w->set[d];
}

// Tokens that leave the known part of the stack, with the true one.
static void resolve(struct token_walk *w, uint32_t set, const struct token_mask *group)
{
    const struct vocab_node *nodes = w->t->nodes;
    uint32_t covered = 0;
    uint8_t depth = 0;
    w->set[0] = set;
    w->row[0] = NULL;
    for (size_t i = 0; i < group->n_unsure; i++) {
        uint32_t node = group->unsure[i];
        if (node < covered)
            continue;
        covered = nodes[node].skip;
        uint32_t at = replay(w, node, &depth);
        if (at != SET_DEAD)
            walk(w, node + 1, covered, nodes[node].depth, at);
    }
}

static void from_groups(struct space *s, const struct grammar_vocab *v, uint32_t set,
                        struct token_mask *m, uint32_t *bits, uint32_t *mask)
{
    struct token_walk w;
    begin_walk(&w, s, &v->tree, mask);
    for (size_t g = 0; g < m->n_groups; g++) {
        uint32_t group = m->groups[g];
        uint8_t most = counts_far(s, group) ? KNOWN_BYTES : VOCAB_TOKEN_BYTES_MAX;
        if (!s->sets[group].mask)
            set_mask(s, group, walk_all(s, &v->tree, words_of(v), group, most, bits));
        const struct token_mask *known = s->sets[group].mask;
        add_known(known, mask, words_of(v));
        resolve(&w, set, known);
    }
    free(w.unsure);
    if (w.n_visited < DEAR)
        return;
    m->bits = memory_array(uint32_t, words_of(v));
    memcpy(m->bits, mask, words_of(v) * sizeof *mask);
    s->mask_bytes += words_of(v) * sizeof *mask;
    m->exact = true;
}

bool mask_of(struct space *s, const struct grammar_vocab *v, uint32_t set, bool first,
             uint32_t *mask, size_t n_words)
{
    size_t own = words_of(v);
    uint32_t *bits = memory_array(uint32_t, own + 1), *out = memory_array(uint32_t, own + 1);
    if (first && v->first.n) {
        struct token_mask *m = walk_all(s, &v->first, own, set, VOCAB_TOKEN_BYTES_MAX, bits);
        add_known(m, out, own);
        mask_free(m);
    } else {
        struct token_mask *m = known_at(s, v, set, bits);
        if (m->n_unsure) {  // it is the top of other sets too
            struct token_walk w;
            begin_walk(&w, s, &v->tree, out);
            add_known(m, out, own);
            resolve(&w, set, m);
            free(w.unsure);
        } else if (m->exact) {
            add_known(m, out, own);
        } else {
            from_groups(s, v, set, m, bits, out);
        }
    }
    size_t n = own < n_words ? own : n_words;
    memcpy(mask, out, n * sizeof *mask);
    memset(mask + n, 0, (n_words - n) * sizeof *mask);
    free(bits);
    free(out);
    return !s->failed;
}
