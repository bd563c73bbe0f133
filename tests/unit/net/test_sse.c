// test_sse.c - events of a stream are the same however its bytes are cut.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "net/sse.h"

static void note(struct buf *out, const struct sse *s)
{
    buf_char(out, '[');
    buf_slice(out, s->event);
    buf_char(out, '|');
    buf_slice(out, s->data);
    buf_char(out, ']');
}

// The events of a stream that comes in pieces of these sizes, the last size over and over; each
// piece in a block of its own, which is gone afterwards.
static void read_in_pieces(struct slice stream, size_t first, size_t then, struct buf *out)
{
    struct sse s = {0};
    size_t at = 0, size = first;
    while (at < stream.len) {
        size_t n = size < stream.len - at ? size : stream.len - at;
        char *piece = malloc(n);
        memcpy(piece, stream.ptr + at, n);
        struct slice in = slice_of(piece, n);
        enum sse_result got;
        while ((got = sse_read(&s, &in)) == SSE_EVENT)
            note(out, &s);
        assert_int_equal(got, SSE_MORE);
        assert_int_equal(in.len, 0);
        free(piece);
        at += n;
        size = then;
    }
    if (sse_end(&s)) {
        buf_char(out, '+');
        note(out, &s);
    }
    sse_release(&s);
}

static void check(const char *text, size_t n, const char *events)
{
    struct slice stream = slice_of(text, n);
    for (size_t first = 1; first <= n; first++) {
        for (size_t then = 1; then <= n; then += then < 4 ? 1 : n) {
            struct buf out = {0};
            read_in_pieces(stream, first, then, &out);
            assert_string_equal(buf_text(&out), events);
            buf_release(&out);
        }
    }
}
#define CHECK(text, events) check(text, sizeof(text) - 1, events)

static void lines_end_in_three_ways(void **state)
{
    (void)state;
    CHECK("data: a\n\ndata: b\n\n", "[|a][|b]");
    CHECK("data: a\r\n\r\ndata: b\r\n\r\n", "[|a][|b]");
    CHECK("data: a\r\rdata: b\r\r", "[|a][|b]");
    CHECK("data: a\r\n\ndata: b\n\r\n", "[|a][|b]");
}

static void several_lines_are_joined(void **state)
{
    (void)state;
    CHECK("data: a\ndata: b\ndata:\ndata:  c\n\n", "[|a\nb\n\n c]");
    CHECK("data\n\n", "[|]");
    CHECK("data:\ndata:\n\n", "[|\n]");
}

static void names_go_with_one_event(void **state)
{
    (void)state;
    CHECK("event: x\ndata: 1\n\ndata: 2\n\n", "[x|1][|2]");
    CHECK("data: 1\nevent: y\nevent: z\n\n", "[z|1]");
    CHECK("event: x\n\ndata: 1\n\n", "[|1]");
    CHECK("event: first\nevent: x\r\n: c\r\ndata: 1\r\n\r\n", "[x|1]");
}

static void what_nobody_asked_for_is_passed_over(void **state)
{
    (void)state;
    CHECK(": ping\n\n\n\nid: 7\nretry: 10\nother: x\ndata: a\n:\n\n", "[|a]");
    CHECK("\xEF\xBB\xBF"
          "data: a\n\n",
          "[|a]");
    CHECK("\xEF\xBB\xBF\n\xEF\xBB\xBF"
          "data: a\n\ndata: b\n\n",
          "[|b]");
    CHECK("\xEF\xBB"
          "data: a\n\ndata: b\n\n",
          "[|b]");
    CHECK("data : a\nDATA: b\ndata: {\"a\": \"b: c\"}\n\n", "[|{\"a\": \"b: c\"}]");
    CHECK("data: a\0b\n\n", "[|a");
}

static void an_end_without_the_empty_line_counts(void **state)
{
    (void)state;
    CHECK("data: a\n\ndata: b\n", "[|a]+[|b]");
    CHECK("data: a\n\ndata: b", "[|a]");
    CHECK("data: a\n\nevent: x\n", "[|a]");
}

static void lines_and_events_are_bounded(void **state)
{
    struct sse s = {.max_bytes = 10};
    struct slice in = slice_str("data: 12345678901\n");
    (void)state;
    assert_int_equal(sse_read(&s, &in), SSE_TOO_LONG);
    sse_clear(&s);
    for (int i = 0; i < 9; i++) {
        in = slice_str("x");
        assert_int_equal(sse_read(&s, &in), SSE_MORE);
    }
    in = slice_str("x");
    assert_int_equal(sse_read(&s, &in), SSE_TOO_LONG);
    sse_clear(&s);
    in = slice_str("data:123\ndata:456\n\ndata:12\ndata:345\ndata:1234\n\n");
    assert_int_equal(sse_read(&s, &in), SSE_EVENT);
    assert_true(slice_is(s.data, "123\n456"));
    assert_int_equal(sse_read(&s, &in), SSE_TOO_LONG);
    sse_release(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_three_ways),
        cmocka_unit_test(several_lines_are_joined),
        cmocka_unit_test(names_go_with_one_event),
        cmocka_unit_test(what_nobody_asked_for_is_passed_over),
        cmocka_unit_test(an_end_without_the_empty_line_counts),
        cmocka_unit_test(lines_and_events_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
