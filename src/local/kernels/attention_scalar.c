// attention_scalar.c - the specification of attention over paged K and V.
//
// Softmax is online, in float32, over whole pages in ascending order: the partial sums of a query
// depend on its own positions only. V is read only where the query may look: a slot that was
// never written may hold NaN, and 0 * NaN is NaN.
// Source: PagedAttention, arXiv:2309.06180; online softmax, arXiv:1805.02867.
#include <math.h>

#include "local/kernels/kernels.h"
#include "local/kernels/parts.h"

static float element(const struct attention_task *t, const uint8_t *from, size_t i)
{
    if (t->dtype == DTYPE_F32)
        return ((const float *)(const void *)from)[i];
    return f16_to_f32(((const uint16_t *)(const void *)from)[i]);
}

struct running {
    float largest, sum;
};

static void one_page(const struct attention_task *t, int i, int page, struct running *run,
                     float *acc)
{
    int n_dims = t->head_dim, pos = t->pos[i];
    int start = page * KERNEL_PAGE;
    int low = t->window > 0 && pos - t->window + 1 > start ? pos - t->window + 1 - start : 0;
    int high = pos + 1 - start < KERNEL_PAGE ? pos + 1 - start : KERNEL_PAGE;
    if (low >= high)
        return;
    const uint8_t *k = t->k + (size_t)t->pages[page] * t->page_bytes;
    const uint8_t *v = t->v + (size_t)t->pages[page] * t->page_bytes;
    float scores[KERNEL_PAGE] = {0}, largest = run->largest;
    for (int s = low; s < high; s++) {
        float dot = 0;
        for (int d = 0; d < n_dims; d++)
            dot += t->q[i][d] * element(t, k, (size_t)d * KERNEL_PAGE + (size_t)s);
        dot *= t->scale;
        if (t->softcap > 0)
            dot = t->softcap * tanhf(dot / t->softcap);
        scores[s] = dot;
        largest = dot > largest ? dot : largest;
    }
    float keep = expf(run->largest - largest);
    run->sum *= keep;
    for (int d = 0; d < n_dims; d++)
        acc[d] *= keep;
    for (int s = low; s < high; s++) {
        float p = expf(scores[s] - largest);
        run->sum += p;
        for (int d = 0; d < n_dims; d++)
            acc[d] += p * element(t, v, (size_t)s * (size_t)n_dims + (size_t)d);
    }
    run->largest = largest;
}

static void attention_scalar(const struct attention_task *t, float *scratch)
{
    for (int i = 0; i < t->n_queries; i++) {
        // The lowest finite number, so that a difference of two is never NaN.
        struct running run = {-3.0e38f, 0};
        if (t->has_sinks)
            run = (struct running){t->sink[i], 1};
        for (int d = 0; d < t->head_dim; d++)
            scratch[d] = 0;
        int first = t->window > 0 && t->pos[i] >= t->window ? (t->pos[i] - t->window + 1) : 0;
        for (int page = first / KERNEL_PAGE; page <= t->pos[i] / KERNEL_PAGE; page++)
            one_page(t, i, page, &run, scratch);
        float inverse = 1.0f / run.sum;
        for (int d = 0; d < t->head_dim; d++)
            t->out[i][d] = scratch[d] * inverse;
    }
}

void attention_use_scalar(struct kernels *k)
{
    k->attention = attention_scalar;
}
