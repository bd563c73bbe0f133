// test_calibrate.c - what calibration gathers of the shipped model's inputs, over a short text.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "local/eval/calibrate.h"
#include "local/eval/products.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"
#include "local/quantize/importance.h"
#include "local/quantize/triangle.h"
#include "local/tokenizer/tokenizer.h"

enum { CTX = 64, WINDOWS = 3 };

struct setting {
    struct model_file *file;
    struct backend *cpu;
    struct model *m;
    struct tokenizer *t;
    struct buf text;
};

static int set_up(void **state)
{
    struct setting *s = calloc(1, sizeof *s);
    struct error err = {0};
    struct model_options o = {.ctx = CTX, .max_rows = CTX, .max_wanted = CTX};
    if (!s)
        return -1;
    *state = s;
    s->file = model_file_open("models/hearth-small.gguf", MODEL_ALL, &err);
    s->cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
    s->t = s->file ? tokenizer_open(s->file, &err) : NULL;
    s->m = s->file && s->cpu ? model_load(s->file, s->cpu, &o, &err) : NULL;
    bool ok = file_read("docs/examples/declaration-of-independence.txt", 1 << 20, &s->text, &err);
    return ok && s->m && s->t ? 0 : -1;
}

static int tear_down(void **state)
{
    struct setting *s = *state;
    model_free(s->m);
    backend_free(s->cpu);
    tokenizer_close(s->t);
    model_file_close(s->file);
    buf_release(&s->text);
    free(s);
    return 0;
}

