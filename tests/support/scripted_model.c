#include "scripted_model.h"

#include <assert.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"

struct scripted {
    int32_t *pages;        // [n_pages][PAGE_TOKENS] tokens
    int32_t *draft_pages;  // NULL: no draft model
    const int32_t *const *scripts;
    int n_scripts;
    bool by_length;
    int window;
    pthread_mutex_t *gate;
    atomic_int *n_steps;
};

static void logits_of(const struct scripted *m, uint64_t hash, float *logits)
{
    (void)m;
    for (int i = 0; i < SCRIPTED_VOCAB; i++)
        logits[i] = i < 256 ? (float)(hash_mix(hash + (uint64_t)i) >> 40) * 0x1p-24f * 8 : -20;
}

static void script_logits(const struct scripted *m, int k, int pos, float *logits)
{
    assert(k < m->n_scripts);
    const int32_t *script = m->scripts[k];
    int n = 0;
    while (script[n] >= 0)
        n++;
    int32_t next = script[pos % n];
    for (int i = 0; i < SCRIPTED_VOCAB; i++)
        logits[i] = next == SCRIPT_NAN ? NAN : i == next ? 10 : -10;
}

static void row_logits(const struct scripted *m, const struct batch *b, int row, float *logits)
{
    int seq = batch_seq(b)[row], pos = batch_pos(b)[row];
    const int32_t *table = batch_pages(b, 0, seq);
    int first = m->window ? pos - m->window + 1 : 0;
    uint64_t hash = m->by_length ? (uint64_t)batch_final_len(b)[seq] : 0;
    for (int p = first > 0 ? first : 0; p <= pos; p++) {
        assert(table[p / PAGE_TOKENS] >= 0);
        int32_t token = m->pages[table[p / PAGE_TOKENS] * PAGE_TOKENS + p % PAGE_TOKENS];
        if (p == 0 && token >= SCRIPT && !m->by_length) {
            script_logits(m, token - SCRIPT, pos, logits);
            return;
        }
        hash = hash_mix(hash ^ (uint64_t)(uint32_t)token);
    }
    logits_of(m, hash, logits);
}

static void forward(void *self, const struct batch *b, float *logits)
{
    struct scripted *m = self;
    if (m->n_steps)
        atomic_fetch_add(m->n_steps, 1);
    if (m->gate) {
        pthread_mutex_lock(m->gate);
        pthread_mutex_unlock(m->gate);
    }
    for (int r = 0; r < b->n_rows; r++) {
        int pos = batch_pos(b)[r];
        int32_t page = batch_pages(b, 0, batch_seq(b)[r])[pos / PAGE_TOKENS];
        assert(page >= 0);
        m->pages[page * PAGE_TOKENS + pos % PAGE_TOKENS] =
            batch_token(b)[r] + (m->by_length ? batch_final_len(b)[batch_seq(b)[r]] * 1000 : 0);
    }
    for (int r = 0; r < b->n_rows; r++)
        if (batch_want(b)[r] == WANT_LOGITS) {
            row_logits(m, b, r, logits);
            logits += SCRIPTED_VOCAB;
        }
}

static void store(const struct batch *b, int32_t *pages)
{
    for (int r = 0; r < b->n_rows; r++) {
        int pos = batch_pos(b)[r];
        int32_t page = batch_pages(b, 0, batch_seq(b)[r])[pos / PAGE_TOKENS];
        assert(page >= 0);
        pages[page * PAGE_TOKENS + pos % PAGE_TOKENS] = batch_token(b)[r];
    }
}

// Whatever lies further back than guesses reach, the model has computed from the text itself.
static void check_draft_pages(const struct scripted *m, const struct batch *b, int row)
{
    enum { GUESSES = 40 };
    const int32_t *table = batch_pages(b, 0, batch_seq(b)[row]);
    for (int p = 0; p < batch_pos(b)[row] - GUESSES; p++) {
        int at = table[p / PAGE_TOKENS] * PAGE_TOKENS + p % PAGE_TOKENS;
        assert(table[p / PAGE_TOKENS] >= 0 && m->draft_pages[at] == m->pages[at]);
    }
}

static void draft_forward(void *self, const struct batch *b, float *logits)
{
    struct scripted *m = self;
    struct scripted draft = *m;
    draft.pages = m->draft_pages;
    store(b, m->draft_pages);
    for (int r = 0; r < b->n_rows; r++) {
        check_draft_pages(m, b, r);
        if (batch_want(b)[r] != WANT_LOGITS)
            continue;
        row_logits(&draft, b, r, logits);
        if (hash_mix((uint64_t)batch_pos(b)[r]) % 3 == 0)
            logits_of(m, 1, logits);
        logits += SCRIPTED_VOCAB;
    }
}

