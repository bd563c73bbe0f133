// test_search.c - the search for a block's scales: the same on every processor, and none better
// near what it finds.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "local/quantize/fit.h"

enum { SEEDS = 300, KINDS = 6 };

static double random_at(uint64_t seed, int i)
{
    return (double)(hash_mix(seed * 1024 + (uint64_t)i) >> 11) * 0x1p-53;
}

// Blocks as they come and as they hardly do: small and large, with outliers, of few values, on one
// side of zero, mostly nothing, so small that scales are none.
static void fill(uint64_t seed, float x[BLOCK_MAX], float w[BLOCK_MAX])
{
    static const double sizes[] = {1, 1e-3, 6.5e4, 1e-7, 1e-39};
    double size = sizes[seed / KINDS % 5];
    for (int i = 0; i < BLOCK_MAX; i++) {
        double v = random_at(seed, i) * 2 - 1, of = random_at(seed, 512 + i);
        switch (seed % KINDS) {
        case 1: v = v * v * v; break;
        case 2: v = of < 0.02 ? v : v / 20; break;
        case 3: v = round(v * 3) / 4; break;
        case 4: v = 0.3 + v / 4; break;
        case 5: v = of < 0.9 ? 0 : v; break;
        default: break;
        }
        x[i] = (float)(v * size);
        w[i] = seed % 2 ? 1 : (float)(of * 4 + 1e-3);
    }
}

static void blocks_are_the_same_with_every_instruction_set(void **state)
{
    (void)state;
    fit_block_fn best = fit_block_best();
    for (unsigned type = 0; type < DTYPE_COUNT; type++) {
        for (uint64_t seed = 0; format_of((enum dtype)type) && seed < SEEDS; seed++) {
            float x[BLOCK_MAX], w[BLOCK_MAX];
            struct block a = {0}, b = {0};
            fill(seed, x, w);
            const struct format *f = format_for((enum dtype)type, x);
            fit_block_plain(f, x, w, seed & 2, &a);
            best(f, x, w, seed & 2, &b);
            if (memcmp(&a, &b, sizeof a) != 0)
                fail_msg("%s: block %d", dtype_name((enum dtype)type), (int)seed);
        }
    }
}

static void every_code_is_the_nearest(void **state)
{
    (void)state;
    fit_block_fn best = fit_block_best();
    for (unsigned type = 0; type < DTYPE_COUNT; type++) {
        const struct format *f = format_of((enum dtype)type);
        for (uint64_t seed = 0; f && seed < SEEDS; seed++) {
            float x[BLOCK_MAX], w[BLOCK_MAX], back[BLOCK_MAX], value;
            unsigned char bytes[BLOCK_MAX * 2];
            struct block b = {0};
            fill(seed, x, w);
            best(f, x, w, false, &b);
            f->pack(&b, bytes);
            dtype_to_f32((enum dtype)type, bytes, back, (size_t)f->block_len);
            for (int i = 0; i < f->block_len; i++) {
                (void)fit_code(f, &b, i / f->group_len, x[i], &value);
                double far = fabs((double)value - (double)x[i]);
                double size = fabs((double)x[i]) + fabs((double)value);
                assert_true(fabs((double)back[i] - (double)x[i]) <= far + 1e-5 * size);
            }
        }
    }
}

static double loss_with(const struct format *f, const struct block *b, const float *x,
                        const float *w, double more_d, double more_dmin)
{
    double sum = 0;
    for (int i = 0; i < f->block_len; i++) {
        int g = i / f->group_len;
        int level = f->levels ? f->levels[b->code[i]] : f->first + b->code[i];
        double value =
            (double)b->d * more_d * b->scale[g] * level - (double)b->dmin * more_dmin * b->min[g];
        sum += (double)w[i] * pow((double)x[i] - value, 2);
    }
    return sum;
}

// Few blocks end before codes and scales agree wholly.
static void hardly_a_scale_or_min_near_it_is_better(void **state)
{
    (void)state;
    fit_block_fn best = fit_block_best();
    for (unsigned type = 0; type < DTYPE_COUNT; type++) {
        const struct format *f = format_of((enum dtype)type);
        int tries = 0, better = 0;
        if (!f || f->power_of_two)
            continue;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            float x[BLOCK_MAX], w[BLOCK_MAX];
            struct block b = {0};
            fill(seed, x, w);
            if (fabsf(x[0]) < 1e-4f)
                continue;  // where the numbers that halves hold are far apart
            best(f, x, w, false, &b);
            double here = loss_with(f, &b, x, w, 1, 1) * (1 - 1e-9);
            for (int k = -1; k <= 1; k += 2, tries += 2) {
                better += loss_with(f, &b, x, w, 1 + 0.05 * k, 1) < here;
                better += loss_with(f, &b, x, w, 1, 1 + 0.05 * k) < here;
            }
        }
        print_message("%-7s %d of %d\n", dtype_name((enum dtype)type), better, tries);
        assert_true(tries > SEEDS && better * 100 < tries);
    }
}

