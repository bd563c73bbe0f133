// test_matmul.c - every matmul kernel of every instruction set against plain doubles.
//
// Shapes include a single block, odd counts of blocks, rows that do not fill a panel, and odd
// counts of rows of x, since unrolled loops break at their tails. The tolerance is relative to the
// sum of |w * x|, which, unlike the result, cannot cancel to nearly nothing. The reference uses the
// same int8 activations as the kernels: what their rounding costs is tested apart.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../support/emulated.h"
#include "local/kernels/kernels.h"
#include "local/kernels/parts.h"

static uint64_t seed = 1;

static uint32_t draw(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float draw_float(void)
{
    return (float)((double)draw() / 1073741824.0 - 1.0);
}

static int every_byte = -1;  // of the weights drawn next; -1: random

// Any bits are quants; only the scales must be numbers.
static void draw_weights(enum dtype type, uint8_t *w, size_t bytes)
{
    static const struct {
        enum dtype type;
        int at[2];  // f16 scales in a block; -1: none
    } scales[] = {
        {DTYPE_Q4_0, {0, -1}},   {DTYPE_Q4_1, {0, 2}},    {DTYPE_Q5_0, {0, -1}},
        {DTYPE_Q5_1, {0, 2}},    {DTYPE_Q8_0, {0, -1}},   {DTYPE_Q2_K, {80, 82}},
        {DTYPE_Q3_K, {108, -1}}, {DTYPE_Q4_K, {0, 2}},    {DTYPE_Q5_K, {0, 2}},
        {DTYPE_Q6_K, {208, -1}}, {DTYPE_IQ4_NL, {0, -1}}, {DTYPE_IQ4_XS, {0, -1}},
    };
    size_t unit = (size_t)dtype_info(type)->block_bytes;
    for (size_t i = 0; i < bytes; i++)
        w[i] = (uint8_t)(every_byte >= 0 ? every_byte : (int)draw());
    for (size_t i = 0; i < bytes; i += unit) {
        float f = draw_float();
        uint16_t h = f32_to_f16(f), bf = f32_to_bf16(f);
        if (type == DTYPE_F32)
            memcpy(w + i, &f, 4);
        if (type == DTYPE_F16)
            memcpy(w + i, &h, 2);
        if (type == DTYPE_BF16)
            memcpy(w + i, &bf, 2);
        if (type == DTYPE_F8_E4M3 && (w[i] & 0x7f) == 0x7f)
            w[i] = 0x31;  // 0x7f is NaN
        if (type == DTYPE_MXFP4)
            w[i] = (uint8_t)(120 + w[i] % 8);
        for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++)
            for (int j = 0; j < 2 && scales[s].type == type; j++)
                if (scales[s].at[j] >= 0) {
                    h = f32_to_f16(draw_float() * 0.1f);
                    memcpy(w + i + (size_t)scales[s].at[j], &h, 2);
                }
    }
}

struct problem {
    enum dtype type;
    int rows, cols, n_x;
    float *w, *x, *bias;  // floats of the weights
    double *sum, *size;   // [n_x][rows]: W x in doubles, and the sum of the sizes of its products
    uint8_t *panels;
    size_t panel_bytes, scratch_bytes;
    void *scratch;
};

