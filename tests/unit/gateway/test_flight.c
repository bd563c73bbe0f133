// test_flight.c - requests over routes of vendors that do as a script says: fallback, cancelling,
// privacy, and what the books say afterwards.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../support/flight_world.h"
#include "base/mapping.h"

static void what_fails_before_it_answers_goes_to_the_next(void **state)
{
    (void)state;
    static const char *const ways[] = {"500", "401", "close"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct world w;
        struct asked a = {0};
        struct error err = {0};
        open_world(&w, ways[i]);
        assert_true(run(&w, &a, "both", "hello", &err));
        assert_int_equal(a.log.error.code, ERR_NONE);
        assert_non_null(strstr(buf_text(&a.log.text), "good "));
        // 40 tokens at 2 dollars a million, 60 at 0.5, 10 at 8
        assert_int_equal(a.log.usage.cost_picousd, 40 * 2000000 + 60 * 500000 + 10 * 8000000);
        // Who was cut off may have been at work, at a price that nobody knows.
        struct ledger_sum sum = booked(&w);
        assert_int_equal(sum.unpriced, strcmp(ways[i], "close") == 0);
        assert_int_equal(sum.requests, 1 + sum.unpriced);
        assert_int_equal(sum.cost, a.log.usage.cost_picousd);
        remote_log_release(&a.log);
        close_world(&w);
    }
}

// A queue that was full thrice is no failure of who has it: with room again it is the first again.
static void who_was_not_asked_has_not_failed(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "well");
    w.local.most_allowed = 1;
    w.local.n_running = 1;  // somebody else's
    for (int i = 0; i < 5; i++) {
        struct asked a = {0};
        struct error err = {0};
        assert_true(run(&w, &a, "own", "hello", &err));
        assert_int_equal(a.log.error.code, ERR_NONE);
        remote_log_release(&a.log);
        if (i == 2)
            w.local.n_running = 0;
    }
    assert_int_equal(w.vendor.n_requests, 3);
    assert_int_equal(w.local.n_started, 2);
    close_world(&w);
}

// What one client's requests bring about is told to that client, and keeps nobody else out.
static void only_its_own_failures_make_a_vendor_rest(void **state)
{
    (void)state;
    static const struct {
        const char *way, *model;
        enum error_code code;
        bool rests;
    } cases[] = {{"400", "dear", ERR_USAGE, false},         {"404", "dear", ERR_NOT_FOUND, false},
                 {"409", "dear", ERR_UPSTREAM, false},      {"413", "dear", ERR_USAGE, false},
                 {"422", "dear", ERR_USAGE, false},         {"429", "dear", ERR_RATE, false},
                 {"malformed", "odd", ERR_UPSTREAM, false}, {"500", "dear", ERR_UPSTREAM, true},
                 {"401", "dear", ERR_UPSTREAM, true},       {"402", "dear", ERR_UPSTREAM, true},
                 {"close", "dear", ERR_UPSTREAM, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        open_world(&w, cases[i].way);
        for (int k = 0; k < 6; k++) {
            struct asked a = {.caller = {.vendors = true}};
            struct error err = {0};
            bool ok = run(&w, &a, cases[i].model, "hello", &err);
            assert_int_equal(ok, !cases[i].rests || k < 3);
            assert_int_equal(ok ? a.log.error.code : err.code, ok ? cases[i].code : ERR_BUSY);
            remote_log_release(&a.log);
        }
        close_world(&w);
    }
}

// A vendor may repeat what it was asked, and the program's log has no texts.
static void the_log_has_no_words_of_a_vendors(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {.caller = {.vendors = true}};
    struct error err = {0};
    char text[2000] = "", path[300];
    open_world(&w, "echo");
    write_file(w.home, "log", "", path);
    int was = dup(STDERR_FILENO), log = open(path, O_RDWR | O_CLOEXEC);
    assert_true(was >= 0 && log >= 0 && dup2(log, STDERR_FILENO) >= 0);
    log_set_level(LOG_DEBUG);
    bool ok = run(&w, &a, "both", "a secret", &err);
    log_set_level(LOG_WARN);
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    assert_true(ok && pread(log, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "east/m: it failed, or gave no answer (status 500)"));
    assert_null(strstr(text, "secret"));
    assert_int_equal(close(log) | close(was), 0);
    remote_log_release(&a.log);
    close_world(&w);
}

// The next candidate was not asked, so that what the first said is the answer.
static void what_a_vendor_said_is_told_where_no_other_is_asked(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "500");
    for (int i = 0; i < 5; i++) {  // its endpoint rests, but no route knows
        struct asked a = {.caller = {.vendors = true}};
        struct error err = {0};
        assert_true(run(&w, &a, "north/m", "hello", &err));
        remote_log_release(&a.log);
    }
    w.east = "404";
    struct asked a = {.caller = {.vendors = true}};
    struct error err = {0};
    assert_true(run(&w, &a, "rests", "hello", &err));
    assert_int_equal(a.log.error.code, ERR_NOT_FOUND);
    remote_log_release(&a.log);
    close_world(&w);
}

