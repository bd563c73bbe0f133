// test_bpe.c - merging against the plain definition, for words of every length class.
//
// Short words, medium ones (a heap) and long ones (buckets) run different code; each must do what
// a search through all pairs at every step does: lowest rank first, leftmost first.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "local/tokenizer/bpe.h"

enum { LETTERS = 4, PIECES = 60 };

// Random merges: any pair may join to any later piece. Ranks may tie where `ties`.
static struct bpe_merges random_merges(uint64_t seed, bool ties)
{
    struct bpe_merges m = {0};
    for (int32_t id = LETTERS; id < PIECES; id++) {
        uint64_t r = hash_mix(seed * 1000 + (uint64_t)id);
        uint32_t rank = (uint32_t)(ties ? r >> 32 & 7 : hash_mix(r) & 0xFFFF);
        bpe_merges_add(&m, (int32_t)(r % (uint64_t)id), (int32_t)(r / 64 % (uint64_t)id), rank, id);
    }
    for (int32_t a = 0; a < LETTERS; a++)  // so that something always happens
        bpe_merges_add(&m, a, (a + 1) % LETTERS, (uint32_t)(hash_mix(seed + (uint64_t)a) & 63),
                       LETTERS + a);
    return m;
}

static size_t by_definition(const struct bpe_merges *m, int32_t *ids, size_t n)
{
    for (;;) {
        const struct bpe_merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const struct bpe_merge *found = bpe_merges_find(m, ids[i], ids[i + 1]);
            if (found && (!best || found->rank < best->rank)) {
                best = found;
                at = i;
            }
        }
        if (!best)
            return n;
        ids[at] = best->result;
        for (size_t i = at + 1; i + 1 < n; i++)
            ids[i] = ids[i + 1];
        n--;
    }
}

static void compare(uint64_t seed, size_t n, bool ties)
{
    struct bpe_merges m = random_merges(seed, ties);
    struct bpe_work w = {0};
    int32_t *ids = malloc(n * sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int32_t)(hash_mix(seed ^ (i + 77)) % LETTERS);
        bpe_work_add(&w, ids[i], (uint32_t)i, 1, false);
    }
    bpe_merge_all(&m, &w);
    size_t n_left = by_definition(&m, ids, n), k = 0;
    for (int32_t i = 0; i >= 0; i = w.symbols[i].next) {
        assert_true(k < n_left);
        assert_int_equal(w.symbols[i].id, ids[k++]);
    }
    assert_int_equal(k, n_left);
    free(ids);
    bpe_work_release(&w);
    bpe_merges_release(&m);
}

static void short_words(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++)
        compare(seed, 1 + seed % 32, seed % 2);
}

static void medium_words(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        compare(seed, 33 + seed, seed % 2);
}

static void long_words(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        compare(seed, 4096 + seed, seed % 2);
}

// One letter a million times: each level of doubling is one bucket.
static void a_wall_of_one_letter_is_fast(void **state)
{
    (void)state;
    struct bpe_merges m = {0};
    struct bpe_work w = {0};
    for (int32_t id = 0; id < 8; id++)
        bpe_merges_add(&m, id, id, (uint32_t)id, id + 1);
    for (uint32_t i = 0; i < 1 << 20; i++)
        bpe_work_add(&w, 0, i, 1, false);
    double start = clock_s();
    bpe_merge_all(&m, &w);
    assert_true(clock_s() - start < 5.0);  // a tenth of a second; quadratic would be hours
    size_t n = 0;
    for (int32_t i = 0; i >= 0; i = w.symbols[i].next, n++)
        assert_int_equal(w.symbols[i].id, 8);
    assert_int_equal(n, (1 << 20) / 256);
    bpe_work_release(&w);
    bpe_merges_release(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(short_words),
    cmocka_unit_test(medium_words),
    cmocka_unit_test(long_words),
    cmocka_unit_test(a_wall_of_one_letter_is_fast),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
