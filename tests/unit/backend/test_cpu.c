// test_cpu.c - the operations of the CPU backend against plain doubles, and against themselves:
// the same bits for any number of threads and any company. Attention: test_cpu_attention.c.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../support/cpu_check.h"

static void norms_agree_with_doubles(void **state)
{
    (void)state;
    enum { ROWS = 5 };
    for (size_t isa = 0; isa_name(isa); isa++)
        for (int n = 1; n < 400; n = n * 2 + 1) {
            struct backend *b = open_backend(isa, 2);
            if (!b)
                continue;
            size_t all = (size_t)n * ROWS;
            float *x = draws(all), *add = draws(all), *w = draws((size_t)n),
                  *bias = draws((size_t)n);
            float *out = malloc(all * sizeof(float)), *out2 = malloc(all * sizeof(float));
            double *rms = malloc(all * sizeof(double)), *layer = malloc(all * sizeof(double));
            for (size_t r = 0; r < ROWS; r++) {
                double squares = 0, sum = 0, spread = 0;
                for (size_t i = r * (size_t)n; i < (r + 1) * (size_t)n; i++) {
                    double v = (double)(x[i] + add[i]);
                    squares += v * v;
                    sum += v;
                }
                for (size_t i = r * (size_t)n; i < (r + 1) * (size_t)n; i++) {
                    double v = (double)(x[i] + add[i]) - sum / n;
                    spread += v * v;
                }
                for (size_t i = 0; i < (size_t)n; i++) {
                    double v = (double)(x[r * (size_t)n + i] + add[r * (size_t)n + i]);
                    rms[r * (size_t)n + i] = v / sqrt(squares / n + 1e-2) * (double)w[i];
                    layer[r * (size_t)n + i] =
                        (v - sum / n) / sqrt(spread / n + 1e-2) * (double)w[i] + (double)bias[i];
                }
            }
            struct norm_args a = {.kind = NORM_RMS,
                                  .out = out,
                                  .x = x,
                                  .add = add,
                                  .weight = w,
                                  .n_rows = ROWS,
                                  .n = n,
                                  .eps = 1e-2f};
            b->ops->norm(b, &a);  // x becomes x + add
            assert_close(out, rms, all, 1e-5);
            a = (struct norm_args){.kind = NORM_LAYER,
                                   .out = out2,
                                   .x = x,
                                   .weight = w,
                                   .bias = bias,
                                   .n_rows = ROWS,
                                   .n = n,
                                   .eps = 1e-2f};
            b->ops->norm(b, &a);
            assert_close(out2, layer, all, 1e-5);
            backend_free(b);
            free(x), free(add), free(w), free(bias), free(out), free(out2), free(rms), free(layer);
        }
}

static double activate(enum activation act, double x)
{
    switch (act) {
    case ACT_SILU: return x / (1 + exp(-x));
    case ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACT_GELU_ERF: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case ACT_RELU2: return x > 0 ? x * x : 0;
    case ACT_RELU: break;
    }
    return x > 0 ? x : 0;
}

static void activations_agree_with_doubles(void **state)
{
    (void)state;
    enum { ROWS = 3, N = 45 };
    for (size_t isa = 0; isa_name(isa); isa++)
        for (int act = ACT_SILU; act <= ACT_RELU2; act++) {
            struct backend *b = open_backend(isa, 2);
            if (!b)
                continue;
            float x[ROWS * 2 * N], out[ROWS * N];
            double want[ROWS * N];
            for (size_t i = 0; i < ROWS * 2 * N; i++)
                x[i] = draw() * (i % 7 == 0 ? 120.0f : 4.0f);
            for (size_t i = 0; i < ROWS * N; i++) {
                size_t at = i / N * 2 * N + i % N;
                want[i] = activate((enum activation)act, (double)x[at]) * (double)x[at + N];
            }
            struct glu_args a = {.act = (enum activation)act,
                                 .out = out,
                                 .gate = x,
                                 .up = x + N,
                                 .n_rows = ROWS,
                                 .n = N,
                                 .gate_stride = 2 * N,
                                 .up_stride = 2 * N};
            b->ops->glu(b, &a);
            for (size_t i = 0; i < ROWS * N; i++) {
                // 1 + tanh cancels: the error is relative to the product without it.
                size_t at = i / N * 2 * N + i % N;
                double size = fabs((double)x[at] * (double)x[at + N]) + fabs(want[i]);
                assert_true(fabs((double)out[i] - want[i]) <= 1e-6 * size + 1e-30);
            }
            a.out = x;  // in place, rows move together
            b->ops->glu(b, &a);
            assert_memory_equal(x, out, sizeof out);
            float special[2] = {NAN, -INFINITY};
            a = (struct glu_args){
                .act = (enum activation)act, .out = special, .gate = special, .n_rows = 1, .n = 2};
            b->ops->glu(b, &a);
            assert_true(isnan(special[0]));
            backend_free(b);
        }
}

