// test_gateway.c - what the gateway passes on, against a provider that does as it is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "gateway/gateway.h"
#include "../../support/fake_provider.h"

static bool reply(void *self, int n, struct slice prompt, int max_tokens, struct buf *out,
                  enum chat_finish *finish, struct error *err)
{
    (void)n, (void)max_tokens;
    if (self)
        return error_set(err, ERR_NUMERIC, "NaN");
    buf_text_add(out, "You said: ");
    buf_slice(out, prompt);
    *finish = CHAT_LENGTH;
    return true;
}

static struct chat_request request(const char *text)
{
    struct chat_request r = {.input = INPUT_TEXT, .text = slice_str(text), .max_tokens = 10};
    chat_sampling_unset(&r.sampling);
    return r;
}

static void a_whole_answer_comes_with_finish_and_usage(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        struct fake_provider f;
        struct error err = {0};
        struct buf text = {0};
        enum chat_finish finish;
        struct chat_usage usage;
        fake_provider_init(&f, 100);
        f.reply = reply;
        f.inside_start = inside;
        struct gateway *g = gateway_new(&f.provider);
        struct chat_request r = request("hello there");
        assert_true(gateway_ask(g, &r, &text, &finish, &usage, &err));
        assert_string_equal(buf_text(&text), "You said: hello there");
        assert_int_equal(finish, CHAT_LENGTH);
        assert_true(usage.completion_tokens > 0);
        buf_release(&text);
        gateway_free(g);
        fake_provider_release(&f);
    }
}

static void errors_before_and_during_an_answer_are_told(void **state)
{
    (void)state;
    struct fake_provider f;
    struct error err = {0};
    struct buf text = {0};
    fake_provider_init(&f, 100);
    f.reply = reply;
    f.reply_self = &f;
    f.refuse_first = 1;
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = request("hello");
    assert_false(gateway_ask(g, &r, &text, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(gateway_ask(g, &r, &text, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    struct model_info info;
    assert_false(gateway_describe(g, "nobody", &info, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    gateway_free(g);
    fake_provider_release(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_comes_with_finish_and_usage),
        cmocka_unit_test(errors_before_and_during_an_answer_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
