#include "local/eval/perplexity.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/eval/scoring.h"
#include "local/models/model.h"

enum { SLOTS_MAX = 64, LOGITS_MAX = 64 << 20 };

// Windows [first, first + n_slots) are under way. Window w has its keys and values in slot
// w % n_slots.
struct run {
    struct model *m;
    const struct perplexity_options *o;
    int ctx, n_windows, n_vocab;
    int max_rows, max_wanted, n_slots;
    int32_t *tokens;  // [n_windows, ctx]
    struct kv_cache *kv[BATCH_GROUPS_MAX];
    struct batch *batch;
    float *logits;        // [max_wanted, n_vocab]
    int32_t *came;        // [max_wanted] the tokens that they were to predict
    int first, n_wanted;  // rows of this step whose logits are wanted
    int done[SLOTS_MAX];  // tokens
    struct scoring score;
};

static bool prepare_tokens(struct run *r, const int32_t *tokens, size_t n, int32_t bos,
                           struct error *err)
{
    size_t n_windows = n / (size_t)r->ctx;
    if (r->o->max_windows > 0 && n_windows > (size_t)r->o->max_windows)
        n_windows = (size_t)r->o->max_windows;
    if (!n_windows)
        return error_set(err, ERR_USAGE, "the text has %zu tokens, a window needs %d", n, r->ctx);
    if (n_windows > INT32_MAX / (size_t)r->ctx)
        return error_set(err, ERR_LIMIT, "the text has %zu tokens, too many", n);
    r->n_windows = (int)n_windows;
    size_t all = n_windows * (size_t)r->ctx;
    r->tokens = memory_array(int32_t, all);
    memcpy(r->tokens, tokens, all * sizeof *tokens);
    for (size_t i = 0; i < all; i++) {
        if (bos >= 0 && i % (size_t)r->ctx == 0)
            r->tokens[i] = bos;
        if (r->tokens[i] < 0 || r->tokens[i] >= r->n_vocab)
            return error_set(err, ERR_USAGE, "token %d is none of this model (0..%d)",
                             (int)r->tokens[i], r->n_vocab - 1);
    }
    return true;
}