static void the_clients_own_fault_is_asked_of_nobody_else(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {0};
    struct error err = {0};
    open_world(&w, "400");
    assert_true(run(&w, &a, "both", "hello", &err));
    assert_int_equal(a.log.error.code, ERR_USAGE);
    assert_int_equal(w.vendor.n_requests, 1);
    assert_int_equal(booked(&w).requests, 0);
    remote_log_release(&a.log);
    close_world(&w);
}

static void after_output_there_is_no_other_and_it_is_billed_as_an_estimate(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {0};
    struct error err = {0};
    open_world(&w, "cut");
    assert_true(run(&w, &a, "both", "hello", &err));
    assert_int_equal(a.log.error.code, ERR_UPSTREAM);
    assert_non_null(strstr(buf_text(&a.log.text), "good "));
    assert_int_equal(w.vendor.n_requests, 1);
    assert_true(a.log.usage.estimated && a.log.usage.completion_tokens > 0);
    struct ledger_sum sum = booked(&w);
    assert_int_equal(sum.requests, 1);
    assert_int_equal(sum.estimated, 1);
    assert_int_equal(sum.unpriced, 1);  // the east has no price
    remote_log_release(&a.log);
    close_world(&w);
}

// The log of what left, once n attempts have ended in it.
static void read_egress(struct world *w, int n, struct buf *out)
{
    char path[300];
    int seen = 0;
    (void)snprintf(path, sizeof path, "%s/egress.log", w->home);
    while (seen < n) {
        char line[1000];
        script_pause(5);
        seen = 0;
        buf_clear(out);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof line, f)) {
            seen += strstr(line, "\"event\":\"end\"") != NULL;
            buf_text_add(out, line);
        }
        if (f)
            assert_int_equal(fclose(f), 0);
    }
}

// What its lines say was sent, in all.
static int64_t bytes_in(const char *egress)
{
    static const char word[] = "\"bytes_sent\":";
    int64_t sum = 0;
    while ((egress = strstr(egress, word))) {
        egress += sizeof word - 1;
        sum += strtoll(egress, NULL, 10);
    }
    return sum;
}

