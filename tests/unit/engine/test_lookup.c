// test_lookup.c - what stood before is found again, against a search through everything.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/lookup.h"

static int32_t *ids_of(const char *text, int room)
{
    int32_t *ids = memory_array(int32_t, strlen(text) + (size_t)room);
    for (size_t i = 0; text[i]; i++)
        ids[i] = (unsigned char)text[i];
    return ids;
}

// Guesses n tokens after the text; `agreed` is how many of its last tokens stood before.
static void check_guess(const char *text, int n, int agreed, const char *guess)
{
    int len = (int)strlen(text);
    int32_t *ids = ids_of(text, n);
    struct lookup l;
    lookup_init(&l, len + n);
    assert_int_equal(lookup_find(&l, ids, len), agreed);
    if (agreed) {
        lookup_guess(&l, ids, len, n);
        for (int i = 0; i < n; i++)
            assert_int_equal(ids[len + i], guess[i]);
    }
    lookup_release(&l);
    free(ids);
}

static void the_longest_place_is_continued(void **state)
{
    (void)state;
    check_guess("the cat sat. a bat ran. the cat", 5, 7, " sat.");
    check_guess("xab1 yab2 zab3 yab", 2, 4, "2 ");
    check_guess("nothing twic", 1, 0, "");
    check_guess("a", 1, 0, "");
    check_guess("aa", 1, 0, "");
}

static void of_equal_places_the_latest_is_continued(void **state)
{
    (void)state;
    check_guess("ab1 ab2 cab", 2, 2, "2 ");
}

static void a_repetition_goes_on_with_itself(void **state)
{
    (void)state;
    check_guess("-abcabc", 7, 3, "abcabca");
    check_guess("aaa", 4, 2, "aaaa");
}

// Beyond the places that are looked at, only the one that the last guess came from is found.
static void a_long_copy_is_followed(void **state)
{
    (void)state;
    enum { COPIED = 200, NOISE = 100, ALL = COPIED + NOISE * 3 + COPIED };
    static int32_t ids[ALL + 1];
    int n = 0;
    for (int i = 0; i < COPIED; i++)  // every third pair is 1 2, with other things between
        ids[n++] = i % 3 == 2 ? 1000 + i : 1 + i % 3;
    for (int i = 0; i < NOISE; i++) {
        ids[n++] = 1;
        ids[n++] = 2;
        ids[n++] = 5000 + i;
    }
    struct lookup l;
    lookup_init(&l, ALL);
    ids[n++] = 1002;  // as at place 2
    for (int place = 3; place < COPIED; place++) {
        ids[n] = ids[place];
        n++;
        int agreed = lookup_find(&l, ids, n);
        assert_int_equal(agreed, place - 1 < LOOKUP_MOST ? place - 1 : LOOKUP_MOST);
        lookup_guess(&l, ids, n, 1);
        assert_int_equal(ids[n], place + 1 < COPIED ? ids[place + 1] : 1);
    }
    lookup_release(&l);
}

// Few different tokens: whatever it finds agrees as far as it says, and something is found whenever
// there is something.
static void what_is_found_agrees(void **state)
{
    (void)state;
    enum { N = 600 };
    static int32_t ids[N + 8], copy[N + 8];
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct lookup l;
        lookup_init(&l, N);
        for (int n = 1; n < N; n++) {
            ids[n - 1] = (int32_t)(hash_mix(seed * N + (uint64_t)n) % (2 + seed));
            int agreed = lookup_find(&l, ids, n), longest = 0;
            for (int place = n - 1; place >= LOOKUP_LEAST; place--) {
                int same = 0;
                while (same < place && same < LOOKUP_MOST &&
                       ids[place - 1 - same] == ids[n - 1 - same])
                    same++;
                longest = same > longest ? same : longest;
            }
            assert_true(agreed <= longest);
            assert_int_equal(agreed > 0, longest >= LOOKUP_LEAST);
            if (!agreed)
                continue;
            memcpy(copy, ids, sizeof ids);
            lookup_guess(&l, copy, n, 4);
            int32_t from = l.from;
            assert_memory_equal(copy + from - agreed, copy + n - agreed,
                                (size_t)(agreed + 4) * sizeof *copy);
            assert_memory_equal(copy, ids, (size_t)n * sizeof *ids);
        }
        lookup_release(&l);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_place_is_continued),
        cmocka_unit_test(of_equal_places_the_latest_is_continued),
        cmocka_unit_test(a_repetition_goes_on_with_itself),
        cmocka_unit_test(a_long_copy_is_followed),
        cmocka_unit_test(what_is_found_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
