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

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "gateway/caller.h"
#include "gateway/egress.h"
#include "gateway/gateway.h"
#include "gateway/prices.h"
#include "ledger/ledger.h"
#include "providers/remote.h"
#include "../../support/fake_provider.h"
#include "../../support/remote_help.h"
#include "../../support/script_server.h"
#include "../../support/temp_folder.h"

#define CHUNK(text)                                                                                \
    "data: "                                                                                       \
    "{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{"     \
    "\"content\":\"" text "\"},\"finish_reason\":null}]}\n\n"
#define FINISH                                                                                     \
    "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,"          \
    "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE                                                                                      \
    "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{"          \
    "\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":110,"                         \
    "\"prompt_tokens_details\":{\"cached_tokens\":60}}}\n\n"
#define DONE "data: [DONE]\n\n"
#define PARTS                                                                                      \
    "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{"          \
    "\"prompt_tokens\":10,\"completion_tokens\":5,"                                                \
    "\"prompt_tokens_details\":{\"cached_tokens\":1000},"                                          \
    "\"completion_tokens_details\":{\"reasoning_tokens\":999}}}\n\n"

static const char prices_text[] =
    "{\"unit\":\"usd_per_million_tokens\",\"models\":["
    "{\"provider\":\"west\",\"model\":\"m\",\"from\":\"2020-01-01\",\"source\":\"test\","
    "\"input\":2,\"output\":8,\"cache_read\":0.5,\"max_output\":1000},"
    "{\"provider\":\"north\",\"model\":\"m\",\"from\":\"2020-01-01\",\"source\":\"test\","
    "\"input\":2,\"output\":8,\"cache_read\":0.5,\"max_output\":1000},"
    "{\"provider\":\"north\",\"model\":\"cheap\",\"from\":\"2020-01-01\",\"source\":\"test\","
    "\"input\":0.2,\"output\":0.8,\"cache_read\":0.05,\"max_output\":1000}]}";

struct world {
    char home[200];
    struct fake_provider local;
    struct script_server vendor;
    struct config config;
    struct remotes *remotes;
    struct ledger *ledger;
    struct prices *prices;
    struct egress *egress;
    struct gateway *gateway;
    // What the east, north and south do: the west always answers.
    const char *east;
    struct buf bodies;  // what the vendor got, under lock
    pthread_mutex_t lock;
};

static bool answer_well(struct script_talk *t)
{
    return script_begin(t, "text/event-stream") && script_chunk(t, CHUNK("good ")) &&
           script_chunk(t, CHUNK("day")) && script_chunk(t, FINISH USAGE DONE) && script_end(t);
}

static bool serve(void *self, struct script_talk *t)
{
    struct world *w = self;
    bool is_east = strstr(buf_text(&t->head), "/east/") || strstr(buf_text(&t->head), "/north/") ||
                   strstr(buf_text(&t->head), "/south/");
    pthread_mutex_lock(&w->lock);
    buf_slice(&w->bodies, buf_view(&t->body));
    pthread_mutex_unlock(&w->lock);
    if (!is_east || strcmp(w->east, "well") == 0)
        return answer_well(t);
    if (strcmp(w->east, "500") == 0)
        return script_answer(t, 500, "application/json", "", "{\"error\":{\"message\":\"no\"}}");
    if (strcmp(w->east, "401") == 0)
        return script_answer(t, 401, "application/json", "",
                             "{\"error\":{\"message\":\"bad key\",\"code\":\"invalid_api_key\"}}");
    if (strcmp(w->east, "400") == 0)
        return script_answer(t, 400, "application/json", "",
                             "{\"error\":{\"message\":\"temperature\",\"type\":\"x\"}}");
    if (strcmp(w->east, "cut") == 0) {
        (void)(script_begin(t, "text/event-stream") && script_chunk(t, CHUNK("good ")));
        return false;
    }
    if (strtol(w->east, NULL, 10) > 0)
        return script_answer(t, (int)strtol(w->east, NULL, 10), "application/json", "",
                             "{\"error\":{\"message\":\"no\"}}");
    if (strcmp(w->east, "echo") == 0)
        return script_answer(
            t, 500, "application/json", "",
            "{\"error\":{\"message\":\"cannot read 'a secret'\",\"code\":\"secret\"}}");
    if (strcmp(w->east, "malformed") == 0)
        return script_answer(
            t, 200, "application/json", "",
            "{\"candidates\":[{\"index\":0,\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}],"
            "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":5}}");
    if (strcmp(w->east, "told") == 0)  // it is paid for, though it failed
        return script_begin(t, "text/event-stream") &&
               script_chunk(t, USAGE "data: {\"error\":{\"message\":\"no\"}}\n\n") && script_end(t);
    if (strcmp(w->east, "parts") == 0)  // that are more than the whole
        return script_begin(t, "text/event-stream") && script_chunk(t, CHUNK("good ")) &&
               script_chunk(t, FINISH PARTS DONE) && script_end(t);
    if (strcmp(w->east, "hang") == 0) {
        (void)(script_begin(t, "text/event-stream") && script_chunk(t, CHUNK("good ")) &&
               script_wait_closed(t));
        return false;
    }
    return false;
}

