#include "local/kernels/kv_page.h"

#include <math.h>
#include <string.h>

struct rounded {  // a block: integers (Q4_0: 0..15) and their scale
    int8_t q[KV_BLOCK];
    uint16_t scale;
};

// The value of largest magnitude with its sign; NaN if one is not finite.
static float extreme(const float *x)
{
    float most = 0, sum = 0;
    for (int i = 0; i < KV_BLOCK; i++) {
        most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
        sum += x[i] * 0.0f;
    }
    return sum == 0 ? most : sum;
}

static struct rounded round_block(enum dtype type, const float *x)
{
    struct rounded r;
    float most = extreme(x);
    int low = type == DTYPE_Q8_0 ? -127 : -8, high = type == DTYPE_Q8_0 ? 127 : 7;
    r.scale = f32_to_f16(type == DTYPE_Q8_0 ? fabsf(most) / 127.0f : most / -8.0f);
    float scale = f16_to_f32(r.scale);
    float inverse = scale != 0 && isfinite(scale) ? 1.0f / scale : 0;
    if (!isfinite(scale))
        r.scale = 0x7e00;  // NaN, since infinity would be lost in a sum with its like
    for (int i = 0; i < KV_BLOCK; i++) {
        int q = inverse != 0 ? (int)lrintf(x[i] * inverse) : 0;
        q = q < low ? low : q > high ? high : q;
        r.q[i] = (int8_t)(type == DTYPE_Q8_0 ? q : q + 8);
    }
    return r;
}

static void write_scale(enum dtype type, uint8_t *to, int head_dim, int block, int slot,
                        uint16_t scale)
{
    uint8_t *scales = to + kv_scales_at(type, head_dim);
    memcpy(scales + ((size_t)block * KV_PAGE + (size_t)slot) * 2, &scale, 2);
}

void kv_write_key(enum dtype type, uint8_t *k, int head_dim, int slot, const float *key)
{
    size_t at = (size_t)slot;
    for (int b = 0; b < head_dim / KV_BLOCK; b++) {
        size_t first = (size_t)b * KV_BLOCK;
        struct rounded r = round_block(type, key + first);
        write_scale(type, k, head_dim, b, slot, r.scale);
        if (type == DTYPE_Q8_0)
            for (size_t d = 0; d < KV_BLOCK; d++)
                k[(first + d) * KV_PAGE + at] = (uint8_t)r.q[d];
        else
            for (size_t d = 0; d < KV_BLOCK; d += 2)
                k[(first + d) / 2 * KV_PAGE + at] = (uint8_t)(r.q[d] | r.q[d + 1] << 4);
    }
}

void kv_write_value(enum dtype type, uint8_t *v, int head_dim, int slot, const float *value)
{
    for (int b = 0; b < head_dim / KV_BLOCK; b++) {
        size_t first = (size_t)b * KV_BLOCK, at = (size_t)slot * (size_t)head_dim + first;
        struct rounded r = round_block(type, value + first);
        write_scale(type, v, head_dim, b, slot, r.scale);
        if (type == DTYPE_Q8_0)
            memcpy(v + at, r.q, KV_BLOCK);
        else
            for (size_t j = 0; j < KV_BLOCK / 2; j++)
                v[at / 2 + j] = (uint8_t)(r.q[j] | r.q[j + KV_BLOCK / 2] << 4);
    }
}