static void the_log_of_what_leaves_has_the_bytes_of_what_failed(void **state)
{
    (void)state;
    static const struct {
        const char *way, *model;
        int n;  // attempts
        bool good;
    } cases[] = {{"500", "dear", 1, false},  {"400", "both", 1, false}, {"401", "both", 2, true},
                 {"close", "both", 2, true}, {"cut", "both", 1, false}, {"500", "both", 2, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct asked a = {0};
        struct error err = {0};
        struct buf log = {0};
        open_world(&w, cases[i].way);
        assert_true(run(&w, &a, cases[i].model, "hello", &err));
        assert_int_equal(!a.log.error.code, cases[i].good);
        read_egress(&w, cases[i].n, &log);
        assert_true(w.bodies.len > 0);
        assert_int_equal(bytes_in(buf_text(&log)), w.bodies.len);
        if (!cases[i].good)
            assert_int_equal(a.log.usage.bytes_sent, w.bodies.len);
        buf_release(&log);
        remote_log_release(&a.log);
        close_world(&w);
    }
}

static void a_vendor_that_fails_gives_way_to_this_machine(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {0};
    struct error err = {0};
    open_world(&w, "500");
    assert_true(run(&w, &a, "home", "One two three four. Five six.", &err));
    assert_int_equal(a.log.error.code, ERR_NONE);
    assert_int_equal(w.local.n_started, 1);
    assert_int_equal(a.log.usage.cost_picousd, 0);
    assert_int_equal(booked(&w).requests, 1);
    remote_log_release(&a.log);
    close_world(&w);
}

static void a_cancel_reaches_the_vendor(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {0};
    struct error err = {0};
    open_world(&w, "hang");
    struct gateway_answer *answer = start(&w, &a, "both", "hello", &err);
    assert_non_null(answer);
    remote_log_wait_events(&a.log, 1);
    gateway_cancel(answer);
    remote_log_wait(&a.log);
    assert_non_null(strstr(buf_text(&a.log.text), "cancelled"));
    gateway_answer_free(answer);
    assert_int_equal(booked(&w).estimated, 1);
    struct buf log = {0};
    read_egress(&w, 1, &log);
    assert_non_null(strstr(buf_text(&log), "\"outcome\":\"cancelled\""));
    buf_release(&log);
    remote_log_release(&a.log);
    close_world(&w);
}

static void what_may_not_leave_does_not(void **state)
{
    (void)state;
    struct world w;
    struct error err = {0};
    open_world(&w, "well");
    struct ledger_key key = {
        .number = 7, .budget_day = -1, .budget_month = -1, .budget_total = -1, .local_only = true};
    struct {
        const char *model;
        struct caller caller;
    } asks[] = {{"both", {.local_only = true}},
                {"both", {.key = &key, .vendors = true}},
                {"east/m", {.local_only = true}}};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        struct asked a = {.caller = asks[i].caller};
        assert_false(run(&w, &a, asks[i].model, "hello", &err));
        assert_int_equal(err.code, ERR_FORBIDDEN);
        remote_log_release(&a.log);
    }
    static const char *const models[] = {"home", "far"};  // one by its caller, one by its route
    for (size_t i = 0; i < 2; i++) {
        struct asked a = {.caller = {.local_only = i == 0, .vendors = true}};
        if (!run(&w, &a, models[i], "One two three four.", &err))
            fail_msg("%s", err.text);
        assert_int_equal(a.log.error.code, ERR_NONE);
        remote_log_release(&a.log);
    }
    assert_int_equal(w.vendor.n_requests, 0);
    close_world(&w);
}

static void what_leaves_is_redacted_and_comes_back_whole(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {0};
    struct error err = {0};
    open_world(&w, "well");
    assert_true(run(&w, &a, "both", "write to anna@home.example please", &err));
    assert_null(strstr(buf_text(&w.bodies), "anna@home"));
    assert_non_null(strstr(buf_text(&w.bodies), "write to "));
    remote_log_release(&a.log);
    close_world(&w);
}

static void several_prompts_are_one_request(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {0};
    struct error err = {0};
    struct chat_prompt prompts[3];
    open_world(&w, "500");
    for (size_t i = 0; i < 3; i++)
        prompts[i] = (struct chat_prompt){.input = INPUT_TEXT, .text = slice_str("One two three.")};
    remote_ask_init(&a.ask, "");
    remote_log_init(&a.log);
    a.ask.req.model = "home";
    a.ask.req.prompts = prompts;
    a.ask.req.n_prompts = 3;
    struct gateway_answer *answer =
        gateway_start(w.gateway, &a.ask.req, remote_log_sink(&a.log), &err);
    assert_non_null(answer);
    remote_log_wait(&a.log);
    gateway_answer_free(answer);
    assert_int_equal(a.log.error.code, ERR_NONE);
    assert_int_equal(w.local.n_started, 3);
    assert_int_equal(booked(&w).requests, 1);
    remote_log_release(&a.log);
    close_world(&w);
}

// Requests that fall back, are cut and are cancelled at any moment, all at once: each ends once.
static void many_at_once_each_end_once(void **state)
{
    (void)state;
    enum { N = 60 };
    static const char *const ways[] = {"500", "cut", "well"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct world w;
        struct error err = {0};
        struct asked *all = calloc(N, sizeof *all);
        struct gateway_answer *answers[N];
        int n_ended = 0;
        open_world(&w, ways[i]);
        for (int k = 0; k < N; k++) {
            answers[k] = start(&w, &all[k], "both", "hello", &err);
            assert_non_null(answers[k]);
            if (k % 3 == 0)
                gateway_cancel(answers[k]);
            if (k % 5 == 0)
                gateway_resume(answers[k]);
        }
        for (int k = 0; k < N; k++) {
            if (k % 7 == 0)
                gateway_cancel(answers[k]);
            remote_log_wait(&all[k].log);
            gateway_answer_free(answers[k]);
            n_ended += all[k].log.closed;
            if (k % 3 && strcmp(ways[i], "cut") != 0 && k % 7)
                assert_int_equal(all[k].log.error.code, ERR_NONE);
            remote_log_release(&all[k].log);
        }
        assert_int_equal(n_ended, N);
        free(all);
        close_world(&w);
    }
}

