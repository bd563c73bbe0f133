// test_egress.c - the log of what left: whole lines, for its owner's eyes, or nothing leaves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "../../support/temp_folder.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "gateway/egress.h"

static const struct egress_line line = {.request_id = "r\"1\n",
                                        .key_id = NULL,
                                        .model = "assistant",
                                        .provider = "openai",
                                        .host = "api.openai.com",
                                        .outcome = "done",
                                        .bytes_sent = 120,
                                        .bytes_received = 3000,
                                        .redacted = 2};

// Reads the file as lines of JSON; their number.
static int read_lines(const char *path, json_t **last)
{
    struct buf text = {0};
    struct error err;
    int n = 0;
    assert_true(file_read(path, 1 << 24, &text, &err));
    for (char *at = text.ptr, *end; at && (end = strchr(at, '\n')); at = end + 1, n++) {
        json_decref(*last);
        *last = json_parse(slice_of(at, (size_t)(end - at)), &err);
        if (!*last)
            fail_msg("line %d: %s", n + 1, err.text);
    }
    buf_release(&text);
    return n;
}

// As read_lines, once there are so many; they are written some time after they are told.
static void wait_lines(const char *path, int n, json_t **last)
{
    for (int i = 0; i < 1000 && read_lines(path, last) < n; i++)
        (void)usleep(10000);
    assert_int_equal(read_lines(path, last), n);
}

