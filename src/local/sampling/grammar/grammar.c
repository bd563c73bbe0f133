#include "local/sampling/grammar/grammar.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/sampling/grammar/mask.h"
#include "local/sampling/grammar/space.h"
#include "local/sampling/grammar/vocab.h"

struct grammar {
    struct program *program;
    const struct grammar_vocab *vocab;
    size_t max_bytes;
    atomic_int n_holders;
    pthread_mutex_t lock;  // of what follows, and of all spaces
    struct space *current;
    uint64_t n_spaces;
};

struct grammar *grammar_new(struct program *p, const struct grammar_vocab *v, size_t max_bytes)
{
    struct grammar *g = memory_new(1, sizeof *g);
    g->program = p;
    g->vocab = v;
    g->max_bytes = max_bytes ? max_bytes : GRAMMAR_SPACE_BYTES;
    atomic_init(&g->n_holders, 1);
    pthread_mutex_init(&g->lock, NULL);
    g->current = space_new(p, g->max_bytes);
    g->n_spaces = 1;
    return g;
}

struct grammar *grammar_hold(struct grammar *g)
{
    if (g)
        atomic_fetch_add(&g->n_holders, 1);
    return g;
}

static void drop_space(struct space *s)
{
    if (--s->n_refs == 0)
        space_free(s, mask_free);
}

void grammar_release(struct grammar *g)
{
    if (!g || atomic_fetch_sub(&g->n_holders, 1) > 1)
        return;
    drop_space(g->current);
    pthread_mutex_destroy(&g->lock);
    program_free(g->program);
    free(g);
}

size_t grammar_bytes(struct grammar *g)
{
    pthread_mutex_lock(&g->lock);
    size_t n = sizeof *g + program_bytes(g->program) + space_bytes(g->current);
    pthread_mutex_unlock(&g->lock);
    return n;
}

uint64_t grammar_n_spaces(struct grammar *g)
{
    pthread_mutex_lock(&g->lock);
    uint64_t n = g->n_spaces;
    pthread_mutex_unlock(&g->lock);
    return n;
}

// Under the lock

// The same stack in another space.
static uint32_t move_frame(const struct space *from, struct space *to, uint32_t frame)
{
    size_t n = 0, depth = from->frames[frame].depth;
    uint32_t *chain = memory_array(uint32_t, depth + 1);
    for (; frame != FRAME_EMPTY; frame = from->frames[frame].parent) {
        assert(frame != FRAME_UNKNOWN && n <= depth);
        chain[n++] = frame;
    }
    while (n) {
        const struct frame *f = &from->frames[chain[--n]];
        frame = space_frame(to, frame, f->node, f->min, f->max);
    }
    free(chain);
    return frame;
}

static uint32_t move_set(const struct space *from, struct space *to, uint32_t set)
{
    const struct config_set *t = &from->sets[set];
    struct config *list = memory_array(struct config, t->n + 1);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct config *c = &from->configs[t->first + i];
        list[i] = (struct config){c->node, move_frame(from, to, c->frame)};
    }
    uint32_t moved = space_set(to, list, t->n);
    free(list);
    return moved;
}

static void refresh(struct grammar *g)
{
    if (!space_full(g->current))
        return;
    drop_space(g->current);
    g->current = space_new(g->program, g->max_bytes);
    g->n_spaces++;
}

static bool failed(const struct space *s, struct error *err)
{
    return error_set(err, ERR_LIMIT, "grammar: %s", s->failure);
}

// Begins an operation: the place is in a space that has room.
static bool settle(struct place *m, struct error *err)
{
    struct grammar *g = m->grammar;
    refresh(g);
    if (m->space == g->current)
        return true;
    uint32_t set = move_set(m->space, g->current, m->set);
    if (g->current->failed)
        return failed(g->current, err);
    drop_space(m->space);
    m->space = g->current;
    m->space->n_refs++;
    m->set = set;
    return true;
}