static size_t n_lines(const struct world *w, const char *name)
{
    char path[300];
    struct buf text = {0};
    struct error err = {0};
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", w->home, name);
    assert_true(file_read(path, 1 << 20, &text, &err));
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    buf_release(&text);
    return n;
}

// The same configuration, all prices ten times as high, and another log.
static void reload(struct world *w, const char *log)
{
    static const char dear[] = "{\"unit\":\"usd_per_million_tokens\",\"models\":["
                               "{\"provider\":\"north\",\"model\":\"m\",\"from\":"
                               "\"2020-01-01\",\"source\":\"test\",\"input\":20,"
                               "\"output\":80,\"cache_read\":5,\"max_output\":1000}]}";
    char path[300];
    struct error err = {0};
    struct config c;
    write_file(w->home, "dear.json", dear, path);
    world_config(w, &c);
    struct prices *prices = prices_open(path, &err);
    (void)snprintf(path, sizeof path, "%s/%s", w->home, log);
    struct egress *egress = egress_open(path, &err);
    assert_true(prices && egress && gateway_reload(w->gateway, &c, prices, egress, &err));
    prices_free(prices);
    egress_close(egress);
}

// Settled by the prices that were reserved by, and told where its beginning is.
static void a_reload_changes_nothing_for_what_runs(void **state)
{
    enum { N = 16, COST = 40 * 2000000 + 60 * 500000 + 10 * 8000000 };
    (void)state;
    struct world w;
    struct error err = {0};
    struct asked *all = calloc(N + 1, sizeof *all), *late = &all[N];
    struct gateway_answer *answers[N];
    open_world(&w, "when it opens");
    prices_free(w.prices);  // the gateway has what it was opened with
    egress_close(w.egress);
    w.prices = NULL;
    w.egress = NULL;
    for (int i = 0; i < N; i++) {
        all[i].caller.vendors = true;
        assert_non_null(answers[i] = start(&w, &all[i], "north/m", "hello", &err));
    }
    for (int i = 0; i < N; i++)
        remote_log_wait_events(&all[i].log, 1);
    reload(&w, "next.log");
    atomic_store(&w.gate, true);
    late->caller.vendors = true;
    assert_true(run(&w, late, "north/m", "hello", &err));
    assert_int_equal(late->log.usage.cost_picousd, 10 * COST);
    remote_log_release(&late->log);
    reload(&w, "last.log");  // while they end
    for (int i = 0; i < N; i++) {
        remote_log_wait(&all[i].log);
        gateway_answer_free(answers[i]);
        assert_int_equal(all[i].log.usage.cost_picousd, COST);
        remote_log_release(&all[i].log);
    }
    assert_int_equal(booked(&w).cost, (N + 10) * (int64_t)COST);
    // Nobody holds the first two any more, so that they are whole.
    assert_int_equal(n_lines(&w, "egress.log"), 2 * N);
    assert_int_equal(n_lines(&w, "next.log"), 2);
    assert_int_equal(n_lines(&w, "last.log"), 0);
    free(all);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_before_it_answers_goes_to_the_next),
        cmocka_unit_test(who_was_not_asked_has_not_failed),
        cmocka_unit_test(only_its_own_failures_make_a_vendor_rest),
        cmocka_unit_test(what_a_vendor_said_is_told_where_no_other_is_asked),
        cmocka_unit_test(the_log_has_no_words_of_a_vendors),
        cmocka_unit_test(the_clients_own_fault_is_asked_of_nobody_else),
        cmocka_unit_test(after_output_there_is_no_other_and_it_is_billed_as_an_estimate),
        cmocka_unit_test(the_log_of_what_leaves_has_the_bytes_of_what_failed),
        cmocka_unit_test(a_vendor_that_fails_gives_way_to_this_machine),
        cmocka_unit_test(a_cancel_reaches_the_vendor),
        cmocka_unit_test(what_may_not_leave_does_not),
        cmocka_unit_test(what_leaves_is_redacted_and_comes_back_whole),
        cmocka_unit_test(several_prompts_are_one_request),
        cmocka_unit_test(many_at_once_each_end_once),
        cmocka_unit_test(a_reload_changes_nothing_for_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
