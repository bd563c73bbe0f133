// test_stops.c - stop strings against the plainest definition, over random texts cut at random.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/stops.h"

static uint64_t counter;
static int below(int n)
{
    return (int)(hash_mix(counter++) % (uint64_t)n);
}

// The first end of a stop, and of those that end there the longest. False if there is none.
static bool find(const char *text, size_t n, const struct slice *stops, int n_stops, size_t *end,
                 size_t *length)
{
    for (*end = 1; *end <= n; ++*end) {
        *length = 0;
        for (int i = 0; i < n_stops; i++)
            if (stops[i].len <= *end && stops[i].len > *length &&
                memcmp(text + *end - stops[i].len, stops[i].ptr, stops[i].len) == 0)
                *length = stops[i].len;
        if (*length)
            return true;
    }
    return false;
}

// The longest end of the text that begins a stop.
static size_t beginning(const char *text, size_t n, const struct slice *stops, int n_stops)
{
    for (size_t held = n; held > 0; held--)
        for (int i = 0; i < n_stops; i++)
            if (stops[i].len > held && memcmp(text + n - held, stops[i].ptr, held) == 0)
                return held;
    return 0;
}

static void one_text(void)
{
    char text[40], words[4][8];
    struct slice stops[4];
    size_t n = 1 + (size_t)below(39);
    int n_stops = 1 + below(4);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + below(2));
    for (int i = 0; i < n_stops; i++) {
        stops[i] = slice_of(words[i], 1 + (size_t)below(8));
        for (size_t k = 0; k < stops[i].len; k++)
            words[i][k] = (char)('a' + below(below(3) ? 2 : 3));
    }
    struct stop_set set;
    struct stop_matcher m;
    stop_set_init(&set, stops, (size_t)n_stops);
    stop_matcher_init(&m, &set);
    size_t want_end, want_length, end, length, at = 0;
    bool want = find(text, n, stops, n_stops, &want_end, &want_length), found = false;
    while (at < n && !found) {
        size_t piece = 1 + (size_t)below(5);
        piece = piece < n - at ? piece : n - at;
        found = stop_matcher_read(&m, slice_of(text + at, piece), &end, &length);
        if (found) {
            assert_true(want);
            assert_int_equal(at + end, want_end);
            assert_int_equal(length, want_length);
        }
        at += piece;
        if (!found)
            assert_int_equal(stop_matcher_held(&m), beginning(text, at, stops, n_stops));
    }
    assert_int_equal(found, want);
    stop_matcher_release(&m);
    stop_set_release(&set);
}

static void stops_are_found_as_defined_however_the_text_is_cut(void **state)
{
    (void)state;
    for (int i = 0; i < 30000; i++)
        one_text();
}

static void without_stops_nothing_is_held(void **state)
{
    (void)state;
    struct stop_set set;
    struct stop_matcher m;
    size_t end, length;
    stop_set_init(&set, NULL, 0);
    stop_matcher_init(&m, &set);
    assert_false(stop_matcher_read(&m, slice_str("anything"), &end, &length));
    assert_int_equal(stop_matcher_held(&m), 0);
    stop_matcher_release(&m);
    stop_set_release(&set);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_are_found_as_defined_however_the_text_is_cut),
        cmocka_unit_test(without_stops_nothing_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