static uint32_t run(struct space *s, uint32_t set, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len && set != SET_DEAD; i++)
        set = space_step(s, set, (uint8_t)bytes.ptr[i]);
    return set;
}

// Places

bool place_init(struct place *m, struct grammar *g, struct error *err)
{
    pthread_mutex_lock(&g->lock);
    refresh(g);
    uint32_t set = space_start(g->current);
    bool ok = !g->current->failed || failed(g->current, err);
    if (ok) {
        *m = (struct place){.grammar = grammar_hold(g), .space = g->current, .set = set};
        m->space->n_refs++;
    }
    pthread_mutex_unlock(&g->lock);
    return ok;
}

void place_copy(struct place *to, const struct place *from)
{
    *to = *from;
    if (!from->grammar)
        return;
    grammar_hold(from->grammar);
    pthread_mutex_lock(&from->grammar->lock);
    to->space->n_refs++;
    pthread_mutex_unlock(&from->grammar->lock);
}

void place_release(struct place *m)
{
    if (!m->grammar)
        return;
    pthread_mutex_lock(&m->grammar->lock);
    drop_space(m->space);
    pthread_mutex_unlock(&m->grammar->lock);
    grammar_release(m->grammar);
    *m = (struct place){0};
}

static bool accept(struct place *m, struct slice bytes, struct error *err)
{
    uint32_t set = run(m->space, m->set, bytes);
    if (m->space->failed)
        return failed(m->space, err);
    if (set == SET_DEAD)
        return error_set(err, ERR_USAGE, "the grammar does not allow this here");
    m->set = set;
    m->started |= bytes.len > 0;
    return true;
}

bool place_accept_bytes(struct place *m, struct slice bytes, struct error *err)
{
    pthread_mutex_lock(&m->grammar->lock);
    bool ok = settle(m, err) && accept(m, bytes, err);
    pthread_mutex_unlock(&m->grammar->lock);
    return ok;
}

static struct slice text_of(const struct place *m, int32_t token, bool started)
{
    const struct grammar_vocab *v = m->grammar->vocab;
    if (token < 0 || token >= v->n_tokens)
        return slice_of("", 0);
    return grammar_vocab_token(v, token, !started);
}

bool place_accept(struct place *m, int32_t token, struct error *err)
{
    struct slice text = text_of(m, token, m->started);
    if (!text.len)
        return error_set(err, ERR_USAGE, "token %" PRId32 " fits no grammar", token);
    return place_accept_bytes(m, text, err);
}

size_t place_fits(struct place *m, const int32_t *tokens, size_t n)
{
    size_t fits = 0;
    struct error err;
    pthread_mutex_lock(&m->grammar->lock);
    uint32_t set = settle(m, &err) ? m->set : SET_DEAD;
    bool started = m->started;
    for (; fits < n && set != SET_DEAD; fits++) {
        struct slice text = text_of(m, tokens[fits], started);
        set = text.len ? run(m->space, set, text) : SET_DEAD;
        if (set == SET_DEAD)
            break;
        started = true;
    }
    pthread_mutex_unlock(&m->grammar->lock);
    return fits;
}

bool place_can_end(struct place *m)
{
    pthread_mutex_lock(&m->grammar->lock);
    bool can = m->space->sets[m->set].can_end;
    pthread_mutex_unlock(&m->grammar->lock);
    return can;
}

bool place_must_end(struct place *m)
{
    pthread_mutex_lock(&m->grammar->lock);
    bool must = m->space->sets[m->set].must_end;
    pthread_mutex_unlock(&m->grammar->lock);
    return must;
}

bool place_mask(struct place *m, uint32_t *mask, size_t n_words, struct error *err)
{
    struct grammar *g = m->grammar;
    pthread_mutex_lock(&g->lock);
    bool ok = settle(m, err) && (mask_of(m->space, g->vocab, m->set, !m->started, mask, n_words) ||
                                 failed(m->space, err));
    pthread_mutex_unlock(&g->lock);
    return ok;
}