static void softcap_scales_then_caps(void **state)
{
    (void)state;
    for (size_t isa = 0; isa_name(isa); isa++) {
        struct backend *b = open_backend(isa, 2);
        if (!b)
            continue;
        enum { N = 71 };
        float x[N], y[N];
        double want[N], scaled[N];
        for (size_t i = 0; i < N; i++) {
            x[i] = y[i] = draw() * 100.0f;
            scaled[i] = (double)x[i] * 0.5;
            want[i] = 30 * tanh(scaled[i] / 30);
        }
        b->ops->softcap(b, x, N, 0.5f, 30.0f);
        assert_close(x, want, N, 2e-6);
        b->ops->softcap(b, y, N, 0.5f, 0);
        assert_close(y, scaled, N, 0);
        backend_free(b);
    }
}

static struct weight *f32_weight(struct backend *b, const float *data, int rows, int cols)
{
    struct error err = {0};
    struct weight *w = b->ops->weight_new(
        b,
        &(struct weight_source){
            .use = WEIGHT_MATMUL, .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = data},
        &err);
    assert_non_null(w);
    return w;
}

static void many_rows_and_threads_give_the_bits_of_one(void **state)
{
    (void)state;
    enum { ROWS = 1100, COLS = 64, OUT = 100 };  // more rows than one pass takes
    for (size_t isa = 0; isa_name(isa); isa++) {
        struct backend *b1 = open_backend(isa, 1), *b3 = open_backend(isa, 3);
        if (!b1)
            continue;
        float *x = draws(ROWS * COLS), *data = draws(OUT * COLS), *bias = draws(OUT);
        float *y1 = malloc(sizeof(float) * ROWS * OUT), *y3 = malloc(sizeof(float) * ROWS * OUT);
        struct weight *w1 = f32_weight(b1, data, OUT, COLS), *w3 = f32_weight(b3, data, OUT, COLS);
        for (size_t r = 0; r < ROWS; r++)
            b1->ops->matmul(
                b1, &(struct matmul_args){.x = x + r * COLS,
                                          .n_rows = 1,
                                          .n_out = 1,
                                          .out = {{.w = w1, .bias = bias, .y = y1 + r * OUT}}});
        b3->ops->matmul(
            b3, &(struct matmul_args){
                    .x = x, .n_rows = ROWS, .n_out = 1, .out = {{.w = w3, .bias = bias, .y = y3}}});
        assert_memory_equal(y1, y3, sizeof(float) * ROWS * OUT);
        double want = (double)bias[3];
        for (size_t c = 0; c < COLS; c++)
            want += (double)data[3 * COLS + c] * (double)x[1000 * COLS + c];
        assert_close(y3 + 1000 * OUT + 3, &want, 1, 1e-5);
        b1->ops->weight_free(b1, w1);
        b3->ops->weight_free(b3, w3);
        backend_free(b1);
        backend_free(b3);
        free(x), free(data), free(bias), free(y1), free(y3);
    }
}