static void problem_init(struct problem *p, enum dtype type, int rows, int cols, int n_x)
{
    const struct dtype_info *info = dtype_info(type);
    size_t row_bytes = (size_t)(cols / info->block_len) * (size_t)info->block_bytes;
    uint8_t *file = malloc(row_bytes * (size_t)rows);
    *p = (struct problem){.type = type, .rows = rows, .cols = cols, .n_x = n_x};
    draw_weights(type, file, row_bytes * (size_t)rows);
    p->w = malloc(sizeof(float) * (size_t)rows * (size_t)cols);
    dtype_to_f32(type, file, p->w, (size_t)rows * (size_t)cols);
    p->x = malloc(sizeof(float) * (size_t)n_x * (size_t)cols);
    p->bias = malloc(sizeof(float) * (size_t)rows);
    for (size_t i = 0; i < (size_t)n_x * (size_t)cols; i++)
        p->x[i] = draw_float() * (draw() % 16 == 0 ? 8.0f : 1.0f);
    if (cols >= 64)
        memset(p->x, 0, 32 * sizeof(float));  // a zero block
    for (int i = 0; i < rows; i++)
        p->bias[i] = draw_float();
    int n_panels = (rows + PANEL_ROWS - 1) / PANEL_ROWS;
    p->panel_bytes = panel_bytes(type, cols);
    assert_int_equal(p->panel_bytes, row_bytes * PANEL_ROWS);
    p->panels = malloc(p->panel_bytes * (size_t)n_panels);
    for (int i = 0; i < n_panels; i++)
        panel_pack(type, p->panels + (size_t)i * p->panel_bytes,
                   file + (size_t)i * PANEL_ROWS * row_bytes, row_bytes,
                   rows - i * PANEL_ROWS < PANEL_ROWS ? rows - i * PANEL_ROWS : PANEL_ROWS, cols);
    p->scratch_bytes = gemm_scratch(cols);
    p->scratch = aligned_alloc(64, p->scratch_bytes);
    free(file);
}

static void problem_release(struct problem *p)
{
    free(p->w);
    free(p->x);
    free(p->bias);
    free(p->sum);
    free(p->size);
    free(p->panels);
    free(p->scratch);
}

// Rows from .. from + n of x; panels in two calls, so that a boundary is crossed.
static void compute(const struct kernels *k, const struct problem *p, int from, int n, float *y,
                    bool add)
{
    enum act_form form = act_form_of(p->type);
    int n_tiles = act_n_tiles(n, kernels_tile_rows(k, form, n));
    size_t row = act_row_bytes(form, p->cols);
    uint8_t *act = aligned_alloc(64, (row * (size_t)n + 127) & ~(size_t)63);
    for (int i = 0; i < n_tiles; i++) {
        int first = act_tile_first(n, n_tiles, i);
        k->act_tile[form](act + (size_t)first * row,
                          p->x + (size_t)(from + first) * (size_t)p->cols, (size_t)p->cols,
                          act_tile_first(n, n_tiles, i + 1) - first, p->cols);
    }
    struct gemm g = {.dtype = p->type,
                     .panels = p->panels,
                     .panel_bytes = p->panel_bytes,
                     .rows = p->rows,
                     .cols = p->cols,
                     .act = act,
                     .n_x = n,
                     .n_tiles = n_tiles,
                     .y = y,
                     .y_stride = (size_t)p->rows,
                     .bias = add ? p->bias : NULL,
                     .add = add};
    int n_panels = (p->rows + PANEL_ROWS - 1) / PANEL_ROWS, some = n_panels / 2;
    if (some)
        k->gemm[p->type](&g, 0, some, p->scratch);
    k->gemm[p->type](&g, some, n_panels - some, p->scratch);
    free(act);
}

