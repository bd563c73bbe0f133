#include "local/eval/scoring.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/doubles.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/eval/perplexity.h"
#include "local/eval/score.h"

// Some rows of a step, as many as a block of a file holds, and what the threads find in them.
struct block {
    struct scoring *s;
    const float *logits;
    const int32_t *came;
    struct found {
        double nll, kl;
        float their_logprob;
        bool same_top, valid;
    } found[LOGITS_BLOCK];
};

bool scoring_init(struct scoring *s, const struct perplexity_options *o, struct logits_header h,
                  const int32_t *tokens, struct error *err)
{
    int n_threads = o->threads > 0 ? o->threads : thread_pool_default_size();
    *s = (struct scoring){.kernels = score_kernels_best(), .n_vocab = h.n_vocab};
    s->pool = thread_pool_new(n_threads, NULL);
    s->n_max = (size_t)h.n_windows * (size_t)logits_rows(h.ctx);
    if (o->against)
        s->kl = memory_array(double, s->n_max);
    return (!o->against || logits_file_open(&s->against, o->against, h, tokens, err)) &&
           (!o->save_logits || logits_file_create(&s->save, o->save_logits, h, tokens, err));
}

void scoring_release(struct scoring *s)
{
    logits_file_drop(&s->save);
    logits_file_drop(&s->against);
    thread_pool_free(s->pool);
    free(s->kl);
}

// With S and T the sums of the exponentials of both, p = exp(-distance) / T is their probability,
// and KL = sum p (log p - log ours) = sum p (-distance - (logit - max)) - log T + log S.
static void compare(struct scoring *s, int i, const float *logits, const struct row_score *ours,
                    struct found *f)
{
    struct row_divergence d = s->kernels->diverge(logits_file_distances(&s->against, i), logits,
                                                  ours->max, (size_t)s->n_vocab);
    f->their_logprob = logits_file_logprob(&s->against, i);
    f->kl = d.cross / d.sum - log(d.sum) + log(ours->sum);
    f->same_top = d.best == ours->best;
    f->valid = d.valid;
}

static void score_row(void *self, int i, int worker)
{
    (void)worker;
    struct block *b = self;
    struct scoring *s = b->s;
    struct found *f = &b->found[i];
    const float *logits = b->logits + (size_t)i * (size_t)s->n_vocab;
    struct row_score ours = s->kernels->score(logits, (size_t)s->n_vocab);
    double from_max = (double)logits[b->came[i]] - (double)ours.max;
    *f = (struct found){.nll = log(ours.sum) - from_max, .valid = true};
    if (s->against.f)
        compare(s, i, logits, &ours, f);
    if (!s->save.f)
        return;
    logits_file_set_logprob(&s->save, i, (float)-f->nll);
    s->kernels->distances(logits_file_distances(&s->save, i), logits, ours.max, (size_t)s->n_vocab);
}

static bool sum_up(struct scoring *s, const struct block *b, int n_rows, struct error *err)
{
    for (int i = 0; i < n_rows; i++) {
        const struct found *f = &b->found[i];
        assert(s->n < s->n_max);
        if (!isfinite(f->nll))
            return error_set(err, ERR_NUMERIC, "the likelihood of token %d is no number",
                             (int)b->came[i]);
        if (!f->valid)
            return error_set(err, ERR_FORMAT, "'%s': a distance that is no number or negative",
                             s->against.path);
        if (s->kl)
            s->kl[s->n] = f->kl;
        s->n++;
        s->nll += f->nll;
        s->nll_squared += f->nll * f->nll;
        s->their_nll -= (double)f->their_logprob;
        s->n_same_top += f->same_top;
    }
    return true;
}

bool scoring_add(struct scoring *s, const float *logits, const int32_t *came, int n_rows,
                 struct error *err)
{
    struct block b = {.s = s};
    for (int first = 0; first < n_rows; first += LOGITS_BLOCK) {
        int n = n_rows - first < LOGITS_BLOCK ? n_rows - first : LOGITS_BLOCK;
        b.logits = logits + (size_t)first * (size_t)s->n_vocab;
        b.came = came + first;
        if (s->against.f && !logits_file_read(&s->against, n, err))
            return false;
        thread_pool_run(s->pool, score_row, &b, n);
        if (!sum_up(s, &b, n, err) || (s->save.f && !logits_file_write(&s->save, n, err)))
            return false;
    }
    return true;
}

bool scoring_end(struct scoring *s, struct perplexity_result *out, struct error *err)
{
    double n = (double)s->n, mean = s->nll / n;
    double variance = s->nll_squared / n - mean * mean;
    out->perplexity = exp(mean);
    out->standard_error = n > 1 && variance > 0 ? out->perplexity * sqrt(variance / (n - 1)) : 0;
    out->tokens = s->n;
    out->compared = s->kl != NULL;
    if (out->compared) {
        for (size_t i = 0; i < s->n; i++)
            out->kl_mean += s->kl[i] / n;
        doubles_sort(s->kl, s->n);
        out->kl_p99 = s->kl[(s->n - 1) * 99 / 100];
        out->same_top = (double)s->n_same_top / n;
        out->their_perplexity = exp(s->their_nll / n);
    }
    return logits_file_close(&s->save, err);
}