static void hidden(void *self, const struct batch *b, float *out)
{
    (void)self;
    for (int r = 0; r < b->n_rows; r++)
        if (batch_want(b)[r] == WANT_EMBEDDING) {
            scripted_hidden(batch_token(b)[r], batch_pos(b)[r], out);
            out += SCRIPTED_EMBD;
        }
}

static void copy_page(void *self, int group, int from, int to)
{
    struct scripted *m = self;
    assert(group == 0);
    memcpy(m->pages + to * PAGE_TOKENS, m->pages + from * PAGE_TOKENS,
           PAGE_TOKENS * sizeof *m->pages);
    if (m->draft_pages)
        memcpy(m->draft_pages + to * PAGE_TOKENS, m->draft_pages + from * PAGE_TOKENS,
               PAGE_TOKENS * sizeof *m->pages);
}

static uint64_t length_class(void *self, int final_len)
{
    (void)self;
    return (uint64_t)final_len;
}

static void text_begin(void *self, struct detokenizer *d, bool skip_special)
{
    (void)self;
    *d = (struct detokenizer){.skip_special = skip_special};
}

static void text_push(void *self, struct detokenizer *d, int32_t token, struct buf *out)
{
    (void)self;
    if (token >= 128 && token < 256) {  // half of something, until an ordinary byte comes
        d->held[d->n_held++ % sizeof d->held] = (char)token;
        return;
    }
    if (d->n_held)
        buf_text_add(out, "?");
    d->n_held = 0;
    if (token < 256)
        buf_char(out, (char)token);
}

static void text_finish(void *self, struct detokenizer *d, struct buf *out)
{
    (void)self;
    if (d->n_held)
        buf_text_add(out, "?");
    d->n_held = 0;
}

static void free_model(void *self)
{
    struct scripted *m = self;
    free(m->pages);
    free(m->draft_pages);
    free(m);
}

static const struct engine_model_ops ops = {
    .forward = forward,
    .draft_forward = draft_forward,
    .hidden = hidden,
    .copy_page = copy_page,
    .text_begin = text_begin,
    .text_push = text_push,
    .text_finish = text_finish,
    .free = free_model,
};
static const struct engine_model_ops ops_by_length = {
    .forward = forward,
    .copy_page = copy_page,
    .length_class = length_class,
    .text_begin = text_begin,
    .text_push = text_push,
    .text_finish = text_finish,
    .free = free_model,
};

// m->self lives until the engine frees it.
static void set_up(struct engine_model *m, const struct scripted_options *o,
                   const int32_t *const *scripts, int n)
{
    struct scripted *self = memory_new(1, sizeof *self);
    *self = (struct scripted){
        .pages = memory_array(int32_t, (size_t)o->n_pages * PAGE_TOKENS),
        .draft_pages =
            o->draft_rows ? memory_array(int32_t, (size_t)o->n_pages * PAGE_TOKENS) : NULL,
        .scripts = scripts,
        .n_scripts = n,
        .by_length = o->by_length,
        .window = o->window,
        .gate = o->gate,
        .n_steps = o->n_steps,
    };
    *m = (struct engine_model){
        .ops = o->by_length ? &ops_by_length : &ops,
        .self = self,
        .n_vocab = SCRIPTED_VOCAB,
        .n_embd = SCRIPTED_EMBD,
        .ctx = o->ctx,
        .max_rows = o->max_rows,
        .max_seqs = o->max_seqs,
        .max_wanted = o->max_seqs + 40,
        .n_groups = 1,
        .window = {o->window},
        .n_pages = {o->n_pages},
        .no_prefix_cache = o->no_prefix_cache,
        .queue_max = o->queue_max,
    };
    if (!o->draft_rows)
        return;
    m->draft.n_vocab = SCRIPTED_VOCAB;
    m->draft.ctx = o->ctx;
    m->draft.n_groups = 1;
    m->draft.max_rows = o->draft_rows;
}

struct engine *scripted_engine(const struct scripted_options *o, const int32_t *const *scripts,
                               int n)
{
    struct engine_model m;
    struct error err;
    set_up(&m, o, scripts, n);
    struct engine *e = engine_start(&m, &err);
    if (!e)
        fail_msg("%s", err.text);
    return e;
}
