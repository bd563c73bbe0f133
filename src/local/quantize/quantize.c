#include "local/quantize/quantize.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "local/quantize/fit.h"

enum { QK = 32 };

static void put_u16(unsigned char *out, uint16_t v)
{
    memcpy(out, &v, sizeof v);
}

static void round_f32(const float *x, unsigned char *out)
{
    memcpy(out, x, sizeof *x);
}

static void round_f16(const float *x, unsigned char *out)
{
    put_u16(out, f32_to_f16(*x));
}

static void round_bf16(const float *x, unsigned char *out)
{
    put_u16(out, f32_to_bf16(*x));
}

// 1/d; 0 where d is so small that its inverse is infinite: such a scale is 0 as a half anyway.
static float inverse(float d)
{
    float id = d != 0 ? 1.0f / d : 0.0f;
    return isfinite(id) ? id : 0.0f;
}

static void round_q8_0(const float *restrict x, unsigned char *restrict out)
{
    // roundf() for what is below 2^23: the number below a half does not carry what is below
    // halfway.
    const float half = 0x1.fffffep-2f;
    float far[8] = {0}, max = 0;
    for (int i = 0; i < QK; i += 8)
        for (int k = 0; k < 8; k++)
            far[k] = fabsf(x[i + k]) > far[k] ? fabsf(x[i + k]) : far[k];
    for (int k = 0; k < 8; k++)
        max = far[k] > max ? far[k] : max;
    float d = max / 127.0f, id = inverse(d);
    put_u16(out, f32_to_f16(d));
    for (int i = 0; i < QK; i++) {
        float v = x[i] * id;
        out[2 + i] = (unsigned char)(signed char)(int)(v + copysignf(half, v));
    }
}

// How one block is rounded, and the largest magnitude whose half-precision value or scale is still
// finite (65520 is where rounding to a half becomes infinity).
static const struct method {
    void (*round)(const float *x, unsigned char *out);
    float below;
} methods[DTYPE_COUNT] = {
    [DTYPE_F32] = {round_f32, INFINITY},
    [DTYPE_F16] = {round_f16, 65520.0f},
    [DTYPE_BF16] = {round_bf16, 0x1.FFp127f},  // halfway between the largest and infinity
    [DTYPE_Q8_0] = {round_q8_0, 127 * 65520.0f},
};

bool quantize_can(enum dtype type)
{
    return methods[type].round || format_of(type);
}

// Whether the format's scales hold the numbers: for blocks with searched scales, whatever a half
// can hold.
bool quantize_check(enum dtype type, const float *in, size_t n, struct error *err)
{
    enum { TOGETHER = 256 };
    float below = methods[type].round ? methods[type].below : 65520.0f;
    size_t good = 0;  // values that are certain to be
    for (bool all = true; all && good < n;) {
        size_t end = n - good < TOGETHER ? n : good + TOGETHER;
        int bad = 0;
        for (size_t i = good; i < end; i++)
            bad |= !(fabsf(in[i]) < below);
        all = !bad;
        good = all ? end : good;
    }
    for (size_t i = good; i < n; i++) {
        if (!isfinite(in[i]))
            return error_set(err, ERR_NUMERIC, "value %zu is %s", i,
                             isnan(in[i]) ? "not a number" : "infinite");
        if (!(fabsf(in[i]) < below))
            return error_set(err, ERR_NUMERIC, "value %zu, %g, is too large for %s", i,
                             (double)in[i], dtype_name(type));
    }
    return true;
}

// Importance with a mean of one, and nowhere nothing: where no calibration text came by, a value
// still counts for a little.
void quantize_weights(const float *importance, size_t n, float *weights)
{
    double sum = 0;
    for (size_t i = 0; importance && i < n; i++)
        sum += (double)importance[i];
    double scale = (double)n / sum;
    for (size_t i = 0; i < n; i++)
        weights[i] = isnormal(sum) && isnormal(scale)
                         ? fmaxf((float)((double)importance[i] * scale), 1e-3f)
                         : 1;
}

// Where nothing is known of the inputs, and the block has a min, large values count more: measured,
// see docs/decisions.md 64.
static void usual_weights(const struct format *f, const float *x, float *weights)
{
    size_t len = (size_t)f->group_len;
    for (size_t i = 0; i < (size_t)f->block_len; i++)
        weights[i] = 1;
    if (!f->has_min)
        return;
    for (size_t g = 0; g < (size_t)f->block_len; g += len) {
        double squares = 0;
        for (size_t i = g; i < g + len; i++)
            squares += (double)x[i] * (double)x[i];
        float usual = (float)sqrt(squares / (double)len);
        for (size_t i = g; i < g + len; i++)
            weights[i] = isnormal(usual) ? fabsf(x[i]) + usual : 1;
    }
}

bool quantize_row(enum dtype type, const float *in, const float *importance, void *out, size_t n,
                  struct error *err)
{
    const struct dtype_info *info = dtype_info(type);
    const bool searched = !methods[type].round;
    const size_t len = (size_t)info->block_len, bytes = (size_t)info->block_bytes;
    unsigned char *to = out;
    float weights[BLOCK_MAX];
    struct block b;
    fit_block_fn fit = fit_block_best();
    assert(quantize_can(type) && n % len == 0);
    if (!quantize_check(type, in, n, err))
        return false;
    for (size_t i = 0; i < n; i += len, to += bytes) {
        if (!searched) {
            methods[type].round(in + i, to);
            continue;
        }
        const struct format *f = format_for(type, in + i);
        if (importance)
            quantize_weights(importance + i, len, weights);
        else
            usual_weights(f, in + i, weights);
        fit(f, in + i, weights, importance != NULL, &b);
        format_pack(f, &b, to);
    }
    return true;
}