// The least that rounding to scales on a fine grid leaves of x, without a min.
static double least_loss(const struct format *f, const float *x)
{
    double far = 0, least = INFINITY;
    for (int i = 0; i < f->group_len; i++)
        far = fmax(far, fabs((double)x[i]));
    for (int k = -800; k <= 800; k++) {
        double d = far / f->n_levels * 2 * k / 500, loss = 0;
        for (int i = 0; k != 0 && i < f->group_len; i++) {
            double level =
                fmin(fmax(round((double)x[i] / d), f->first), f->first + f->n_levels - 1);
            loss += pow((double)x[i] - d * level, 2);
        }
        if (k != 0)
            least = fmin(least, loss);
    }
    return least;
}

// Beginnings are few, so they must be the right ones: of rows of all kinds next to nothing more is
// lost than must be, whether values count the same (whole numbers choose) or nearly so (floats do).
static void what_is_found_is_next_to_the_best_there_is(void **state)
{
    (void)state;
    fit_block_fn best = fit_block_best();
    static const enum dtype types[] = {DTYPE_Q4_0, DTYPE_Q5_0};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const struct format *f = format_of(types[t]);
        double least = 0, even = 0, nearly = 0;
        for (uint64_t seed = 0; seed < 300; seed++) {
            float x[BLOCK_MAX], same[BLOCK_MAX], other[BLOCK_MAX];
            struct block b = {0};
            for (int i = 0; i < f->block_len; i++) {
                double sum = 0;
                for (int k = 0; k < 6; k++)
                    sum += random_at(seed * 8 + (uint64_t)k, i) - 0.5;
                x[i] = (float)(sum * (seed % 2 ? fabs(sum) : 1));
                same[i] = 1;
                other[i] = i ? 1 : 1.0001f;
            }
            least += least_loss(f, x);
            best(f, x, same, false, &b);
            even += loss_with(f, &b, x, same, 1, 1);
            best(f, x, other, false, &b);
            nearly += loss_with(f, &b, x, same, 1, 1);
        }
        print_message("%-7s %.5f and %.5f of the least\n", dtype_name(types[t]), even / least,
                      nearly / least);
        assert_true(even < 1.001 * least && nearly < 1.001 * least);
    }
}

// One value in a row, as constructed and pruned models have them: a scale that holds it exactly is
// there wherever the lowest level is a power of two.
static void a_value_alone_is_kept_exactly(void **state)
{
    (void)state;
    static const enum dtype types[] = {DTYPE_Q4_0, DTYPE_Q5_0, DTYPE_Q6_K};
    static const float values[] = {8, -1, 2.6015625f, 0.7998046875f, 6.3984375f, -0.5f};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const struct format *f = format_of(types[t]);
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            float x[BLOCK_MAX] = {0}, w[BLOCK_MAX], back[BLOCK_MAX];
            unsigned char bytes[BLOCK_MAX * 2];
            struct block b = {0};
            for (int i = 0; i < BLOCK_MAX; i++)
                w[i] = 1;
            x[k * 3] = values[k];
            fit_block_best()(f, x, w, false, &b);
            f->pack(&b, bytes);
            dtype_to_f32(types[t], bytes, back, (size_t)f->block_len);
            for (int i = 0; i < f->block_len; i++)
                assert_true(back[i] == x[i]);  // zeros may be negative
        }
    }
}

static void nothing_becomes_nothing(void **state)
{
    (void)state;
    const float x[BLOCK_MAX] = {0};
    float w[BLOCK_MAX], back[BLOCK_MAX];
    unsigned char bytes[BLOCK_MAX * 2];
    for (int i = 0; i < BLOCK_MAX; i++)
        w[i] = 1;
    for (unsigned type = 0; type < DTYPE_COUNT; type++) {
        const struct format *f = format_of((enum dtype)type);
        struct block b = {0};
        if (!f)
            continue;
        fit_block_best()(f, x, w, false, &b);
        f->pack(&b, bytes);
        dtype_to_f32((enum dtype)type, bytes, back, (size_t)f->block_len);
        for (int i = 0; i < f->block_len; i++)
            assert_true(back[i] == 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_are_the_same_with_every_instruction_set),
    cmocka_unit_test(every_code_is_the_nearest),
    cmocka_unit_test(hardly_a_scale_or_min_near_it_is_better),
    cmocka_unit_test(what_is_found_is_next_to_the_best_there_is),
    cmocka_unit_test(a_value_alone_is_kept_exactly),
    cmocka_unit_test(nothing_becomes_nothing),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
