#include "local/sampling/grammar/space.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

// Tables of ids

static uint64_t hash_words(const uint32_t *words, size_t n)
{
    return hash_bytes(words, n * sizeof *words, 7);
}

static void table_put(struct id_table *t, uint64_t hash, uint32_t id)
{
    size_t at = hash & (t->n_slots - 1);
    while (t->slots[at])
        at = (at + 1) & (t->n_slots - 1);
    t->slots[at] = id + 1;
    t->n_used++;
}

static uint64_t config_hash(const struct config *c)
{
    return hash_mix((uint64_t)c->node << 32 | c->frame);
}

static uint64_t frame_hash(const struct frame *f)
{
    return hash_words(&f->parent, 4);
}

static uint64_t set_hash(const struct config *configs, size_t n)
{
    return hash_bytes(configs, n * sizeof *configs, 11);
}

// Makes room for one more; `hash_of` gives the hash of an id that is there.
static void table_grow(struct id_table *t, const struct space *s,
                       uint64_t (*hash_of)(const struct space *s, uint32_t id))
{
    if (t->n_used * 2 < t->n_slots)
        return;
    struct id_table old = *t;
    t->n_slots = old.n_slots ? old.n_slots * 2 : 64;
    t->slots = memory_array(uint32_t, t->n_slots);
    t->n_used = 0;
    for (size_t i = 0; i < old.n_slots; i++)
        if (old.slots[i])
            table_put(t, hash_of(s, old.slots[i] - 1), old.slots[i] - 1);
    free(old.slots);
}

static uint64_t hash_of_frame(const struct space *s, uint32_t id)
{
    return frame_hash(&s->frames[id]);
}

static uint64_t hash_of_set(const struct space *s, uint32_t id)
{
    return set_hash(s->configs + s->sets[id].first, s->sets[id].n);
}

static uint64_t hash_of_seen(const struct space *s, uint32_t id)
{
    return config_hash(&s->seen_configs[id]);
}

// Life

static uint32_t add_set(struct space *s, const struct config *configs, size_t n);

struct space *space_new(const struct program *p, size_t max_bytes)
{
    struct space *s = memory_new(1, sizeof *s);
    s->program = p;
    s->max_bytes = max_bytes;
    s->n_refs = 1;
    memory_grow(s->frames, s->frames_capacity, 2);
    s->frames[FRAME_EMPTY] = (struct frame){.node = UINT32_MAX};
    s->frames[FRAME_UNKNOWN] = (struct frame){.node = UINT32_MAX - 1};
    s->n_frames = 2;
    memory_grow(s->sets, s->sets_capacity, 2);
    memset(s->sets, 0, 2 * sizeof *s->sets);
    s->n_sets = 2;
    return s;
}

void space_free(struct space *s, void (*free_mask)(void *mask))
{
    for (size_t i = 0; i < s->n_sets; i++) {
        free(s->sets[i].next);
        if (s->sets[i].mask)
            free_mask(s->sets[i].mask);
    }
    free(s->frames);
    free(s->configs);
    free(s->sets);
    free(s->frame_ids.slots);
    free(s->set_ids.slots);
    free(s->seen.slots);
    free(s->seen_configs);
    free(s->work);
    free(s->found);
    free(s->pushed);
    free(s);
}

size_t space_bytes(const struct space *s)
{
    return s->frames_capacity * sizeof *s->frames + s->configs_capacity * sizeof *s->configs +
           s->sets_capacity * sizeof *s->sets + s->row_bytes + s->mask_bytes +
           (s->frame_ids.n_slots + s->set_ids.n_slots) * sizeof(uint32_t);
}

bool space_full(const struct space *s)
{
    return s->failed || space_bytes(s) > s->max_bytes;
}

static void fail(struct space *s, const char *why)
{
    s->failed = true;
    s->failure = why;
}

// Frames

uint32_t space_frame(struct space *s, uint32_t parent, uint32_t node, uint32_t min, uint32_t max)
{
    struct frame f = {.parent = parent, .node = node, .min = min, .max = max};
    table_grow(&s->frame_ids, s, hash_of_frame);
    size_t at = frame_hash(&f) & (s->frame_ids.n_slots - 1);
    for (; s->frame_ids.slots[at]; at = (at + 1) & (s->frame_ids.n_slots - 1)) {
        const struct frame *g = &s->frames[s->frame_ids.slots[at] - 1];
        if (g->parent == parent && g->node == node && g->min == min && g->max == max)
            return s->frame_ids.slots[at] - 1;
    }
    memory_grow(s->frames, s->frames_capacity, s->n_frames + 1);
    uint32_t id = (uint32_t)s->n_frames++;
    f.depth = s->frames[parent].depth + 1;
    s->frames[id] = f;
    s->frame_ids.slots[at] = id + 1;
    s->frame_ids.n_used++;
    return id;
}

