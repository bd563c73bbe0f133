#include "local/quantize/fit.h"

#include <math.h>
#include <stddef.h>

fit_block_fn fit_block_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return fit_block_avx2;
#endif
    return fit_block_plain;
}

static float level_at(const struct format *f, int i)
{
    return (float)(f->levels ? f->levels[i] : f->first + i);
}

// Index of the level nearest to v.
static int nearest_level(const struct format *f, float v)
{
    int i = 0;
    if (!f->levels) {
        float steps = floorf(v - (float)f->first + 0.5f);
        return !(steps > 0) ? 0 : steps < (float)f->n_levels ? (int)steps : f->n_levels - 1;
    }
    while (i + 1 < f->n_levels && v * 2 >= level_at(f, i) + level_at(f, i + 1))
        i++;
    return i;
}

uint8_t fit_code(const struct format *f, const struct block *b, int group, float x, float *value)
{
    float d = b->d * (float)b->scale[group], m = b->dmin * (float)b->min[group];
    int i = nearest_level(f, (x + m) * round_inverse((double)d));
    *value = d * level_at(f, i) - m;
    return f->codes ? f->codes[i] : (uint8_t)i;
}
