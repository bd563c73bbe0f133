// test_kv_plan.c - pages for keys and values out of numbers about model and memory.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "local/engine/kv_plan.h"
#include "local/engine/scheduler.h"

// 8 layers of 4 heads of 64: 8 KiB a token in F16, 512 KiB a page.
static struct kv_facts facts(int ctx, uint64_t available_mib)
{
    return (struct kv_facts){.n_groups = 1,
                             .groups = {{8, 4, 64, 0}},
                             .dtype = DTYPE_F16,
                             .ctx = ctx,
                             .max_rows = 512,
                             .max_seqs = 64,
                             .available = available_mib << 20};
}
static uint64_t page(const struct kv_facts *f, int g)
{
    struct kv_shape s = {f->groups[g].n_layers, f->groups[g].n_kv_heads, f->groups[g].head_dim, 1,
                         f->dtype};
    return kv_page_bytes(&s);
}

static void a_context_nobody_asked_for_shrinks_to_memory(void **state)
{
    (void)state;
    struct kv_facts f = facts(131072, 1000);
    struct kv_plan p;
    assert_true(kv_plan_make(&f, &p, NULL));
    assert_true(p.ctx >= 64 * 1700 && p.ctx <= 64 * 1800);
    assert_true(p.bytes <= f.available);
    assert_int_equal(p.n_pages[0], (p.ctx + 63) / 64);
    assert_true(kv_plan_bytes(&f, p.n_pages) == p.bytes);
    assert_true(p.bytes == (uint64_t)p.n_pages[0] * page(&f, 0));
}

static void one_that_was_asked_for_is_an_error_that_says_both_sizes(void **state)
{
    (void)state;
    struct kv_facts f = facts(131072, 1000);
    struct kv_plan p;
    struct error err;
    f.ctx_asked = true;
    assert_false(kv_plan_make(&f, &p, &err));
    assert_int_equal(err.code, ERR_MEMORY);
    assert_non_null(strstr(err.text, "131072 tokens"));
    assert_non_null(strstr(err.text, "900.0 MiB are free"));
    f.kv_bytes = 100 << 20;
    assert_false(kv_plan_make(&f, &p, &err));
    assert_non_null(strstr(err.text, "100.0 MiB are allowed"));
    f = facts(4096, 2);  // 1.8 MiB: not even a small context
    assert_false(kv_plan_make(&f, &p, &err));
    assert_int_equal(err.code, ERR_MEMORY);
}

static void with_memory_there_is_room_for_more_sequences(void **state)
{
    (void)state;
    struct kv_facts f = facts(32768, 100000);
    struct kv_plan p;
    assert_true(kv_plan_make(&f, &p, NULL));
    assert_int_equal(p.ctx, 32768);
    assert_int_equal(p.n_pages[0], 64 * 2048 / 64);
    f.kv_bytes = (uint64_t)20000 << 20;  // asked for: used
    assert_true(kv_plan_make(&f, &p, NULL));
    assert_true(p.bytes > f.kv_bytes / 2 && p.bytes <= f.kv_bytes);
    f.kv_bytes = 512 * page(&f, 0);  // exactly one sequence
    assert_true(kv_plan_make(&f, &p, NULL));
    assert_int_equal(p.n_pages[0], 512);
}

static void a_sliding_window_needs_only_what_it_sees(void **state)
{
    (void)state;
    struct kv_facts f = facts(32768, 100000);
    f.n_groups = 2;
    f.groups[1] = (struct kv_group){40, 4, 64, 1024};
    f.max_seqs = 1;
    struct kv_plan p;
    assert_true(kv_plan_make(&f, &p, NULL));
    assert_int_equal(p.n_pages[0], 512);
    assert_int_equal(p.n_pages[1], scheduler_pages_needed(32768, 1024, 512));
    assert_int_equal(p.n_pages[1], (1024 + 512) / 64 + 1);
    assert_int_equal(p.bytes, 512 * page(&f, 0) + 25 * page(&f, 1));
}

// Its keys and values lie beside each page of the model's.
static void a_draft_model_takes_its_share_of_memory(void **state)
{
    (void)state;
    struct kv_facts f = facts(131072, 1000);
    struct kv_plan alone, with;
    assert_true(kv_plan_make(&f, &alone, NULL));
    f.page_bytes_more[0] = page(&f, 0);
    assert_true(kv_plan_make(&f, &with, NULL));
    assert_true(with.bytes <= f.available);
    assert_in_range(with.ctx, alone.ctx / 2 - PAGE_TOKENS, alone.ctx / 2 + PAGE_TOKENS);
    assert_int_equal(with.bytes, (uint64_t)with.n_pages[0] * 2 * page(&f, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_model_takes_its_share_of_memory),
        cmocka_unit_test(a_context_nobody_asked_for_shrinks_to_memory),
        cmocka_unit_test(one_that_was_asked_for_is_an_error_that_says_both_sizes),
        cmocka_unit_test(with_memory_there_is_room_for_more_sequences),
        cmocka_unit_test(a_sliding_window_needs_only_what_it_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