static void a_line_tells_who_got_what(void **state)
{
    char home[200], path[300];
    struct error err = {0};
    struct stat st;
    json_t *last = NULL;
    (void)state;
    assert_true(temp_home(home, sizeof home));
    struct egress *e = egress_open(NULL, &err);
    assert_non_null(e);
    assert_true(egress_begin(e, &line, &err));
    (void)snprintf(path, sizeof path, "%s/egress.log", home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(read_lines(path, &last), 1);
    assert_string_equal(json_get_text(last, "event"), "begin");
    assert_null(json_object_get(last, "outcome"));
    egress_end(e, &line);
    wait_lines(path, 2, &last);
    assert_string_equal(json_get_text(last, "event"), "end");
    assert_string_equal(json_get_text(last, "request"), "r\"1\n");
    assert_true(json_is_null(json_object_get(last, "key")));
    assert_string_equal(json_get_text(last, "model"), "assistant");
    assert_string_equal(json_get_text(last, "provider"), "openai");
    assert_string_equal(json_get_text(last, "host"), "api.openai.com");
    assert_string_equal(json_get_text(last, "outcome"), "done");
    assert_int_equal(json_integer_value(json_object_get(last, "bytes_sent")), 120);
    assert_int_equal(json_integer_value(json_object_get(last, "bytes_received")), 3000);
    assert_int_equal(json_integer_value(json_object_get(last, "redacted")), 2);
    assert_int_equal(strlen(json_get_text(last, "time")), 24);
    json_decref(last);
    egress_close(e);
    temp_remove(home);
    assert_int_equal(unsetenv("HEARTH_HOME"), 0);
}

static void no_log_was_asked_for(void **state)
{
    struct error err = {0};
    (void)state;
    struct egress *e = egress_open("", &err);
    assert_non_null(e);
    assert_true(egress_begin(e, &line, &err));
    egress_end(e, &line);
    egress_close(e);
    egress_close(NULL);
}

static void what_cannot_be_written_does_not_leave(void **state)
{
    char folder[200], path[300], moved[300];
    struct error err = {0};
    json_t *last = NULL;
    (void)state;
    assert_true(folder_new(folder, sizeof folder));
    assert_null(egress_open(folder, &err));  // a folder is no file
    assert_int_equal(err.code, ERR_IO);
    (void)snprintf(path, sizeof path, "%s/a/b/egress.log", folder);
    (void)snprintf(moved, sizeof moved, "%s/moved.log", folder);
    struct egress *e = egress_open(path, &err);
    assert_non_null(e);
    assert_true(egress_begin(e, &line, &err));
    assert_int_equal(rename(path, moved), 0);  // as who rotates logs does
    assert_true(egress_begin(e, &line, &err));
    assert_int_equal(read_lines(path, &last), 1);
    struct rlimit before, small;
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = (rlim_t)st.st_size + 20;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_false(egress_begin(e, &line, &err));  // the first 20 bytes fit
    assert_int_equal(err.code, ERR_IO);
    assert_false(egress_begin(e, &line, &err));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(egress_begin(e, &line, &err));
    struct buf text = {0};
    assert_true(file_read(path, 1 << 20, &text, &err));
    const char *whole = strrchr(buf_text(&text), '{');
    assert_non_null(whole);  // the torn line ended, and a whole one follows
    assert_true(whole[-1] == '\n');
    buf_release(&text);
    json_decref(last);
    egress_close(e);
    temp_remove(folder);
}

// What ended while the disk was full is told when there is room; what was cut, whole.
static void ends_are_kept_until_they_can_be_written(void **state)
{
    char folder[200], path[300];
    struct error err = {0};
    struct rlimit before, small;
    struct stat st;
    struct buf text = {0};
    int n = 0;
    (void)state;
    assert_true(folder_new(folder, sizeof folder));
    (void)snprintf(path, sizeof path, "%s/egress.log", folder);
    struct egress *e = egress_open(path, &err);
    assert_non_null(e);
    assert_true(egress_begin(e, &line, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    (void)signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        small.rlim_cur = (rlim_t)st.st_size + 20 * (rlim_t)i;  // nothing, then a part of a line
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        egress_end(e, &line);
        (void)usleep(50000);
        assert_false(egress_begin(e, &line, &err));
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    egress_end(e, &line);
    egress_close(e);
    assert_true(file_read(path, 1 << 20, &text, &err));
    for (char *at = text.ptr, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        json_t *whole = json_parse(slice_of(at, (size_t)(end - at)), &err);
        n += whole && strcmp(json_get_text(whole, "event"), "end") == 0;
        json_decref(whole);
    }
    assert_int_equal(n, 3);
    buf_release(&text);
    temp_remove(folder);
}

static void *write_many(void *arg)
{
    struct error err;
    for (int i = 0; i < 500; i++) {
        assert_true(egress_begin(arg, &line, &err));
        egress_end(arg, &line);
    }
    return NULL;
}

// Two logs of one file stand for two processes.
static void lines_of_many_do_not_mix(void **state)
{
    char folder[200], path[300];
    struct error err = {0};
    struct egress *logs[2];
    pthread_t threads[4];
    json_t *last = NULL;
    (void)state;
    assert_true(folder_new(folder, sizeof folder));
    (void)snprintf(path, sizeof path, "%s/egress.log", folder);
    for (int i = 0; i < 2; i++)
        assert_non_null(logs[i] = egress_open(path, &err));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, logs[i % 2]), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++)
        egress_close(logs[i]);
    assert_int_equal(read_lines(path, &last), 4000);
    json_decref(last);
    temp_remove(folder);
}

static void *write_and_drop(void *arg)
{
    (void)write_many(arg);
    egress_close(arg);
    return NULL;
}

// Whoever drops it last: all that was told is in the file then.
static void the_last_who_holds_it_writes_what_is_left(void **state)
{
    enum { N = 4 };
    char folder[200], path[300];
    struct error err = {0};
    pthread_t threads[N];
    json_t *last = NULL;
    (void)state;
    assert_true(folder_new(folder, sizeof folder));
    (void)snprintf(path, sizeof path, "%s/egress.log", folder);
    struct egress *e = egress_open(path, &err);
    assert_non_null(e);
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_drop, egress_hold(e)), 0);
    egress_close(e);
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(read_lines(path, &last), N * 1000);
    json_decref(last);
    assert_null(egress_hold(NULL));
    temp_remove(folder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_line_tells_who_got_what),
    cmocka_unit_test(no_log_was_asked_for),
    cmocka_unit_test(what_cannot_be_written_does_not_leave),
    cmocka_unit_test(ends_are_kept_until_they_can_be_written),
    cmocka_unit_test(lines_of_many_do_not_mix),
    cmocka_unit_test(the_last_who_holds_it_writes_what_is_left),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
