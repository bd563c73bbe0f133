#include "local/eval/perplexity.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/eval/logits_file.h"
#include "local/models/model.h"

enum { SLOTS_MAX = 8 };

struct scoring {
    double nll, nll_squared, their_nll;
    double *kl;  // [n_windows * rows of a window]
    size_t n, n_same_top;
};

struct run {
    struct model *m;
    const struct perplexity_options *o;
    int ctx, n_windows, n_vocab;
    int max_rows, max_wanted, n_slots;  // windows under way at once
    int32_t *tokens;                    // [n_windows, ctx]
    struct kv_cache *kv[BATCH_GROUPS_MAX];
    struct batch *batch;
    float *logits;                           // [max_wanted, n_vocab]
    float *distances;                        // [n_vocab] of the other model
    int window[SLOTS_MAX], done[SLOTS_MAX];  // of each slot; -1: none left
    int next_window;
    struct logits_file save, against;
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

static bool prepare_memory(struct run *r, struct error *err)
{
    int max_seqs;
    enum dtype kv_type;
    if (!kv_type_from_name(r->o->kv_type, &kv_type, err))
        return false;
    if (kv_type == DTYPE_COUNT)
        kv_type = model_kv_default(r->m);
    model_limits(r->m, &r->max_rows, &r->max_wanted, &max_seqs);
    r->n_slots = r->max_rows / r->ctx + 2;
    r->n_slots = r->n_slots < SLOTS_MAX ? r->n_slots : SLOTS_MAX;
    r->n_slots = r->n_slots < max_seqs ? r->n_slots : max_seqs;
    r->n_slots = r->n_slots < r->n_windows ? r->n_slots : r->n_windows;
    struct backend *b = model_backend(r->m);
    int pages = (r->ctx + PAGE_TOKENS - 1) / PAGE_TOKENS;
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
    r->distances = memory_array(float, (size_t)r->n_vocab);
    r->score.kl = memory_array(double, (size_t)r->n_windows *(size_t)logits_rows(r->ctx));
    return r->logits || error_set(err, ERR_MEMORY, "no memory for %zu logits", n_logits);
}

static bool prepare_files(struct run *r, struct error *err)
{
    struct logits_header h = {r->ctx, r->n_vocab, r->n_windows};
    return (!r->o->against || logits_file_open(&r->against, r->o->against, h, r->tokens, err)) &&
           (!r->o->save_logits ||
            logits_file_create(&r->save, r->o->save_logits, h, r->tokens, err));
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
    free(r->distances);
    free(r->tokens);
    free(r->score.kl);
    (void)logits_file_close(&r->save, NULL);
    (void)logits_file_close(&r->against, NULL);
}

static bool is_scored(const struct run *r, int pos)
{
    return pos >= r->ctx / 2;
}

// Older windows come first, so that scored rows come in the order of the text: a younger one is
// begun only with rows that the older ones leave.
static int fill_batch(struct run *r)
{
    int n_wanted = 0, pages = (r->ctx + PAGE_TOKENS - 1) / PAGE_TOKENS;
    batch_clear(r->batch);
    for (int s = 0; s < r->n_slots; s++) {
        if (r->window[s] < 0)
            continue;
        if (r->batch->n_rows == r->max_rows)
            break;
        int seq = batch_add_seq(r->batch, r->ctx);
        for (int g = 0; g < r->batch->n_groups; g++)
            for (int i = 0; i < pages; i++)
                batch_pages(r->batch, g, seq)[i] = s * pages + i;
        const int32_t *tokens = r->tokens + (size_t)r->window[s] * (size_t)r->ctx;
        while (r->done[s] < r->ctx - 1 && r->batch->n_rows < r->max_rows) {
            int pos = r->done[s];
            if (is_scored(r, pos) && n_wanted == r->max_wanted)
                return n_wanted;
            n_wanted += is_scored(r, pos);
            batch_add_row(r->batch, seq, tokens[pos], pos,
                          is_scored(r, pos) ? WANT_LOGITS : WANT_NOTHING);
            r->done[s]++;
        }
        if (r->done[s] < r->ctx - 1)
            break;
    }
    return n_wanted;
}

static int argmax(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

static bool compare(struct run *r, const float *logits, int best, double log_sum, struct error *err)
{
    float their_logprob;
    if (!logits_file_read(&r->against, r->distances, &their_logprob, err))
        return false;
    double sum = exp(-(double)r->distances[0]), kl = 0;
    int their_best = 0;
    for (int i = 1; i < r->n_vocab; i++) {
        sum += exp(-(double)r->distances[i]);
        their_best = r->distances[i] < r->distances[their_best] ? i : their_best;
    }
    double their_log_sum = log(sum);
    for (int i = 0; i < r->n_vocab; i++) {
        double theirs = -(double)r->distances[i] - their_log_sum;
        if (theirs > -200)
            kl += exp(theirs) * (theirs - ((double)logits[i] - log_sum));
    }
    r->score.kl[r->score.n] = kl;
    r->score.n_same_top += their_best == best;
    r->score.their_nll -= (double)their_logprob;
    return true;
}

static bool score_row(struct run *r, const float *logits, int32_t came, struct error *err)
{
    int best = argmax(logits, r->n_vocab);
    double sum = (double)expf(logits[0] - logits[best]);
    for (int i = 1; i < r->n_vocab; i++)
        sum += (double)expf(logits[i] - logits[best]);
    double log_sum = (double)logits[best] + log(sum), nll = log_sum - (double)logits[came];
    if (!isfinite(nll))
        return error_set(err, ERR_NUMERIC, "the likelihood of token %d is no number", (int)came);
    if (r->o->against && !compare(r, logits, best, log_sum, err))
        return false;
    r->score.nll += nll;
    r->score.nll_squared += nll * nll;
    r->score.n++;
    return !r->o->save_logits ||
           logits_file_write(&r->save, logits, logits[best], (float)-nll, err);
}

static bool score_batch(struct run *r, struct error *err)
{
    const float *logits = r->logits;
    int slot_of[SLOTS_MAX] = {0}, n = 0;
    for (int s = 0; s < r->n_slots; s++)
        if (r->window[s] >= 0)
            slot_of[n++] = s;  // sequences were added in this order
    for (int i = 0; i < r->batch->n_rows; i++) {
        if (batch_want(r->batch)[i] != WANT_LOGITS)
            continue;
        size_t window = (size_t)r->window[slot_of[batch_seq(r->batch)[i]]];
        size_t next = window * (size_t)r->ctx + (size_t)batch_pos(r->batch)[i] + 1;
        if (!score_row(r, logits, r->tokens[next], err))
            return false;
        logits += r->n_vocab;
    }
    return true;
}

// New windows begin when all slots are done, so that the order of slots is that of the windows.
static int begin_windows(struct run *r)
{
    int n_active = 0;
    for (int s = 0; s < r->n_slots; s++)
        if (r->window[s] >= 0 && r->done[s] == r->ctx - 1)
            r->window[s] = -1;
    for (int s = 0; s < r->n_slots; s++)
        n_active += r->window[s] >= 0;
    if (n_active)
        return n_active;
    for (int s = 0; s < r->n_slots && r->next_window < r->n_windows; s++, n_active++) {
        r->window[s] = r->next_window++;
        r->done[s] = 0;
    }
    return n_active;
}

static bool run_windows(struct run *r, struct error *err)
{
    for (int s = 0; s < r->n_slots; s++)
        r->window[s] = -1;
    for (int n; (n = begin_windows(r)) > 0;) {
        (void)fill_batch(r);
        model_forward(r->m, r->kv, r->batch, r->logits);
        if (!score_batch(r, err))
            return false;
        size_t done = (size_t)(r->next_window - n);
        if (r->o->progress && !r->o->progress(r->o->progress_self, done, (size_t)r->n_windows))
            return error_set(err, ERR_CANCELLED, "interrupted after %zu of %d windows", done,
                             r->n_windows);
    }
    return !r->o->save_logits || logits_file_close(&r->save, err);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void sum_up(struct run *r, struct perplexity_result *out)
{
    const struct scoring *s = &r->score;
    double n = (double)s->n, mean = s->nll / n;
    out->perplexity = exp(mean);
    double variance = s->nll_squared / n - mean * mean;
    out->standard_error = n > 1 && variance > 0 ? out->perplexity * sqrt(variance / (n - 1)) : 0;
    out->tokens = s->n;
    out->ctx = r->ctx;
    out->windows = r->n_windows;
    out->compared = r->o->against != NULL;
    if (!out->compared)
        return;
    for (size_t i = 0; i < s->n; i++)
        out->kl_mean += s->kl[i] / n;
    qsort(s->kl, s->n, sizeof *s->kl, compare_doubles);
    out->kl_p99 = s->kl[(s->n - 1) * 99 / 100];
    out->same_top = (double)s->n_same_top / n;
    out->their_perplexity = exp(s->their_nll / n);
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
              prepare_files(&r, err) && run_windows(&r, err);
    if (ok)
        sum_up(&r, out);
    out->seconds = clock_s() - start;
    release(&r);
    return ok;
}
