// attention_simd.h - attention over paged K and V for any instruction set, after rows_simd.h.
//
// K lies transposed in a page, so that scores of all its positions are vectors: for each dimension
// a broadcast of q meets 64 keys. Up to six queries share each vector of K and V. A query's sums
// take its pages, and inside them its positions, in ascending order, whatever queries stand
// beside it: to those a position adds 0 * V where they may not look, which changes nothing. V is
// read only up to the last position that some query of the tile may see.
// Source: PagedAttention, arXiv:2309.06180; online softmax, arXiv:1805.02867.
#include "local/kernels/kernels.h"

enum { Q_MAX = 6, SCORE_VECS = VEC_N == 16 ? 4 : 2, OUT_VECS = VEC_N == 16 ? 4 : 2 };

struct query_tile {
    int first, n;
    int low, high;         // slots of the page that some query sees
    const float *q;        // [head_dim][n]
    float *p;              // [n][KERNEL_PAGE]: scores, then weights
    float *acc;            // [n][head_dim]
    float *largest, *sum;  // [n]
    float keep[Q_MAX];     // what earlier sums are multiplied with
};

INLINE vec vec_load_kv(const uint8_t *p, size_t i, bool half)
{
    return half ? vec_load_f16((const uint16_t *)(const void *)p + i)
                : vec_load((const float *)(const void *)p + i);
}

INLINE void scores_of(const struct query_tile *t, const uint8_t *k, int head_dim, int n, bool half)
{
    for (int s = 0; s < KERNEL_PAGE; s += SCORE_VECS * VEC_N) {
        vec sum[Q_MAX][SCORE_VECS];
        UNROLL
        for (int i = 0; i < n; i++) {
            UNROLL
            for (int v = 0; v < SCORE_VECS; v++)
                sum[i][v] = vec_set1(0);
        }
        const float *q = t->q;
        for (int d = 0; d < head_dim; d++, q += n) {
            vec key[SCORE_VECS];
            UNROLL
            for (int v = 0; v < SCORE_VECS; v++)
                key[v] = vec_load_kv(k, (size_t)(d * KERNEL_PAGE + s + v * VEC_N), half);
            UNROLL
            for (int i = 0; i < n; i++) {
                vec x = vec_set1(q[i]);
                UNROLL
                for (int v = 0; v < SCORE_VECS; v++)
                    sum[i][v] = vec_fma(x, key[v], sum[i][v]);
            }
        }
        UNROLL
        for (int i = 0; i < n; i++) {
            UNROLL
            for (int v = 0; v < SCORE_VECS; v++)
                vec_store(t->p + i * KERNEL_PAGE + s + v * VEC_N, sum[i][v]);
        }
    }
}

// Scores of one query to weights; slots outside low..high - 1 become zero whatever they held.
INLINE void soften(const struct attention_task *a, float *p, int low, int high, float *largest,
                   float *sum, float *keep)
{
    const vec none = vec_set1(-__builtin_inff());
    vec m = vec_set1(*largest);
    for (int s = 0; s < KERNEL_PAGE; s += VEC_N) {
        vec x = vec_mul(vec_load(p + s), vec_set1(a->scale));
        if (a->softcap > 0)
            x = vec_mul(vec_set1(a->softcap), vec_tanh(vec_div(x, vec_set1(a->softcap))));
        x = vec_pick(none, x, low - s, high - s);
        vec_store(p + s, x);
        m = vec_max(m, x);
    }
    float most = vec_largest(m);
    vec minus = vec_set1(most), total = vec_set1(0);
    for (int s = 0; s < KERNEL_PAGE; s += VEC_N) {
        vec x = vec_exp(vec_sub(vec_load(p + s), minus));
        vec_store(p + s, x);
        total = vec_add(total, x);
    }
    float e[VEC_N];
    vec_store(e, vec_exp(vec_set1(*largest - most)));
    *keep = e[0];
    *sum = *sum * e[0] + vec_sum(total);
    *largest = most;
}

// acc = acc * keep + p V for some vectors of columns.
INLINE void add_columns(const struct query_tile *t, const uint8_t *v, int head_dim, int from, int n,
                        int n_vecs, bool half)
{
    vec sum[Q_MAX][OUT_VECS];
    UNROLL
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int c = 0; c < n_vecs; c++)
            sum[i][c] =
                vec_mul(vec_load(t->acc + i * head_dim + from + c * VEC_N), vec_set1(t->keep[i]));
    }
    for (int s = t->low; s < t->high; s++) {
        vec value[OUT_VECS];
        UNROLL
        for (int c = 0; c < n_vecs; c++)
            value[c] = vec_load_kv(v, (size_t)(s * head_dim + from + c * VEC_N), half);
        UNROLL
        for (int i = 0; i < n; i++) {
            vec x = vec_set1(t->p[i * KERNEL_PAGE + s]);
            UNROLL
            for (int c = 0; c < n_vecs; c++)
                sum[i][c] = vec_fma(x, value[c], sum[i][c]);
        }
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int c = 0; c < n_vecs; c++)
            vec_store(t->acc + i * head_dim + from + c * VEC_N, sum[i][c]);
    }
}

INLINE void add_last_columns(const struct query_tile *t, const uint8_t *v, int head_dim, int from,
                             int n, bool half)
{
    for (int i = 0; i < n; i++)
        for (int d = from; d < head_dim; d++) {
            float sum = t->acc[i * head_dim + d] * t->keep[i];
            for (int s = t->low; s < t->high; s++) {
                size_t at = (size_t)(s * head_dim + d);
                float value = half ? f16_to_f32(((const uint16_t *)(const void *)v)[at])
                                   : ((const float *)(const void *)v)[at];
                sum = __builtin_fmaf(t->p[i * KERNEL_PAGE + s], value, sum);
            }
            t->acc[i * head_dim + d] = sum;
        }
}

