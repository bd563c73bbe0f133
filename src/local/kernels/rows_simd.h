// rows_simd.h - functions of single rows for any instruction set, after its simd header.
//
// exp and tanh are within 2e-7 relative of the true values (tanh absolute near 1), erf within
// 2e-7 absolute. NaN goes in and comes out.
// Source: Cephes (exp, tanh); Abramowitz and Stegun 7.1.26 (erf).
#include "local/kernels/kernels.h"

INLINE vec vec_exp(vec x)
{
    // Below -104 the result is zero and above 89 infinite, as they should be. NaN is the second
    // operand and so survives.
    x = vec_min(vec_set1(89.0f), vec_max(vec_set1(-104.0f), x));
    vec n = vec_round(vec_mul(x, vec_set1(1.44269504f)));
    vec r = vec_fma(n, vec_set1(-0.693359375f), x);
    r = vec_fma(n, vec_set1(2.12194440e-4f), r);
    vec p = vec_set1(1.9875691500e-4f);
    p = vec_fma(p, r, vec_set1(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set1(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set1(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set1(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set1(5.0000001201e-1f));
    p = vec_add(vec_fma(vec_mul(r, r), p, r), vec_set1(1.0f));
    return vec_scale2(p, n);
}

INLINE vec vec_tanh(vec x)
{
    vec size = vec_abs(x), z = vec_mul(x, x), one = vec_set1(1.0f);
    vec p = vec_set1(-5.70498872745e-3f);
    p = vec_fma(p, z, vec_set1(2.06390887954e-2f));
    p = vec_fma(p, z, vec_set1(-5.37397155531e-2f));
    p = vec_fma(p, z, vec_set1(1.33314422036e-1f));
    p = vec_fma(p, z, vec_set1(-3.33332819422e-1f));
    p = vec_fma(vec_mul(p, z), x, x);
    vec e = vec_exp(vec_add(size, size));
    vec large = vec_sub(one, vec_div(vec_set1(2.0f), vec_add(e, one)));
    return vec_if_less(size, vec_set1(0.625f), p, vec_sign_of(large, x));
}

INLINE vec vec_erf(vec x)
{
    vec size = vec_abs(x), one = vec_set1(1.0f);
    vec t = vec_div(one, vec_fma(size, vec_set1(0.3275911f), one));
    vec p = vec_set1(1.061405429f);
    p = vec_fma(p, t, vec_set1(-1.453152027f));
    p = vec_fma(p, t, vec_set1(1.421413741f));
    p = vec_fma(p, t, vec_set1(-0.284496736f));
    p = vec_fma(p, t, vec_set1(0.254829592f));
    p = vec_mul(p, t);
    vec e = vec_exp(vec_sub(vec_set1(0), vec_mul(x, x)));
    return vec_sign_of(vec_sub(one, vec_mul(p, e)), x);
}

INLINE vec vec_activate(enum activation act, vec x)
{
    const vec half = vec_set1(0.5f), one = vec_set1(1.0f), zero = vec_set1(0);
    if (act == ACT_SILU)
        return vec_div(x, vec_add(one, vec_exp(vec_sub(zero, x))));
    if (act == ACT_GELU_TANH) {
        vec cube = vec_mul(vec_mul(x, x), vec_mul(x, vec_set1(0.044715f)));
        vec t = vec_tanh(vec_mul(vec_set1(0.7978845608f), vec_add(x, cube)));
        return vec_mul(vec_mul(half, x), vec_add(one, t));
    }
    if (act == ACT_GELU_ERF) {
        vec e = vec_erf(vec_mul(x, vec_set1(0.70710678118f)));
        return vec_mul(vec_mul(half, x), vec_add(one, e));
    }
    vec positive = vec_max(zero, x);
    return act == ACT_RELU2 ? vec_mul(positive, positive) : positive;
}

INLINE void glu_of(enum activation act, float *out, const float *gate, const float *up, int n)
{
    int i = 0;
    for (; i + VEC_N <= n; i += VEC_N) {
        vec y = vec_activate(act, vec_load(gate + i));
        vec_store(out + i, up ? vec_mul(y, vec_load(up + i)) : y);
    }
    if (i < n) {
        vec y = vec_activate(act, vec_load_n(gate + i, n - i));
        vec_store_n(out + i, up ? vec_mul(y, vec_load_n(up + i, n - i)) : y, n - i);
    }
}

static void glu_simd(enum activation act, float *out, const float *gate, const float *up, int n)
{
    switch (act) {
    case ACT_SILU: glu_of(ACT_SILU, out, gate, up, n); break;
    case ACT_GELU_TANH: glu_of(ACT_GELU_TANH, out, gate, up, n); break;
    case ACT_GELU_ERF: glu_of(ACT_GELU_ERF, out, gate, up, n); break;
    case ACT_RELU: glu_of(ACT_RELU, out, gate, up, n); break;
    case ACT_RELU2: glu_of(ACT_RELU2, out, gate, up, n); break;
    }
}

static void add_simd(float *x, const float *y, size_t n)
{
    size_t i = 0;
    for (; i + VEC_N <= n; i += VEC_N)
        vec_store(x + i, vec_add(vec_load(x + i), vec_load(y + i)));
    for (; i < n; i++)
        x[i] += y[i];
}

static void softcap_simd(float *x, size_t n, float scale, float cap)
{
    for (size_t i = 0; i < n; i += VEC_N) {
        int some = n - i < VEC_N ? (int)(n - i) : VEC_N;
        vec v = some == VEC_N ? vec_load(x + i) : vec_load_n(x + i, some);
        v = vec_mul(v, vec_set1(scale));
        if (cap > 0)
            v = vec_mul(vec_set1(cap), vec_tanh(vec_div(v, vec_set1(cap))));
        if (some == VEC_N)
            vec_store(x + i, v);
        else
            vec_store_n(x + i, v, some);
    }
}

// out = (x - mean) * scale * weight + bias
INLINE void scale_row(float *out, const float *x, const float *weight, const float *bias, int n,
                      float mean, float scale)
{
    const vec m = vec_set1(mean), s = vec_set1(scale);
    for (int i = 0; i < n; i += VEC_N) {
        bool whole = n - i >= VEC_N;
        vec y = vec_mul(vec_sub(whole ? vec_load(x + i) : vec_load_n(x + i, n - i), m), s);
        if (weight)
            y = vec_mul(y, whole ? vec_load(weight + i) : vec_load_n(weight + i, n - i));
        if (bias)
            y = vec_add(y, whole ? vec_load(bias + i) : vec_load_n(bias + i, n - i));
        if (whole)
            vec_store(out + i, y);
        else
            vec_store_n(out + i, y, n - i);
    }
}

// Sum of (x - mean)^2, two accumulators to hide their latency.
INLINE float sum_of_squares(const float *x, int n, float mean)
{
    const vec m = vec_set1(mean);
    vec a = vec_set1(0), b = vec_set1(0);
    int i = 0;
    for (; i + 2 * VEC_N <= n; i += 2 * VEC_N) {
        vec u = vec_sub(vec_load(x + i), m), v = vec_sub(vec_load(x + i + VEC_N), m);
        a = vec_fma(u, u, a);
        b = vec_fma(v, v, b);
    }
    float sum = vec_sum(vec_add(a, b));
    for (; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

static void norm_rms_simd(float *out, const float *x, const float *weight, int n, float eps)
{
    float scale = 1.0f / __builtin_sqrtf(sum_of_squares(x, n, 0) / (float)n + eps);
    scale_row(out, x, weight, NULL, n, 0, scale);
}

static void norm_layer_simd(float *out, const float *x, const float *weight, const float *bias,
                            int n, float eps)
{
    vec sums = vec_set1(0);
    int i = 0;
    for (; i + VEC_N <= n; i += VEC_N)
        sums = vec_add(sums, vec_load(x + i));
    float sum = vec_sum(sums);
    for (; i < n; i++)
        sum += x[i];
    float mean = sum / (float)n;
    float scale = 1.0f / __builtin_sqrtf(sum_of_squares(x, n, mean) / (float)n + eps);
    scale_row(out, x, weight, bias, n, mean, scale);
}

static void to_f16_simd(uint16_t *out, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + VEC_N <= n; i += VEC_N)
        vec_store_f16(out + i, vec_load(x + i));
    for (; i < n; i++)
        out[i] = f32_to_f16(x[i]);
}

static void rotate_simd(float *x, const float *table, int n)
{
    int i = 0;
    for (; i + VEC_N <= n; i += VEC_N) {
        vec c, s, x0 = vec_load(x + i), x1 = vec_load(x + n + i);
        vec_unzip(vec_load(table + 2 * i), vec_load(table + 2 * i + VEC_N), &c, &s);
        vec_store(x + i, vec_sub(vec_mul(x0, c), vec_mul(x1, s)));
        vec_store(x + n + i, vec_add(vec_mul(x1, c), vec_mul(x0, s)));
    }
    for (; i < n; i++) {
        float c = table[2 * i], s = table[2 * i + 1], x0 = x[i], x1 = x[n + i];
        x[i] = x0 * c - x1 * s;
        x[n + i] = x1 * c + x0 * s;
    }
}

INLINE void use_rows_simd(struct kernels *k)
{
    k->norm_rms = norm_rms_simd;
    k->norm_layer = norm_layer_simd;
    k->glu = glu_simd;
    k->add = add_simd;
    k->softcap = softcap_simd;
    k->to_f16 = to_f16_simd;
    k->rotate = rotate_simd;
}