static struct calibration *calibrate(const struct setting *s, const struct calibration_options *o)
{
    struct error err = {0};
    struct calibration *c = calibration_new(s->m, s->t, buf_view(&s->text), o, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static struct importance find(struct calibration *c, const char *name)
{
    struct importance out = {0};
    struct error err = {0};
    bool found = false;
    if (!calibration_find(c, name, &out, &found, &err))
        fail_msg("%s", err.text);
    if (!found)
        out.n = 0;
    return out;
}

static void matrices_find_their_inputs(void **state)
{
    struct calibration_options o = {.ctx = CTX, .max_windows = WINDOWS};
    struct calibration *c = calibrate(*state, &o);
    static const char *const unknown[] = {"blk.0.attn_norm.weight", "blk.99.attn_q.weight",
                                          "token_embd", "blk..attn_q.weight", ""};
    size_t q = find(c, "blk.2.attn_q.weight").id;
    assert_int_equal(find(c, "blk.2.attn_k.weight").id, q);
    assert_int_equal(find(c, "blk.2.attn_v.weight").id, q);
    assert_int_not_equal(find(c, "blk.2.attn_output.weight").id, q);
    assert_int_not_equal(find(c, "blk.1.attn_q.weight").id, q);
    assert_int_equal(find(c, "blk.2.ffn_gate.weight").id, find(c, "blk.2.ffn_up.weight").id);
    assert_int_equal(find(c, "blk.4.ffn_down.weight").n, 512);
    assert_int_equal(find(c, "output.weight").n, 256);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(find(c, unknown[i]).n, 0);
    calibration_free(c);
}

static void squares_are_the_diagonal_of_the_products(void **state)
{
    struct calibration_options o = {.ctx = CTX, .max_windows = WINDOWS};
    struct calibration *c = calibrate(*state, &o);
    static const char *const names[] = {"blk.0.attn_q.weight", "blk.2.attn_output.weight",
                                        "blk.5.ffn_up.weight", "blk.5.ffn_down.weight",
                                        "output.weight"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct importance i = find(c, names[k]);
        assert_non_null(i.products);
        size_t used = 0;
        for (size_t j = 0; j < i.n; j++) {
            assert_true(i.squares[j] >= 0);
            used += i.squares[j] > 0;
            float apart = fabsf(i.products[triangle_row(j) + j] - i.squares[j]);
            assert_true(apart <= 1e-4f * i.squares[j] + 1e-30f);
        }
        assert_true(used > 0);
        // What two inputs have in common is less than what each has (Cauchy and Schwarz).
        for (size_t j = 1; j < i.n; j++) {
            float common = i.products[triangle_row(j) + j - 1];
            assert_true(common * common <= i.squares[j] * i.squares[j - 1] * 1.001f);
        }
    }
    calibration_free(c);
}

// With room for one matrix's products the text is read again and again, to the same effect.
static void a_small_budget_gives_the_same_numbers(void **state)
{
    struct calibration_options large = {.ctx = CTX, .max_windows = WINDOWS};
    struct calibration_options small = {.ctx = CTX, .max_windows = WINDOWS, .products_bytes = 1};
    struct calibration *a = calibrate(*state, &large), *b = calibrate(*state, &small);
    static const char *const names[] = {"blk.4.attn_q.weight", "blk.0.ffn_down.weight"};
    for (size_t k = 0; k < 2; k++) {
        struct importance x = find(a, names[k]), y = find(b, names[k]);
        assert_int_equal(x.id, y.id);
        assert_memory_equal(x.squares, y.squares, x.n * sizeof *x.squares);
        assert_memory_equal(x.products, y.products, triangle_row(x.n) * sizeof *x.products);
        assert_true(x.n_held_out > 0 && x.n_held_out == y.n_held_out);
        assert_memory_equal(x.held_out, y.held_out, x.n_held_out * x.n * sizeof(float));
    }
    calibration_free(a);
    calibration_free(b);
}

static void windows_that_were_kept_out_are_told(void **state)
{
    struct calibration_options o = {.ctx = CTX, .max_windows = 24};
    struct calibration *c = calibrate(*state, &o);
    size_t n_all, n_one;
    int32_t *all = calibration_kept_out(c, 8, &n_all), *one = calibration_kept_out(c, 1, &n_one);
    assert_int_equal(calibration_ctx(c), CTX);
    assert_int_equal(n_all, calibration_tokens(c) / CTX / 8);
    assert_true(n_all > 1 && n_one == 1);
    assert_memory_equal(all, one, CTX * sizeof *one);
    assert_memory_not_equal(all, all + CTX, CTX * sizeof *all);
    free(all);
    free(one);
    calibration_free(c);
}

static void a_short_text_is_refused(void **state)
{
    const struct setting *s = *state;
    struct error err = {0};
    struct calibration_options o = {.ctx = CTX};
    assert_null(calibration_new(s->m, s->t, slice_str("We hold these truths"), &o, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "at least 128 are needed"));
}

static bool stop(void *self, size_t done, size_t total)
{
    (void)self;
    assert_true(done <= total);
    return false;
}

static void it_can_be_cancelled(void **state)
{
    const struct setting *s = *state;
    struct error err = {0};
    struct calibration_options o = {.ctx = CTX, .progress = stop};
    assert_null(calibration_new(s->m, s->t, buf_view(&s->text), &o, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
}

static void every_instruction_set_gives_the_same_products(void **state)
{
    (void)state;
    enum { N = 43, ROWS = 300 };  // no whole panels, nor rows that are summed at once
    static float x[ROWS * N], plain[N * N], best[N * N], panels[ROWS * (N + PANEL_COLS)];
    for (uint64_t i = 0; i < ROWS * N; i++)
        x[i] = (float)((double)(hash_mix(i) >> 11) * 0x1p-53 - 0.5);
    for (size_t i = 0; i < panels_of(N); i++)
        products_panel(panels, x, N, ROWS, i);
    for (size_t i = 0; i < panels_of(N); i++) {
        add_products_plain(plain, panels, N, ROWS, i);
        add_products_best()(best, panels, N, ROWS, i);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k <= i; k++) {
            double sum = 0;
            for (size_t r = 0; r < ROWS; r++)
                sum += (double)x[r * N + i] * (double)x[r * N + k];
            assert_true(fabs((double)plain[triangle_row(i) + k] - sum) < 2e-5);
            assert_true(plain[triangle_row(i) + k] == best[triangle_row(i) + k]);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(matrices_find_their_inputs),
    cmocka_unit_test(squares_are_the_diagonal_of_the_products),
    cmocka_unit_test(a_small_budget_gives_the_same_numbers),
    cmocka_unit_test(windows_that_were_kept_out_are_told),
    cmocka_unit_test(a_short_text_is_refused),
    cmocka_unit_test(it_can_be_cancelled),
    cmocka_unit_test(every_instruction_set_gives_the_same_products),
};

int main(void)
{
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