INLINE void add_values(const struct query_tile *t, const uint8_t *v, int head_dim, int n, bool half)
{
    int from = 0;
    for (; from + OUT_VECS * VEC_N <= head_dim; from += OUT_VECS * VEC_N)
        add_columns(t, v, head_dim, from, n, OUT_VECS, half);
    for (; from + VEC_N <= head_dim; from += VEC_N)
        add_columns(t, v, head_dim, from, n, 1, half);
    if (from < head_dim)
        add_last_columns(t, v, head_dim, from, n, half);
}

// The slots of a page that a query sees: [low, high), maybe empty.
INLINE void slots_of(const struct attention_task *a, int i, int page, int *low, int *high)
{
    int start = page * KERNEL_PAGE, seen = a->pos[i] + 1 - start;
    int from = a->window > 0 ? seen - a->window : 0;
    *low = from < 0 ? 0 : from;
    *high = seen > KERNEL_PAGE ? KERNEL_PAGE : seen;
}

INLINE void page_of_tile(const struct attention_task *a, struct query_tile *t, int page, int n,
                         bool half)
{
    t->low = KERNEL_PAGE;
    t->high = 0;
    for (int i = 0; i < n; i++) {
        int low, high;
        slots_of(a, t->first + i, page, &low, &high);
        if (low < high) {
            t->low = low < t->low ? low : t->low;
            t->high = high > t->high ? high : t->high;
        }
    }
    if (t->low >= t->high)
        return;  // perhaps there is no such page any more
    const uint8_t *k = a->k + (size_t)a->pages[page] * a->page_bytes;
    const uint8_t *v = a->v + (size_t)a->pages[page] * a->page_bytes;
    scores_of(t, k, a->head_dim, n, half);
    for (int i = 0; i < n; i++) {
        int low, high;
        slots_of(a, t->first + i, page, &low, &high);
        soften(a, t->p + i * KERNEL_PAGE, low, high, &t->largest[i], &t->sum[i], &t->keep[i]);
    }
    add_values(t, v, a->head_dim, n, half);
}

#define PAGE_OF_TILE(n)                                                                            \
    static void page_f32_##n(const struct attention_task *a, struct query_tile *t, int page)       \
    {                                                                                              \
        page_of_tile(a, t, page, n, false);                                                        \
    }                                                                                              \
    static void page_f16_##n(const struct attention_task *a, struct query_tile *t, int page)       \
    {                                                                                              \
        page_of_tile(a, t, page, n, true);                                                         \
    }
PAGE_OF_TILE(1)
PAGE_OF_TILE(2)
PAGE_OF_TILE(3)
PAGE_OF_TILE(4)
PAGE_OF_TILE(5)
PAGE_OF_TILE(6)

typedef void (*page_fn)(const struct attention_task *a, struct query_tile *t, int page);
static const page_fn page_fns[2][Q_MAX] = {
    {page_f32_1, page_f32_2, page_f32_3, page_f32_4, page_f32_5, page_f32_6},
    {page_f16_1, page_f16_2, page_f16_3, page_f16_4, page_f16_5, page_f16_6},
};

static void tile_init(const struct attention_task *a, struct query_tile *t, float *q, float *acc,
                      float *largest, float *sum)
{
    t->q = q;
    t->acc = acc;
    t->largest = largest;
    t->sum = sum;
    for (int i = 0; i < t->n; i++) {
        for (int d = 0; d < a->head_dim; d++) {
            q[d * t->n + i] = a->q[t->first + i][d];
            acc[i * a->head_dim + d] = 0;
        }
        // The lowest finite number, so that a difference of two is never NaN.
        largest[i] = a->has_sinks ? a->sink[t->first + i] : -3.0e38f;
        sum[i] = a->has_sinks ? 1.0f : 0.0f;
    }
}

static void attention_simd(const struct attention_task *a, float *scratch)
{
    struct query_tile tiles[(ATTENTION_QUERIES + Q_MAX - 1) / Q_MAX];
    size_t n_queries = (size_t)a->n_queries, width = (size_t)a->head_dim;
    float *p = scratch, *q = p + Q_MAX * KERNEL_PAGE, *acc = q + n_queries * width;
    float *largest = acc + n_queries * width, *sum = largest + n_queries;
    int n_tiles = act_n_tiles(a->n_queries, Q_MAX);
    int first_page = a->pos[0] / KERNEL_PAGE, last_page = 0;
    for (int i = 0; i < n_tiles; i++) {
        struct query_tile *t = &tiles[i];
        t->first = act_tile_first(a->n_queries, n_tiles, i);
        t->n = act_tile_first(a->n_queries, n_tiles, i + 1) - t->first;
        t->p = p;
        tile_init(a, t, q + (size_t)t->first * width, acc + (size_t)t->first * width,
                  largest + t->first, sum + t->first);
    }
    for (int i = 0; i < a->n_queries; i++) {
        int from = a->window > 0 ? a->pos[i] + 1 - a->window : 0;
        int page = (from < 0 ? 0 : from) / KERNEL_PAGE, last = a->pos[i] / KERNEL_PAGE;
        first_page = page < first_page ? page : first_page;
        last_page = last > last_page ? last : last_page;
    }
    for (int page = first_page; page <= last_page; page++)
        for (int i = 0; i < n_tiles; i++)
            page_fns[a->dtype == DTYPE_F16][tiles[i].n - 1](a, &tiles[i], page);
    for (size_t i = 0; i < n_queries; i++) {
        float inverse = 1.0f / sum[i];
        for (size_t d = 0; d < width; d++)
            a->out[i][d] = acc[i * width + d] * inverse;
    }
}