static void experts_are_chosen_weighed_and_added(void **state)
{
    (void)state;
    enum { ROWS = 9, N = 24, FF = 40, E = 5, USED = 2 };
    float *x = draws(ROWS * N), *router = draws(ROWS * E), *g = draws(E * FF * N);
    float *u = draws(E * FF * N), *d = draws(E * N * FF), out[ROWS * N], alone[ROWS * N];
    for (size_t isa = 0; isa_name(isa); isa++) {
        struct backend *b = open_backend(isa, 2);
        if (!b)
            continue;
        struct weight *gate[E], *up[E], *down[E];
        for (size_t e = 0; e < E; e++) {
            gate[e] = f32_weight(b, g + e * FF * N, FF, N);
            up[e] = f32_weight(b, u + e * FF * N, FF, N);
            down[e] = f32_weight(b, d + e * N * FF, N, FF);
        }
        for (int renormalize = 0; renormalize < 2; renormalize++) {
            struct moe_args a = {.x = x,
                                 .out = out,
                                 .router = router,
                                 .n_rows = ROWS,
                                 .n = N,
                                 .n_ff = FF,
                                 .n_experts = E,
                                 .n_used = USED,
                                 .softmax_first = true,
                                 .renormalize = renormalize,
                                 .scale = 1.5f,
                                 .act = ACT_SILU,
                                 .gate = gate,
                                 .up = up,
                                 .down = down};
            b->ops->moe(b, &a);
            for (size_t r = 0; r < ROWS; r++) {
                double sum = 0, chosen = 0, want[N] = {0};
                size_t best[USED] = {0, 0};
                for (size_t e = 0; e < E; e++) {
                    sum += exp((double)router[r * E + e]);
                    if (router[r * E + e] > router[r * E + best[0]])
                        best[0] = e;
                }
                best[1] = best[0] == 0;
                for (size_t e = 0; e < E; e++)
                    if (e != best[0] && router[r * E + e] > router[r * E + best[1]])
                        best[1] = e;
                for (size_t i = 0; i < USED; i++)
                    chosen += exp((double)router[r * E + best[i]]);
                for (size_t i = 0; i < USED; i++)
                    for (size_t f = 0; f < FF; f++) {
                        double hg = 0, hu = 0;
                        for (size_t c = 0; c < N; c++) {
                            hg += (double)g[(best[i] * FF + f) * N + c] * (double)x[r * N + c];
                            hu += (double)u[(best[i] * FF + f) * N + c] * (double)x[r * N + c];
                        }
                        double h = activate(ACT_SILU, hg) * hu * 1.5 *
                                   exp((double)router[r * E + best[i]]) /
                                   (renormalize ? chosen : sum);
                        for (size_t c = 0; c < N; c++)
                            want[c] += h * (double)d[(best[i] * N + c) * FF + f];
                    }
                assert_close(out + r * N, want, N, 1e-4);
                struct moe_args one = a;
                one.x = x + r * N;
                one.router = router + r * E;
                one.out = alone + r * N;
                one.n_rows = 1;
                b->ops->moe(b, &one);
            }
            assert_memory_equal(alone, out, sizeof out);
        }
        for (size_t e = 0; e < E; e++) {
            b->ops->weight_free(b, gate[e]);
            b->ops->weight_free(b, up[e]);
            b->ops->weight_free(b, down[e]);
        }
        backend_free(b);
    }
    free(x), free(router), free(g), free(u), free(d);
}

static void rows_that_are_no_whole_blocks_are_an_error(void **state)
{
    (void)state;
    struct backend *b = open_backend(0, 1);
    struct error err = {0};
    struct weight_source s = {.dtype = DTYPE_Q4_K, .rows = 3, .cols = 320, .data = ""};
    assert_null(b->ops->weight_new(b, &s, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_null(b->ops->kv_new(b, &(struct kv_shape){1, 1, 32, 1, DTYPE_Q4_1}, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_null(b->ops->kv_new(b, &(struct kv_shape){1, 1, 80, 1, DTYPE_Q8_0}, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "80 numbers: use f16"));
    assert_null(backend_cpu_new(&(struct cpu_options){.isa = "mmx"}, &err));
    assert_int_equal(err.code, ERR_USAGE);
    backend_free(b);
}

static void embedding_reads_rows_of_the_file(void **state)
{
    (void)state;
    struct backend *b = open_backend(0, 2);
    struct error err = {0};
    float table[6] = {1, 2, 3, 4, 5, 6}, x[8];
    struct weight_source s = {
        .use = WEIGHT_EMBED, .dtype = DTYPE_F32, .rows = 3, .cols = 2, .data = table};
    struct weight *w = b->ops->weight_new(b, &s, &err);
    b->ops->embed(b, x, w, (int32_t[]){2, 0, 3}, 3, 10);
    assert_true(x[0] == 50 && x[1] == 60 && x[2] == 10 && x[3] == 20);
    assert_true(isnan(x[4]) && isnan(x[5]));  // no such token
    b->ops->weight_free(b, w);
    s.transposed = true;  // stored [2, 3]
    w = b->ops->weight_new(b, &s, &err);
    b->ops->embed(b, x, w, (int32_t[]){2, 0}, 2, 1);
    assert_true(x[0] == 3 && x[1] == 6 && x[2] == 1 && x[3] == 4);
    b->ops->weight_free(b, w);
    backend_free(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_agree_with_doubles),
        cmocka_unit_test(activations_agree_with_doubles),
        cmocka_unit_test(softcap_scales_then_caps),
        cmocka_unit_test(many_rows_and_threads_give_the_bits_of_one),
        cmocka_unit_test(experts_are_chosen_weighed_and_added),
        cmocka_unit_test(rows_that_are_no_whole_blocks_are_an_error),
        cmocka_unit_test(embedding_reads_rows_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
