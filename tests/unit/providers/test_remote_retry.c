// test_remote_retry.c - what is tried again and when, and endpoints that are left alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "../../support/remote_help.h"

static struct remote_scene scene;

static void try_plan(struct remote_plan p, int retries, const char *log, int n_requests)
{
    struct remote_options o = remote_scene_options();
    o.retries = retries;
    remote_scene_open(&scene, remote_follow_plan, &p, &o);
    assert_string_equal(remote_scene_answer(&scene, true), log);
    assert_int_equal(atomic_load(&scene.server.n_requests), n_requests);
    assert_int_equal(scene.log.usage.bytes_sent, 22 * n_requests);
    remote_log_release(&scene.log);
    remote_scene_close(&scene);
}

static void what_may_pass_is_tried_again(void **state)
{
    (void)state;
    try_plan((struct remote_plan){.n = 1, .status = 529}, 1, REMOTE_WHOLE_LOG, 2);
    try_plan((struct remote_plan){.n = 1, .status = 429}, 1, REMOTE_WHOLE_LOG, 2);
    try_plan((struct remote_plan){.n = 1, .status = 0}, 1, REMOTE_WHOLE_LOG, 2);
    try_plan((struct remote_plan){.n = 1, .status = 200, .stream = ": ping\n\n"}, 1,
             REMOTE_WHOLE_LOG, 2);
    try_plan((struct remote_plan){.n = 1, .status = 200, .stream = "data: e:busy\n\n"}, 1,
             REMOTE_WHOLE_LOG, 2);
    try_plan((struct remote_plan){.n = 9, .status = 500}, 1, REMOTE_ERROR_LOG, 2);
}

static void what_a_vendor_told_of_earlier_tries_is_in_the_sum(void **state)
{
    (void)state;
    try_plan(
        (struct remote_plan){.n = 1, .status = 200, .stream = "data: u:5,2\n\ndata: e:busy\n\n"}, 1,
        "text hello\nfinish\nusage 12 5 about\ndone\nclosed\n", 2);
    try_plan((struct remote_plan){.n = 1, .status = 200, .stream = "data: u:5,2\n\n"}, 1,
             "text hello\nfinish\nusage 12 5 about\ndone\nclosed\n", 2);
}

static void what_will_fail_again_is_not(void **state)
{
    (void)state;
    try_plan((struct remote_plan){.n = 1, .status = 400}, 1, REMOTE_ERROR_LOG, 1);
    try_plan((struct remote_plan){.n = 1, .status = 429, .body = "quota"}, 1, REMOTE_ERROR_LOG, 1);
    try_plan((struct remote_plan){.n = 1, .status = 429, .fields = "Retry-After: 31\r\n"}, 1,
             REMOTE_ERROR_LOG, 1);
    try_plan((struct remote_plan){.n = 1, .status = 200, .stream = "data: rubbish\n\n"}, 1,
             REMOTE_ERROR_LOG, 1);
    try_plan((struct remote_plan){.n = 1, .status = 501}, 1, REMOTE_ERROR_LOG, 1);
}

static void nothing_is_tried_again_after_output(void **state)
{
    const char *log = "text a\nusage 7 1 about\nerror\nclosed\n";
    (void)state;
    try_plan((struct remote_plan){.n = 1, .status = 200, .stream = "data: t:a\n\n"}, 2, log, 1);
    try_plan((struct remote_plan){.n = 1, .status = 200, .stream = "data: t:a\n\ndata: e:busy\n\n"},
             2, log, 1);
}

// At least so long, and the answer came.
static void waits_at_least(struct remote_plan p, int64_t ms)
{
    int64_t begin = clock_ns();
    try_plan(p, 1, REMOTE_WHOLE_LOG, 2);
    assert_true(clock_ns() - begin >= ms * 1000000);
}

static void what_the_vendor_says_about_when_is_heard(void **state)
{
    (void)state;
    waits_at_least((struct remote_plan){.n = 1, .status = 429, .fields = "Retry-After: 1\r\n"},
                   1000);
    waits_at_least((struct remote_plan){.n = 1, .status = 503, .body = "later 1"}, 1000);
}

static void what_was_cancelled_before_it_began_is_not_sent(void **state)
{
    struct remote_plan p = {.n = 99, .status = 429, .fields = "Retry-After: 20\r\n"};
    struct remote_options o = remote_scene_options();
    struct error err;
    (void)state;
    o.retries = 1;
    remote_scene_open(&scene, remote_follow_plan, &p, &o);
    remote_log_init(&scene.log);
    struct answer *a = remote_scene_start(&scene, &scene.log, &err);
    while (!atomic_load(&scene.server.n_requests))
        script_pause(1);
    script_pause(20);  // it waits for the next try, most likely
    scene.remote->ops->cancel(a);
    scene.remote->ops->wait(a);
    remote_log_wait(&scene.log);
    scene.remote->ops->answer_free(a);
    // What was refused costs nothing.
    assert_non_null(strstr(buf_text(&scene.log.text), "cancelled\nusage 0 0 about\n"));
    remote_log_release(&scene.log);
    remote_scene_close(&scene);
}

static void an_endpoint_that_keeps_failing_rests(void **state)
{
    struct remote_plan p = {.n = 4, .status = 500};
    struct remote_options o = remote_scene_options();
    struct remote_load load;
    (void)state;
    o.breaker_failures = 3;
    o.breaker_rest_s = 0.3;
    remote_scene_open(&scene, remote_follow_plan, &p, &o);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(remote_scene_answer(&scene, true), REMOTE_ERROR_LOG);
        remote_log_release(&scene.log);
    }
    provider_remote_load(scene.remote, &load);
    assert_true(load.resting && load.running == 0 && load.first_ns == 0);
    assert_string_equal(remote_scene_answer(&scene, true), "not started");
    assert_int_equal(scene.log.error.code, ERR_BUSY);
    assert_true(scene.log.error.retry_after_s >= 1);
    remote_log_release(&scene.log);
    assert_int_equal(atomic_load(&scene.server.n_requests), 3);
    const char *log = "not started";
    while (strcmp(log, REMOTE_ERROR_LOG) != 0) {  // the probe fails
        script_pause(10);
        log = remote_scene_answer(&scene, true);
        remote_log_release(&scene.log);
        log = scene.log.error.code == ERR_BUSY ? "not started" : REMOTE_ERROR_LOG;
    }
    assert_int_equal(atomic_load(&scene.server.n_requests), 4);
    do {  // and the next does not
        script_pause(10);
        log = remote_scene_answer(&scene, true);
        if (!scene.log.error.code)
            assert_string_equal(log, REMOTE_WHOLE_LOG);
        remote_log_release(&scene.log);
    } while (scene.log.error.code == ERR_BUSY);
    provider_remote_load(scene.remote, &load);
    assert_true(!load.resting && load.first_ns > 0 && load.per_token_ns > 0);
    remote_scene_close(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(what_a_vendor_told_of_earlier_tries_is_in_the_sum),
        cmocka_unit_test(what_will_fail_again_is_not),
        cmocka_unit_test(nothing_is_tried_again_after_output),
        cmocka_unit_test(what_the_vendor_says_about_when_is_heard),
        cmocka_unit_test(what_was_cancelled_before_it_began_is_not_sent),
        cmocka_unit_test(an_endpoint_that_keeps_failing_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