static int pages_of(int n_tokens)
{
    return (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

static bool prepare_memory(struct run *r, struct error *err)
{
    int max_seqs;
    enum dtype kv_type;
    if (!kv_type_from_name(r->o->kv_type, &kv_type, err))
        return false;
    if (kv_type == DTYPE_COUNT)
        kv_type = model_kv_default(r->m);
    model_limits(r->m, &r->max_rows, &r->max_wanted, &max_seqs);
    if ((size_t)r->max_wanted > LOGITS_MAX / (size_t)r->n_vocab)
        r->max_wanted = most(LOGITS_MAX / r->n_vocab, 1);
    r->n_slots = r->max_rows / r->ctx + 2;
    r->n_slots = r->n_slots < SLOTS_MAX ? r->n_slots : SLOTS_MAX;
    r->n_slots = r->n_slots < max_seqs ? r->n_slots : max_seqs;
    r->n_slots = r->n_slots < r->n_windows ? r->n_slots : r->n_windows;
    struct backend *b = model_backend(r->m);
    int pages = pages_of(r->ctx);
    for (int g = 0; g < model_n_groups(r->m); g++) {
        const struct kv_group *group = model_group(r->m, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = pages * r->n_slots,
                                 .dtype = kv_type};
        r->kv[g] = b->ops->kv_new(b, &shape, err);
        if (!r->kv[g])
            return false;
    }
    r->batch = batch_new(r->max_rows, r->n_slots, model_n_groups(r->m), pages);
    size_t n_logits = (size_t)r->max_wanted * (size_t)r->n_vocab;
    r->logits = memory_big_new(n_logits * sizeof *r->logits);
    r->came = memory_array(int32_t, (size_t)r->max_wanted);
    return r->logits || error_set(err, ERR_MEMORY, "no memory for %zu logits", n_logits);
}

static void release(struct run *r)
{
    struct backend *b = model_backend(r->m);
    for (int g = 0; g < BATCH_GROUPS_MAX; g++)
        if (r->kv[g])
            b->ops->kv_free(b, r->kv[g]);
    batch_free(r->batch);
    if (r->logits)
        memory_big_free(r->logits, (size_t)r->max_wanted * (size_t)r->n_vocab * sizeof(float));
    free(r->came);
    free(r->tokens);
    scoring_release(&r->score);
}

static bool is_scored(const struct run *r, int pos)
{
    return pos >= r->ctx / 2;
}

// True if this step takes the next row of window w.
static bool takes_next(const struct run *r, int w)
{
    int pos = r->done[w % r->n_slots];
    return pos < r->ctx - 1 && r->batch->n_rows < r->max_rows &&
           (!is_scored(r, pos) || r->n_wanted < r->max_wanted);
}

static void add_rows(struct run *r, int w)
{
    int slot = w % r->n_slots, pages = pages_of(r->ctx), seq = batch_add_seq(r->batch, r->ctx);
    const int32_t *tokens = r->tokens + (size_t)w * (size_t)r->ctx;
    for (int g = 0; g < r->batch->n_groups; g++)
        for (int i = 0; i < pages; i++)
            batch_pages(r->batch, g, seq)[i] = slot * pages + i;
    for (; takes_next(r, w); r->done[slot]++) {
        int pos = r->done[slot];
        if (is_scored(r, pos))
            r->came[r->n_wanted++] = tokens[pos + 1];
        batch_add_row(r->batch, seq, tokens[pos], pos,
                      is_scored(r, pos) ? WANT_LOGITS : WANT_NOTHING);
    }
}

// Older windows come first. Where they have as many scored rows as a step takes, younger ones
// fill it up with rows that are not scored; so scored rows come in the order of the text.
static void fill_batch(struct run *r)
{
    batch_clear(r->batch);
    r->n_wanted = 0;
    for (int w = r->first; w < r->n_windows && w < r->first + r->n_slots; w++)
        if (takes_next(r, w))
            add_rows(r, w);
}

static bool run_windows(struct run *r, struct error *err)
{
    while (r->first < r->n_windows) {
        fill_batch(r);
        model_forward(r->m, r->kv, r->batch, r->logits);
        if (!scoring_add(&r->score, r->logits, r->came, r->n_wanted, err))
            return false;
        for (int *done; r->first < r->n_windows; r->first++, *done = 0) {
            done = &r->done[r->first % r->n_slots];
            if (*done < r->ctx - 1)
                break;
        }
        if (r->o->progress &&
            !r->o->progress(r->o->progress_self, (size_t)r->first, (size_t)r->n_windows))
            return error_set(err, ERR_CANCELLED, "interrupted after %d of %d windows", r->first,
                             r->n_windows);
    }
    return true;
}

static struct logits_header header_of(const struct run *r)
{
    return (struct logits_header){r->ctx, r->n_vocab, r->n_windows};
}

bool perplexity_tokens(struct model *m, const int32_t *tokens, size_t n, int32_t bos,
                       const struct perplexity_options *o, struct perplexity_result *out,
                       struct error *err)
{
    struct run r = {.m = m, .o = o, .ctx = o->ctx ? o->ctx : 512, .n_vocab = model_n_vocab(m)};
    double start = clock_s();
    *out = (struct perplexity_result){0};
    if (r.ctx < 4 || r.ctx > model_ctx(m))
        return error_set(err, ERR_USAGE, "ctx: %d is not between 4 and the model's %d", r.ctx,
                         model_ctx(m));
    bool ok = prepare_tokens(&r, tokens, n, bos, err) && prepare_memory(&r, err) &&
              scoring_init(&r.score, o, header_of(&r), r.tokens, err) && run_windows(&r, err) &&
              scoring_end(&r.score, out, err);
    out->ctx = r.ctx;
    out->windows = r.n_windows;
    out->tokens_read = (size_t)r.n_windows * (size_t)(r.ctx - 1);
    out->seconds = clock_s() - start;
    release(&r);
    return ok;
}
