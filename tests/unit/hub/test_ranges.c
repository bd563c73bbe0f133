// test_ranges.c - the bookkeeping of pieces, against a plain array of bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "hub/part.h"
#include "hub/ranges.h"

enum { BYTES = 64 };

static void check_against(const struct ranges *r, const bool *there)
{
    uint64_t n = 0, prefix = 0;
    struct range gap;
    for (size_t i = 0; i < BYTES; i++)
        n += there[i];
    while (prefix < BYTES && there[prefix])
        prefix++;
    assert_int_equal(ranges_bytes(r), n);
    assert_int_equal(ranges_prefix(r), prefix);
    assert_int_equal(ranges_gap(r, BYTES, &gap), prefix < BYTES);
    if (prefix < BYTES) {
        assert_int_equal(gap.from, prefix);
        for (uint64_t i = gap.from; i < gap.to; i++)
            assert_false(there[i]);
        assert_true(gap.to == BYTES || there[gap.to]);
    }
    for (size_t i = 0; i < r->n; i++)
        assert_true(r->items[i].from < r->items[i].to &&
                    (i == 0 || r->items[i].from > r->items[i - 1].to));
}

static void pieces_in_any_order_add_up(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct ranges r = {0};
        bool there[BYTES] = {false};
        for (uint64_t k = 0; k < 20; k++) {
            uint64_t from = hash_mix(seed * 100 + k) % BYTES;
            uint64_t to = from + hash_mix(seed * 100 + k + 50) % (BYTES / 6);
            to = to > BYTES ? BYTES : to;
            ranges_add(&r, from, to);
            memset(there + from, 1, to - from);
            check_against(&r, there);
        }
        ranges_release(&r);
    }
}

static void what_is_written_is_read(void **state)
{
    struct ranges r = {0}, again;
    struct buf text = {0};
    (void)state;
    ranges_add(&r, 10, 20);
    ranges_add(&r, 0, 5);
    ranges_add(&r, 30, UINT64_C(1) << 40);
    ranges_write(&r, &text);
    assert_string_equal(buf_text(&text), "[[0,5],[10,20],[30,1099511627776]]");
    json_t *list = json_parse(buf_view(&text), NULL);
    assert_true(ranges_read(list, UINT64_C(1) << 40, &again));
    assert_int_equal(ranges_bytes(&again), ranges_bytes(&r));
    ranges_release(&again);
    assert_false(ranges_read(list, (UINT64_C(1) << 40) - 1, &again));
    json_decref(list);
    ranges_release(&r);
    buf_release(&text);
}

static void records_that_do_not_fit_are_not_believed(void **state)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{\"bytes\":99,\"done\":[[0,5]]}",
        "{\"bytes\":100}",
        "{\"bytes\":100,\"done\":{}}",
        "{\"bytes\":100,\"done\":[[0,101]]}",
        "{\"bytes\":100,\"done\":[[-1,5]]}",
        "{\"bytes\":100,\"done\":[[5,5]]}",
        "{\"bytes\":100,\"done\":[[9,5]]}",
        "{\"bytes\":100,\"done\":[[0,5],[5,9]]}",
        "{\"bytes\":100,\"done\":[[6,9],[0,5]]}",
        "{\"bytes\":100,\"done\":[[0,5,6]]}",
        "{\"bytes\":100,\"done\":[[0.5,5]]}",
        "{\"bytes\":100,\"done\":[7]}",
    };
    struct ranges done;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(part_read_record(slice_str(bad[i]), 100, &done));
        assert_int_equal(done.n, 0);
    }
    assert_true(
        part_read_record(slice_str("{\"bytes\":100,\"done\":[[0,5],[7,100]]}"), 100, &done));
    assert_int_equal(ranges_bytes(&done), 98);
    ranges_release(&done);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_in_any_order_add_up),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(records_that_do_not_fit_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
