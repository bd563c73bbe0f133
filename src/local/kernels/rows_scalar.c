// rows_scalar.c - norms, activations and other functions of single rows, in plain C; the table.
#include <math.h>

#include "local/kernels/kernels.h"
#include "local/kernels/parts.h"

static void norm_rms(float *out, const float *x, const float *weight, int n, float eps)
{
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    float scale = 1.0f / sqrtf(sum / (float)n + eps);
    for (int i = 0; i < n; i++)
        out[i] = x[i] * scale * (weight ? weight[i] : 1.0f);
}

static void norm_layer(float *out, const float *x, const float *weight, const float *bias, int n,
                       float eps)
{
    float sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    float mean = sum / (float)n;
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / sqrtf(squares / (float)n + eps);
    for (int i = 0; i < n; i++)
        out[i] = (x[i] - mean) * scale * (weight ? weight[i] : 1.0f) + (bias ? bias[i] : 0.0f);
}

static float activate(enum activation act, float x)
{
    switch (act) {
    case ACT_SILU: return x / (1.0f + expf(-x));
    case ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    case ACT_GELU_ERF: return 0.5f * x * (1.0f + erff(x * 0.70710678118f));
    case ACT_RELU2: return x > 0 ? x * x : x != x ? x : 0;
    case ACT_RELU: break;
    }
    return x < 0 ? 0 : x;
}

static void glu(enum activation act, float *out, const float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = activate(act, gate[i]) * (up ? up[i] : 1.0f);
}

static void add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void softcap(float *x, size_t n, float scale, float cap)
{
    for (size_t i = 0; i < n; i++) {
        x[i] *= scale;
        if (cap > 0)
            x[i] = cap * tanhf(x[i] / cap);
    }
}

static void to_f16(uint16_t *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = f32_to_f16(x[i]);
}

static void rotate(float *x, const float *table, int n)
{
    for (int i = 0; i < n; i++) {
        float c = table[2 * i], s = table[2 * i + 1], x0 = x[i], x1 = x[n + i];
        x[i] = x0 * c - x1 * s;
        x[n + i] = x1 * c + x0 * s;
    }
}

void kernels_use_scalar(struct kernels *k)
{
    *k = (struct kernels){.name = "scalar",
                          .norm_rms = norm_rms,
                          .norm_layer = norm_layer,
                          .glu = glu,
                          .add = add,
                          .softcap = softcap,
                          .rotate = rotate,
                          .to_f16 = to_f16};
    matmul_use_scalar(k);
    attention_use_scalar(k);
}
