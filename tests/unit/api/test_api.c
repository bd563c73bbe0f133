// test_api.c - the public library over the shipped model: open, count, generate, stop, wrong names.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "hearth.h"

static bool keep(void *self, const char *text, size_t len)
{
    buf_add(self, text, len);
    return true;
}

static bool refuse(void *self, const char *text, size_t len)
{
    (void)text;
    (void)len;
    ++*(int *)self;
    return false;
}

static const struct hearth_message question = {HEARTH_USER, "What is a hearth?"};

static void the_shipped_model_answers_the_same_each_time(void **state)
{
    struct hearth_error error = {""};
    struct hearth_usage usage;
    struct buf first = {0}, second = {0};
    struct hearth_request r;
    (void)state;
    struct hearth *h = hearth_open(NULL, NULL, &error);
    assert_string_equal(error.text, "");
    assert_non_null(h);
    assert_true(hearth_context(h) >= 512);
    hearth_request_init(&r);
    r.messages = &question;
    r.n_messages = 1;
    r.max_tokens = 24;
    r.temperature = 0;
    assert_true(hearth_count(h, &r, &error) > 5);
    assert_true(hearth_generate(h, &r, keep, &first, &usage, &error));
    assert_true(usage.prompt_tokens == hearth_count(h, &r, &error));
    assert_true(usage.completion_tokens > 0 && usage.completion_tokens <= 24);
    assert_true(hearth_generate(h, &r, keep, &second, NULL, &error));
    assert_string_equal(buf_text(&first), buf_text(&second));
    int n_calls = 0;
    assert_true(hearth_generate(h, &r, refuse, &n_calls, NULL, &error));
    assert_true(n_calls <= 1);
    buf_release(&first);
    buf_release(&second);
    hearth_close(h);
}

static void a_wrong_name_is_told_in_one_line(void **state)
{
    struct hearth_error error = {""};
    (void)state;
    assert_null(hearth_open("no/such/model.gguf", NULL, &error));
    assert_non_null(strstr(error.text, "no/such/model.gguf"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_shipped_model_answers_the_same_each_time),
    cmocka_unit_test(a_wrong_name_is_told_in_one_line),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