// What the form of the activations makes of 32 floats.
static void as_int8(const float *x, double *out)
{
    float largest = 0;
    for (int i = 0; i < 32; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    for (int i = 0; i < 32; i++)
        out[i] = largest > 0
                     ? (double)(largest / 127.0f) * rint((double)(x[i] * (127.0f / largest)))
                     : 0.0;
}

// What every table has to come to.
static void problem_solve(struct problem *p)
{
    bool quantized = act_form_of(p->type) != ACT_F32;
    size_t n = (size_t)p->n_x * (size_t)p->rows;
    double *x = malloc(sizeof(double) * (size_t)p->cols);
    p->sum = calloc(n, sizeof(double));
    p->size = calloc(n, sizeof(double));
    for (int i = 0; i < p->n_x; i++) {
        const float *row = p->x + (size_t)i * (size_t)p->cols;
        for (int c = 0; c < p->cols; c++)
            x[c] = (double)row[c];
        for (int c = 0; quantized && c < p->cols; c += 32)
            as_int8(row + c, x + c);
        for (int r = 0; r < p->rows; r++) {
            size_t at = (size_t)i * (size_t)p->rows + (size_t)r;
            for (int c = 0; c < p->cols; c++) {
                double v = (double)p->w[(size_t)r * (size_t)p->cols + (size_t)c] * x[c];
                p->sum[at] += v;
                p->size[at] += fabs(v);
            }
        }
    }
    free(x);
}

static void check_close(const struct problem *p, const float *y, double tolerance, bool add)
{
    for (int i = 0; i < p->n_x; i++)
        for (int r = 0; r < p->rows; r++) {
            size_t at = (size_t)i * (size_t)p->rows + (size_t)r;
            double added = add ? (double)p->bias[r] + 1.0 : 0.0, sum = p->sum[at] + added;
            double size = p->size[at] + fabs(added) + 1e-30, got = (double)y[at];
            if (!(fabs(got - sum) <= tolerance * size))
                fail_msg("%s, %d x %d, x %d of %d, row %d: %g, should be %g (size %g)",
                         dtype_name(p->type), p->rows, p->cols, i, p->n_x, r, got, sum, size);
        }
}

static bool (*const emulated[])(struct kernels *k) = {emulated_avx2_vnni, emulated_amx_int8};
enum { N_EMULATED = sizeof emulated / sizeof emulated[0] };

static size_t n_tables(void)
{
    size_t n = 0;
    while (isa_name(n))
        n++;
    return n + N_EMULATED;
}

static bool table(struct kernels *k, size_t i)  // false: not on this CPU
{
    unsigned isa = 0;
    if (i >= n_tables() - N_EMULATED)
        return emulated[i - (n_tables() - N_EMULATED)](k);
    assert_true(isa_from_name(isa_name(i), &isa));
    if (isa & ~isa_detect())
        return false;
    kernels_init(k, isa);
    return true;
}

static void same_rows_alone(const struct kernels *k, const struct problem *p, const float *y)
{
    float *alone = malloc(sizeof(float) * (size_t)p->rows * (size_t)p->n_x);
    for (int some = 1; some <= 9 && some <= p->n_x; some += some < 3 ? 1 : 3) {
        for (int i = 0; i < p->n_x; i += some)
            compute(k, p, i, p->n_x - i < some ? p->n_x - i : some,
                    alone + (size_t)i * (size_t)p->rows, false);
        if (memcmp(alone, y, sizeof(float) * (size_t)p->rows * (size_t)p->n_x) != 0)
            fail_msg("%s on %s: %d rows of x differ from %d", dtype_name(p->type), k->name, some,
                     p->n_x);
    }
    free(alone);
}

static void check_shape(enum dtype type, int rows, int cols, int n_x)
{
    struct problem p;
    problem_init(&p, type, rows, cols, n_x);
    problem_solve(&p);
    float *y = malloc(sizeof(float) * (size_t)rows * (size_t)n_x);
    for (size_t i = 0; i < n_tables(); i++) {
        struct kernels k;
        if (!table(&k, i))
            continue;
        // Sums of `cols` rounded products: 2e-6 leaves room for a few hundred of them.
        compute(&k, &p, 0, n_x, y, false);
        check_close(&p, y, 2e-6, false);
        same_rows_alone(&k, &p, y);
        for (size_t j = 0; j < (size_t)rows * (size_t)n_x; j++)
            y[j] = 1.0f;
        compute(&k, &p, 0, n_x, y, true);
        check_close(&p, y, 2e-6, true);
    }
    free(y);
    problem_release(&p);
}

static void every_format_agrees_with_doubles_and_with_itself_in_any_company(void **state)
{
    (void)state;
    static const int rows[] = {1, 16, 23, 64, 77, 144};
    static const int n_x[] = {1, 2, 3, 5, 7, 8, 15, 30, 33, 40, 50};
    for (int t = 0; t < DTYPE_COUNT; t++) {
        enum dtype type = (enum dtype)t;
        int len = dtype_info(type)->block_len;
        for (size_t i = 0; i < 7; i++) {
            int cols = len == 1 ? (int[]){1, 31, 32, 65, 96, 128, 333}[i]
                                : (int[]){1, 2, 3, 4, 5, 1, 7}[i] * len;
            check_shape(type, rows[i % 6], cols, n_x[i]);
            check_shape(type, rows[(i + 3) % 6], cols, n_x[i + 4]);
        }
    }
}

#if defined(__x86_64__)
// What AVX-512 VNNI's kernels read, so that a machine without them tests it too.
static void tiles_of_whole_sums_are_those_of_the_specification(void **state)
{
    (void)state;
    struct kernels k, spec;
    enum { COLS = 96 };
    float x[7 * COLS];
    uint8_t a[7 * COLS * 4], b[7 * COLS * 4];
    if (!table(&k, 1))
        return;
    act_use_sums(&k);
    kernels_init(&spec, 0);
    for (int i = 0; i < 7 * COLS; i++)
        x[i] = draw_float();
    memset(x + COLS, 0, 32 * sizeof(float));
    for (int f = ACT_F32 + 1; f < ACT_FORM_COUNT; f++) {
        size_t bytes = 7 * act_row_bytes((enum act_form)f, COLS);
        assert_true(bytes <= sizeof a);
        k.act_tile[f](a, x, COLS, 7, COLS);
        spec.act_tile[f](b, x, COLS, 7, COLS);
        assert_memory_equal(a, b, bytes);
    }
}
#endif

// Sums in 16 bits have no room to spare: all quants and all of x as large as they can be.
static void the_largest_sums_do_not_overflow(void **state)
{
    (void)state;
    static const int bytes[] = {0x00, 0xff, 0x0f, 0xf0, 0x7f, 0x80};
    for (int t = 0; t < DTYPE_COUNT; t++)
        for (size_t i = 0; act_form_of((enum dtype)t) != ACT_F32 && i < 6 * n_tables(); i++) {
            struct problem p;
            struct kernels k;
            float y[16 * 17];
            if (!table(&k, i % n_tables()))
                continue;
            every_byte = bytes[i / n_tables()];
            problem_init(&p, (enum dtype)t, 16, 256, 17);
            every_byte = -1;
            for (size_t j = 0; j < (size_t)17 * 256; j++)
                p.x[j] = j / 256 % 3 == 0   ? 1.0f
                         : j / 256 % 3 == 1 ? -1.0f
                         : j % 4 < 2        ? 1.0f
                                            : -1.0f;
            problem_solve(&p);
            compute(&k, &p, 0, 17, y, false);
            check_close(&p, y, 2e-6, false);
            same_rows_alone(&k, &p, y);  // few rows are other kernels
            problem_release(&p);
        }
}

static void rounding_activations_to_int8_costs_less_than_two_percent(void **state)
{
    (void)state;
    struct problem p;
    struct kernels k;
    problem_init(&p, DTYPE_Q8_0, 64, 2048, 4);
    kernels_init(&k, isa_detect());
    float *y = malloc(sizeof(float) * 64 * 4);
    compute(&k, &p, 0, 4, y, false);
    double error = 0, size = 0;
    for (size_t i = 0; i < 4; i++)
        for (size_t r = 0; r < 64; r++) {
            double sum = 0;
            for (size_t c = 0; c < 2048; c++)
                sum += (double)p.w[r * 2048 + c] * (double)p.x[i * 2048 + c];
            error += (sum - (double)y[i * 64 + r]) * (sum - (double)y[i * 64 + r]);
            size += sum * sum;
        }
    assert_true(sqrt(error / size) < 0.02);
    assert_true(error > 0);
    free(y);
    problem_release(&p);
}

static void a_nan_or_infinite_activation_shows_in_every_output(void **state)
{
    (void)state;
    for (int t = 0; t < DTYPE_COUNT; t++)
        for (size_t i = 0; i < n_tables(); i++) {
            struct problem p;
            struct kernels k;
            float y[20 * 3];
            if (!table(&k, i))
                continue;
            problem_init(&p, (enum dtype)t, 20, 256, 3);
            p.x[256 + 77] = i % 2 ? NAN : -INFINITY;
            compute(&k, &p, 0, 3, y, false);
            for (int r = 0; r < 20; r++) {
                assert_true(isfinite(y[r]) && isfinite(y[40 + r]));
                if (isfinite(y[20 + r]))
                    fail_msg("%s on %s: row %d is %g", dtype_name((enum dtype)t), k.name, r,
                             (double)y[20 + r]);
            }
            problem_release(&p);
        }
}

static void a_panel_gives_back_the_files_blocks(void **state)
{
    (void)state;
    for (int t = 0; t < DTYPE_COUNT; t++) {
        const struct dtype_info *info = dtype_info((enum dtype)t);
        int cols = info->block_len == 1 ? 37 : info->block_len * 3;
        size_t row_bytes = (size_t)(cols / info->block_len) * (size_t)info->block_bytes;
        uint8_t *file = malloc(row_bytes * 11), *panel = malloc(row_bytes * 16);
        for (size_t i = 0; i < row_bytes * 11; i++)
            file[i] = (uint8_t)draw();
        panel_pack((enum dtype)t, panel, file, row_bytes, 11, cols);
        int n = panel_blocks((enum dtype)t, cols);
        size_t block = row_bytes / (size_t)n;
        for (int r = 0; r < 16; r++)
            for (int b = 0; b < n; b++) {
                uint8_t back[37 * 4 + 256];
                static const uint8_t zeros[37 * 4 + 256];
                panel_block((enum dtype)t, panel, cols, r, b, back);
                const uint8_t *was = file + (size_t)r * row_bytes + (size_t)b * block;
                assert_memory_equal(back, r < 11 ? was : zeros, block);
            }
        free(file);
        free(panel);
    }
}

static void a_transposed_matrix_packs_like_its_transpose(void **state)
{
    (void)state;
    uint16_t rows[5 * 9], columns[9 * 5];
    uint8_t a[2 * 16 * 9], b[2 * 16 * 9];
    for (size_t r = 0; r < 5; r++)
        for (size_t c = 0; c < 9; c++)
            rows[r * 9 + c] = columns[c * 5 + r] = (uint16_t)draw();
    panel_pack(DTYPE_F16, a, rows, 18, 5, 9);
    panel_pack_transposed(DTYPE_F16, b, columns, 10, 5, 9);
    assert_memory_equal(a, b, sizeof a);
}

static void every_set_has_a_name_and_a_table_of_its_own(void **state)
{
    (void)state;
    struct kernels all[16];
    size_t n = 0;
    printf("sets on this CPU:");
    for (size_t i = 0; i < n_tables(); i++) {
        if (!table(&all[n], i))
            continue;
        printf(" %s", i < n_tables() - N_EMULATED ? isa_name(i) : "(emulated)");
        for (size_t j = 0; j < n; j++)
            assert_true(strcmp(all[j].name, all[n].name) != 0 &&
                        (all[j].gemm[DTYPE_Q4_0] != all[n].gemm[DTYPE_Q4_0] ||
                         all[j].gemm[DTYPE_F32] != all[n].gemm[DTYPE_F32]));
        n++;
    }
    printf("\n");
    unsigned isa;
    assert_true(n > 0 && !isa_from_name("mmx", &isa));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_set_has_a_name_and_a_table_of_its_own),
        cmocka_unit_test(a_panel_gives_back_the_files_blocks),
        cmocka_unit_test(a_transposed_matrix_packs_like_its_transpose),
        cmocka_unit_test(every_format_agrees_with_doubles_and_with_itself_in_any_company),
#if defined(__x86_64__)
        cmocka_unit_test(tiles_of_whole_sums_are_those_of_the_specification),
#endif
        cmocka_unit_test(the_largest_sums_do_not_overflow),
        cmocka_unit_test(rounding_activations_to_int8_costs_less_than_two_percent),
        cmocka_unit_test(a_nan_or_infinite_activation_shows_in_every_output),
    };
    (void)denormals_off();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