static void write_file(const char *folder, const char *name, const char *text, char *path)
{
    (void)snprintf(path, 300, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void open_world(struct world *w, const char *east)
{
    struct error err = {0};
    struct buf yaml = {0};
    char path[300], where[320];
    *w = (struct world){.east = east};
    pthread_mutex_init(&w->lock, NULL);
    assert_true(temp_home(w->home, sizeof w->home));
    script_server_init(&w->vendor, serve, w);
    fake_provider_init(&w->local, 100000);
    w->local.words = 5;
    buf_printf(&yaml,
               "models:\n"
               "  both: {candidates: [east/m, west/m], policy: fixed}\n"
               "  far: {candidates: [east/m, local/fake], policy: fixed, local_only: true}\n"
               "  home: {candidates: [east/m, local/fake], policy: fixed}\n"
               "  own: {candidates: [local/fake, west/m], policy: fixed}\n"
               "  dear: {candidates: [east/m], policy: fixed}\n"
               "  priced: {candidates: [north/m, west/m], policy: fixed}\n"
               "  odd: {candidates: [south/m], policy: fixed}\n"
               "  sizes: {candidates: [west/m, north/cheap, local/fake], policy: fixed}\n"
               "  rests: {candidates: [east/m, north/m], policy: fixed}\n"
               "providers:\n"
               "  east: {dialect: openai, base_urls: [\"%s/east\"], retries: 0}\n"
               "  west: {dialect: openai, base_urls: [\"%s/west\"], retries: 0}\n"
               "  north: {dialect: openai, base_urls: [\"%s/north\"], retries: 0}\n"
               "  south: {dialect: gemini, base_urls: [\"%s/south\"], retries: 0}\n"
               "redactions:\n"
               "  mail: {pattern: '[a-z]+@[a-z]+[.]example'}\n",
               w->vendor.url, w->vendor.url, w->vendor.url, w->vendor.url);
    if (!config_parse(yaml.ptr, yaml.len, "test.yaml", &w->config, &err))
        fail_msg("%s", err.text);
    buf_release(&yaml);
    write_file(w->home, "prices.json", prices_text, path);
    w->prices = prices_open(path, &err);
    (void)snprintf(where, sizeof where, "sqlite:%s/ledger.db", w->home);
    w->ledger = ledger_open(where, &err);
    w->egress = egress_open(NULL, &err);
    w->remotes = remotes_new(&err);
    assert_true(w->prices && w->ledger && w->egress && w->remotes);
    struct gateway_options o = {.local = &w->local.provider,
                                .config = &w->config,
                                .ledger = w->ledger,
                                .prices = w->prices,
                                .egress = w->egress,
                                .remotes = w->remotes};
    w->gateway = gateway_open(&o, &err);
    if (!w->gateway)
        fail_msg("%s", err.text);
}

static void close_world(struct world *w)
{
    gateway_free(w->gateway);
    remotes_free(w->remotes);
    egress_close(w->egress);
    ledger_close(w->ledger);
    prices_free(w->prices);
    config_release(&w->config);
    fake_provider_release(&w->local);
    script_server_release(&w->vendor);
    buf_release(&w->bodies);
    pthread_mutex_destroy(&w->lock);
    temp_remove(w->home);
}

struct asked {
    struct remote_ask ask;
    struct caller caller;
    struct remote_log log;
};

static struct gateway_answer *start(struct world *w, struct asked *a, const char *model,
                                    const char *text, struct error *err)
{
    remote_ask_init(&a->ask, text);
    remote_log_init(&a->log);
    a->ask.req.model = model;
    a->ask.req.stream = true;
    a->ask.req.caller = &a->caller;
    a->ask.req.max_tokens = 50;
    return gateway_start(w->gateway, &a->ask.req, remote_log_sink(&a->log), err);
}

// Starts one and waits for its end; true if it began.
static bool run(struct world *w, struct asked *a, const char *model, const char *text,
                struct error *err)
{
    struct gateway_answer *answer = start(w, a, model, text, err);
    if (!answer)
        return false;
    remote_log_wait(&a->log);
    gateway_answer_free(answer);
    return true;
}

static struct ledger_sum booked(struct world *w)
{
    struct ledger_sum *sums, sum = {0};
    struct error err = {0};
    size_t n;
    assert_true(ledger_flush(w->ledger, 20, &err));
    assert_true(ledger_usage_sum(w->ledger, LEDGER_BY_PROVIDER, 0, 0, NULL, &sums, &n, &err));
    for (size_t i = 0; i < n; i++) {
        sum.requests += sums[i].requests;
        sum.cost += sums[i].cost;
        sum.unpriced += sums[i].unpriced;
        sum.estimated += sums[i].estimated;
        sum.prompt_tokens += sums[i].prompt_tokens;
    }
    free(sums);
    return sum;
}

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

static void a_budget_needs_a_price_and_is_kept(void **state)
{
    (void)state;
    struct world w;
    struct error err = {0};
    char secret[LEDGER_SECRET_BYTES];
    struct ledger_key want = {.name = "n",
                              .budget_day = -1,
                              .budget_month = -1,
                              .budget_total = INT64_C(2000000000)};  // 0.2 cents
    struct ledger_key key;
    open_world(&w, "well");
    assert_true(ledger_key_create(w.ledger, &want, secret, &key, &err));
    struct asked dear = {.caller = {.key = &key, .vendors = true}};
    assert_false(run(&w, &dear, "east/m", "hello", &err));
    assert_int_equal(err.code, ERR_BUDGET);
    remote_log_release(&dear.log);
    int n = 0;
    for (; n < 100; n++) {
        struct asked a = {.caller = {.key = &key, .vendors = true}};
        bool ok = run(&w, &a, "both", "hello", &err);
        remote_log_release(&a.log);
        if (!ok)
            break;
    }
    assert_int_equal(err.code, ERR_BUDGET);
    struct ledger_sum sum = booked(&w);
    assert_int_equal(sum.requests, n);
    assert_true(n > 0 && sum.cost <= want.budget_total);
    close_world(&w);
}

#define PAID (40 * 2000000 + 60 * 500000 + 10 * 8000000)  // of USAGE

static void what_is_paid_for_is_booked_though_it_failed(void **state)
{
    (void)state;
    static const struct {
        const char *way, *model;
        int64_t requests, cost;
        bool good;
    } cases[] = {
        {"told", "north/m", 1, PAID, false},
        {"told", "priced", 2, 2 * PAID, true},  // each for itself
        {"close", "north/m", 1, 6 * 2000000, false},
        {"500", "north/m", 0, 0, false},
        {"500", "priced", 1, PAID, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct asked a = {.caller = {.vendors = true}};
        struct error err = {0};
        open_world(&w, cases[i].way);
        assert_true(run(&w, &a, cases[i].model, "hello", &err));
        assert_int_equal(!a.log.error.code, cases[i].good);
        struct ledger_sum sum = booked(&w);
        assert_int_equal(sum.requests, cases[i].requests);
        assert_int_equal(sum.cost, cases[i].cost);
        remote_log_release(&a.log);
        close_world(&w);
    }
}

static void no_part_of_a_usage_is_more_than_the_whole(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {.caller = {.vendors = true}};
    struct error err = {0};
    open_world(&w, "parts");
    assert_true(run(&w, &a, "north/m", "hello", &err));
    assert_int_equal(a.log.error.code, ERR_NONE);
    assert_int_equal(a.log.usage.cached_tokens, 10);
    assert_int_equal(a.log.usage.reasoning_tokens, 5);
    assert_false(a.log.usage.estimated);
    assert_int_equal(booked(&w).cost, 10 * 500000 + 5 * 8000000);
    remote_log_release(&a.log);
    close_world(&w);
}

// Attempts that failed use a budget up, too, and none passes it.
static void what_failed_and_is_paid_for_is_in_the_budget(void **state)
{
    (void)state;
    for (int64_t budget = 1000000000; budget < 1900000000; budget += 130000000) {
        struct world w;
        struct error err = {0};
        char secret[LEDGER_SECRET_BYTES];
        struct ledger_key want = {
            .name = "n", .budget_day = -1, .budget_month = -1, .budget_total = budget};
        struct ledger_key key;
        open_world(&w, "told");
        assert_true(ledger_key_create(w.ledger, &want, secret, &key, &err));
        int n = 0, n_good = 0;
        for (bool ok = true; ok && n < 100; n += ok) {
            struct asked a = {.caller = {.key = &key, .vendors = true}};
            ok = run(&w, &a, "priced", "hello", &err);
            n_good += ok && !a.log.error.code;
            if (ok && a.log.error.code)  // there was no room for the second
                assert_int_equal(a.log.error.code, ERR_UPSTREAM);
            remote_log_release(&a.log);
        }
        assert_int_equal(err.code, ERR_BUDGET);
        struct ledger_sum sum = booked(&w);
        assert_true(n_good > 0 && sum.cost <= budget);
        assert_true(sum.requests > n && sum.requests <= n + n_good);  // one that rests is not asked
        assert_int_equal(sum.cost, sum.requests * PAID);
        close_world(&w);
    }
}

static struct ledger_key new_key(struct world *w, int64_t budget)
{
    char secret[LEDGER_SECRET_BYTES];
    struct error err = {0};
    struct ledger_key key,
        want = {.name = "n", .budget_day = -1, .budget_month = -1, .budget_total = budget};
    if (!ledger_key_create(w->ledger, &want, secret, &key, &err))
        fail_msg("%s", err.text);
    return key;
}

// With 50 tokens of answer the west may cost 0.05 cents, the cheap one a tenth of it; told are
// 0.019 and 0.0019 cents.
static void who_a_budget_cannot_pay_for_is_left_out(void **state)
{
    (void)state;
    static const struct {
        int64_t budget;
        int n_vendors, n_local;
    } cases[] = {{0, 0, 4}, {100000000, 3, 1}, {520000000, 4, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct error err = {0};
        open_world(&w, "well");
        struct ledger_key key = new_key(&w, cases[i].budget);
        for (int k = 0; k < 4; k++) {
            struct asked a = {.caller = {.key = &key, .vendors = true}};
            if (!run(&w, &a, "sizes", "hello", &err))
                fail_msg("%s", err.text);
            assert_int_equal(a.log.error.code, ERR_NONE);
            remote_log_release(&a.log);
            assert_true(booked(&w).cost <= cases[i].budget);
        }
        assert_int_equal(w.vendor.n_requests, cases[i].n_vendors);
        assert_int_equal(w.local.n_started, cases[i].n_local);
        struct asked a = {.caller = {.key = &key, .vendors = true}};
        if (cases[i].budget == 0) {  // where nobody is left
            assert_false(run(&w, &a, "priced", "hello", &err));
            assert_int_equal(err.code, ERR_BUDGET);
            remote_log_release(&a.log);
        }
        close_world(&w);
    }
}

static void many_at_once_share_what_a_budget_has_left(void **state)
{
    (void)state;
    enum { N = 40 };
    for (int64_t budget = 300000000; budget < 3000000000; budget += 450000000) {
        struct world w;
        struct error err = {0};
        struct asked *all = calloc(N, sizeof *all);
        struct gateway_answer *answers[N];
        open_world(&w, "well");
        struct ledger_key key = new_key(&w, budget);
        for (int i = 0; i < N; i++) {
            all[i].caller = (struct caller){.key = &key, .vendors = true};
            answers[i] = start(&w, &all[i], "sizes", "hello", &err);
            assert_non_null(answers[i]);
        }
        for (int i = 0; i < N; i++) {
            remote_log_wait(&all[i].log);
            gateway_answer_free(answers[i]);
            assert_int_equal(all[i].log.error.code, ERR_NONE);
            remote_log_release(&all[i].log);
        }
        struct ledger_sum sum = booked(&w);
        assert_int_equal(sum.requests, N);
        assert_true(sum.cost > 0 && sum.cost <= budget);
        assert_true(w.local.n_started > 0 && w.vendor.n_requests > 0);
        free(all);
        close_world(&w);
    }
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
        cmocka_unit_test(a_budget_needs_a_price_and_is_kept),
        cmocka_unit_test(what_is_paid_for_is_booked_though_it_failed),
        cmocka_unit_test(no_part_of_a_usage_is_more_than_the_whole),
        cmocka_unit_test(what_failed_and_is_paid_for_is_in_the_budget),
        cmocka_unit_test(who_a_budget_cannot_pay_for_is_left_out),
        cmocka_unit_test(many_at_once_share_what_a_budget_has_left),
        cmocka_unit_test(several_prompts_are_one_request),
        cmocka_unit_test(many_at_once_each_end_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
