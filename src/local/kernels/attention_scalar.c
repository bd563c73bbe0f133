// attention_scalar.c - the specification of attention over paged K and V.
//
// V is read only where the query may look: a slot that was never written may hold NaN, and
// 0 * NaN is NaN.
#include <math.h>
#include <string.h>

#include "local/kernels/attention.h"
#include "local/kernels/kernels.h"
#include "local/kernels/parts.h"

// The lowest finite number, so that a difference of two is never NaN.
static const float lowest = -3.0e38f;

static float plain(enum dtype type, const uint8_t *from, size_t i)
{
    if (type == DTYPE_F32)
        return ((const float *)(const void *)from)[i];
    return f16_to_f32(((const uint16_t *)(const void *)from)[i]);
}

static float scale_of(const struct attention_task *t, const uint8_t *from, int slot, int d)
{
    const void *scales = from + kv_scales_at(t->dtype, t->head_dim);
    return f16_to_f32(((const uint16_t *)scales)[d / KV_BLOCK * KV_PAGE + slot]);
}

static int nibble(uint8_t byte, bool high)
{
    return (high ? byte >> 4 : byte & 15) - 8;
}

static float key(const struct attention_task *t, const uint8_t *k, int slot, int d)
{
    if (t->dtype == DTYPE_Q8_0)
        return scale_of(t, k, slot, d) * (float)(int8_t)k[d * KV_PAGE + slot];
    if (t->dtype == DTYPE_Q4_0)
        return scale_of(t, k, slot, d) * (float)nibble(k[d / 2 * KV_PAGE + slot], d % 2);
    return plain(t->dtype, k, (size_t)(d * KV_PAGE + slot));
}

static float value(const struct attention_task *t, const uint8_t *v, int slot, int d)
{
    int at = slot * t->head_dim + d;
    if (t->dtype == DTYPE_Q8_0)
        return scale_of(t, v, slot, d) * (float)(int8_t)v[at];
    if (t->dtype == DTYPE_Q4_0) {
        int first = at - d % KV_BLOCK, j = d % KV_BLOCK;
        return scale_of(t, v, slot, d) * (float)nibble(v[first / 2 + j % 16], j >= 16);
    }
    return plain(t->dtype, v, (size_t)at);
}

struct part {
    float largest, sum;
    float acc[];  // [head_dim]
};

static struct part *part_at(float *parts, const struct attention_task *t, size_t i)
{
    return (struct part *)(void *)(parts + i * attention_part_floats(t->head_dim));
}

static void clear(struct part *p, int n_dims, float largest, float sum)
{
    p->largest = largest;
    p->sum = sum;
    memset(p->acc, 0, sizeof(float) * (size_t)n_dims);
}

static void rescale(struct part *p, int n_dims, float largest)
{
    float keep = expf(p->largest - largest);
    p->sum *= keep;
    for (int d = 0; d < n_dims; d++)
        p->acc[d] *= keep;
    p->largest = largest;
}

static void one_page(const struct attention_task *t, int i, int page, struct part *part)
{
    int start = page * KV_PAGE, low = attention_first_seen(t, i) - start, high = t->pos[i] + 1;
    low = low > 0 ? low : 0;
    high = high - start < KV_PAGE ? high - start : KV_PAGE;
    if (low >= high)
        return;
    const uint8_t *k = t->k + (size_t)t->pages[page] * t->page_bytes;
    const uint8_t *v = t->v + (size_t)t->pages[page] * t->page_bytes;
    float scores[KV_PAGE] = {0}, largest = part->largest;
    for (int s = low; s < high; s++) {
        float dot = 0;
        for (int d = 0; d < t->head_dim; d++)
            dot += t->q[i][d] * key(t, k, s, d);
        dot *= t->scale;
        if (t->softcap > 0)
            dot = t->softcap * tanhf(dot / t->softcap);
        scores[s] = dot;
        largest = dot > largest ? dot : largest;
    }
    rescale(part, t->head_dim, largest);
    for (int s = low; s < high; s++) {
        float p = expf(scores[s] - largest);
        part->sum += p;
        for (int d = 0; d < t->head_dim; d++)
            part->acc[d] += p * value(t, v, s, d);
    }
}

static void one_segment(const struct attention_task *t, int i, int segment, struct part *part)
{
    clear(part, t->head_dim, lowest, 0);
    int page = segment * ATTENTION_SEGMENT, end = page + ATTENTION_SEGMENT;
    for (; page < end; page++)
        one_page(t, i, page, part);
}

static void add_part(struct part *total, const struct part *part, int n_dims)
{
    float largest = part->largest > total->largest ? part->largest : total->largest;
    float keep = expf(part->largest - largest);
    rescale(total, n_dims, largest);
    total->sum += part->sum * keep;
    for (int d = 0; d < n_dims; d++)
        total->acc[d] += part->acc[d] * keep;
}

static void begin(const struct attention_task *t, int i, struct part *total)
{
    clear(total, t->head_dim, t->has_sinks ? t->sink[i] : lowest, t->has_sinks);
}

static void finish(const struct attention_task *t, int i, const struct part *total)
{
    float inverse = 1.0f / total->sum;
    for (int d = 0; d < t->head_dim; d++)
        t->out[i][d] = total->acc[d] * inverse;
}

static void all_scalar(const struct attention_task *t, float *scratch)
{
    struct part *part = part_at(scratch, t, 0), *total = part_at(scratch, t, 1);
    struct segment_range r = attention_segments(t);
    for (int i = 0; i < t->n_queries; i++) {
        begin(t, i, total);
        for (int s = r.first; s <= r.last; s++)
            if (attention_sees(t, i, s)) {
                one_segment(t, i, s, part);
                add_part(total, part, t->head_dim);
            }
        finish(t, i, total);
    }
}

static void part_scalar(const struct attention_task *t, int segment, float *parts, float *scratch)
{
    (void)scratch;
    for (int i = 0; i < t->n_queries; i++)
        if (attention_sees(t, i, segment))
            one_segment(t, i, segment, part_at(parts, t, (size_t)i));
}

static void merge_scalar(const struct attention_task *t, const float *parts, struct segment_range r,
                         float *scratch)
{
    struct part *total = part_at(scratch, t, 0);
    for (int i = 0; i < t->n_queries; i++) {
        begin(t, i, total);
        for (int s = r.first; s <= r.last; s++)
            if (attention_sees(t, i, s)) {
                size_t at = (size_t)(s - r.first) * (size_t)t->n_queries + (size_t)i;
                const float *from = parts + at * attention_part_floats(t->head_dim);
                add_part(total, (const struct part *)(const void *)from, t->head_dim);
            }
        finish(t, i, total);
    }
}

void attention_use_scalar(struct kernels *k)
{
    k->attention = (struct attention_kernels){all_scalar, part_scalar, merge_scalar};
}