// Following what needs no byte

static void seen_clear(struct space *s)
{
    if (s->seen.n_slots > 4096 && s->seen.n_used * 8 < s->seen.n_slots) {
        free(s->seen.slots);
        s->seen = (struct id_table){0};
    }
    if (s->seen.n_used)
        memset(s->seen.slots, 0, s->seen.n_slots * sizeof *s->seen.slots);
    s->seen.n_used = 0;
    s->n_seen = 0;
    s->n_pushed = 0;
    s->n_work = 0;
    s->n_found = 0;
}

static void push_work(struct space *s, uint32_t node, uint32_t frame)
{
    struct config c = {node, frame};
    table_grow(&s->seen, s, hash_of_seen);
    size_t at = config_hash(&c) & (s->seen.n_slots - 1);
    for (; s->seen.slots[at]; at = (at + 1) & (s->seen.n_slots - 1)) {
        const struct config *d = &s->seen_configs[s->seen.slots[at] - 1];
        if (d->node == node && d->frame == frame)
            return;
    }
    if (s->n_seen >= (size_t)SET_CONFIGS_MAX * 4) {
        fail(s, "the grammar can be read in too many ways at once");
        return;
    }
    memory_grow(s->seen_configs, s->seen_capacity, s->n_seen + 1);
    s->seen_configs[s->n_seen] = c;
    s->seen.slots[at] = (uint32_t)++s->n_seen;
    s->seen.n_used++;
    memory_grow(s->work, s->work_capacity, s->n_work + 1);
    s->work[s->n_work++] = c;
}

static void enter(struct space *s, uint32_t rule, uint32_t frame)
{
    if (s->frames[frame].depth <= FRAME_DEPTH_MAX)
        push_work(s, s->program->rules[rule].start, frame);
}

// A call whose return has nothing left to do needs no frame: so tail calls take no stack.
static void call(struct space *s, uint32_t rule, uint32_t next, uint32_t frame)
{
    if (next != NODE_ID_END)
        frame = space_frame(s, frame, next, 0, 0);
    enter(s, rule, frame);
}

// At a REPEAT that is to be done min to max times more.
static void repeat(struct space *s, uint32_t node, uint32_t min, uint32_t max, uint32_t frame)
{
    const struct node *n = &s->program->nodes[node];
    if (min == 0)
        push_work(s, n->next, frame);
    if (max == 0)
        return;
    uint32_t less = min ? min - 1 : 0, fewer = max == REPEAT_NO_MAX ? max : max - 1;
    if (fewer == 0) {
        call(s, n->rule, n->next, frame);
        return;
    }
    uint32_t f = space_frame(s, frame, node, less, fewer);
    if (s->program->rules[n->rule].nullable) {
        memory_grow(s->pushed, s->pushed_capacity, s->n_pushed + 1);
        s->pushed[s->n_pushed++] = f;
    }
    enter(s, n->rule, f);
}

static bool was_pushed(const struct space *s, uint32_t frame)
{
    for (size_t i = 0; i < s->n_pushed; i++)
        if (s->pushed[i] == frame)
            return true;
    return false;
}

static void found(struct space *s, struct config c)
{
    memory_grow(s->found, s->found_capacity, s->n_found + 1);
    s->found[s->n_found++] = c;
}

static void end_rule(struct space *s, struct config c)
{
    struct frame f = s->frames[c.frame];
    if (c.frame == FRAME_EMPTY || c.frame == FRAME_UNKNOWN) {
        found(s, c);
    } else if (!f.max) {
        push_work(s, f.node, f.parent);
    } else if (!was_pushed(s, c.frame)) {
        // A round that read nothing is none: what comes after it was looked at beside it.
        repeat(s, f.node, f.min, f.max, f.parent);
    }
}

static void follow(struct space *s)
{
    const struct program *p = s->program;
    while (s->n_work && !s->failed) {
        struct config c = s->work[--s->n_work];
        const struct node *n = &p->nodes[c.node];
        switch (n->kind) {
        case NODE_BYTES: found(s, c); break;
        case NODE_SPLIT:
            for (uint32_t i = 0; i < n->n; i++)
                push_work(s, p->targets[n->first + i], c.frame);
            break;
        case NODE_CALL: call(s, n->rule, n->next, c.frame); break;
        case NODE_REPEAT: repeat(s, c.node, n->min, n->max, c.frame); break;
        case NODE_END: end_rule(s, c); break;
        }
    }
}

// Sets

static int compare_configs(const void *a, const void *b)
{
    const struct config *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

static uint32_t add_set(struct space *s, const struct config *configs, size_t n)
{
    table_grow(&s->set_ids, s, hash_of_set);
    size_t at = set_hash(configs, n) & (s->set_ids.n_slots - 1);
    for (; s->set_ids.slots[at]; at = (at + 1) & (s->set_ids.n_slots - 1)) {
        const struct config_set *t = &s->sets[s->set_ids.slots[at] - 1];
        if (t->n == n && memcmp(s->configs + t->first, configs, n * sizeof *configs) == 0)
            return s->set_ids.slots[at] - 1;
    }
    if (n > SET_CONFIGS_MAX || space_bytes(s) > 2 * s->max_bytes) {
        fail(s, n > SET_CONFIGS_MAX ? "the grammar can be read in too many ways at once"
                                    : "the grammar needs too much memory for one token");
        return SET_DEAD;
    }
    memory_grow(s->configs, s->configs_capacity, s->n_configs + n);
    memcpy(s->configs + s->n_configs, configs, n * sizeof *configs);
    memory_grow(s->sets, s->sets_capacity, s->n_sets + 1);
    struct config_set *t = &s->sets[s->n_sets];
    *t = (struct config_set){.first = s->n_configs, .n = (uint32_t)n};
    for (size_t i = 0; i < n; i++) {
        bool end = s->program->nodes[configs[i].node].kind == NODE_END;
        t->alive |= !end;
        t->can_end |= end && configs[i].frame == FRAME_EMPTY;
        t->returns |= end && configs[i].frame == FRAME_UNKNOWN;
    }
    t->must_end = t->can_end && !t->alive;
    s->n_configs += n;
    s->set_ids.slots[at] = (uint32_t)s->n_sets + 1;
    s->set_ids.n_used++;
    return (uint32_t)s->n_sets++;
}

static uint32_t found_set(struct space *s)
{
    if (s->failed || !s->n_found)
        return SET_DEAD;
    if (s->n_found > 1)
        qsort(s->found, s->n_found, sizeof *s->found, compare_configs);
    return add_set(s, s->found, s->n_found);
}

uint32_t space_set(struct space *s, const struct config *configs, size_t n)
{
    seen_clear(s);
    for (size_t i = 0; i < n; i++)
        push_work(s, configs[i].node, configs[i].frame);
    follow(s);
    return found_set(s);
}

uint32_t space_start(struct space *s)
{
    struct config c = {s->program->rules[s->program->root].start, FRAME_EMPTY};
    return space_set(s, &c, 1);
}

uint32_t space_step_slow(struct space *s, uint32_t set, uint8_t class)
{
    const struct program *p = s->program;
    if (set == SET_DEAD || s->failed)
        return SET_DEAD;
    uint8_t byte = 0;
    while (p->class_of[byte] != class)
        byte++;
    seen_clear(s);
    struct config_set t = s->sets[set];
    for (uint32_t i = 0; i < t.n; i++) {
        struct config c = s->configs[t.first + i];
        const struct node *n = &p->nodes[c.node];
        for (uint32_t k = 0; n->kind == NODE_BYTES && k < n->n; k++) {
            const struct byte_edge *e = &p->edges[n->first + k];
            if (byte >= e->low && byte <= e->high)
                push_work(s, e->next, c.frame);
        }
    }
    follow(s);
    uint32_t next = found_set(s);
    if (s->failed)
        return SET_DEAD;
    uint32_t **row = &s->sets[set].next;
    if (!*row) {
        *row = memory_array(uint32_t, (size_t)p->n_classes);
        s->row_bytes += (size_t)p->n_classes * sizeof **row;
    }
    (*row)[class] = next;
    return next;
}
