// flight_world.h - a gateway with two vendors that do as a script says, its books and its log, for
// the tests of requests on their way.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdatomic.h>
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
#include "fake_provider.h"
#include "remote_help.h"
#include "script_server.h"
#include "temp_folder.h"

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
    atomic_bool gate;   // opens for those who answer "when it opens"
    struct buf bodies;  // what the vendor got, under lock
    pthread_mutex_t lock;
};

static inline bool answer_well(struct script_talk *t)
{
    return script_begin(t, "text/event-stream") && script_chunk(t, CHUNK("good ")) &&
           script_chunk(t, CHUNK("day")) && script_chunk(t, FINISH USAGE DONE) && script_end(t);
}

static inline bool serve(void *self, struct script_talk *t)
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
    if (strcmp(w->east, "when it opens") == 0) {
        bool ok = script_begin(t, "text/event-stream") && script_chunk(t, CHUNK("good "));
        while (ok && !atomic_load(&w->gate))
            (void)usleep(1000);
        return ok && script_chunk(t, FINISH USAGE DONE) && script_end(t);
    }
    while (strcmp(w->east, "told, when it opens") == 0 && !atomic_load(&w->gate))
        (void)usleep(1000);
    if (strncmp(w->east, "told", 4) == 0)  // it is paid for, though it failed
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

static inline void write_file(const char *folder, const char *name, const char *text, char *path)
{
    (void)snprintf(path, 300, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static inline void world_config(const struct world *w, struct config *out)
{
    struct error err = {0};
    struct buf yaml = {0};
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
    if (!config_parse(yaml.ptr, yaml.len, "test.yaml", out, &err))
        fail_msg("%s", err.text);
    buf_release(&yaml);
}

static inline void open_world(struct world *w, const char *east)
{
    struct error err = {0};
    char path[300], where[320];
    *w = (struct world){.east = east};
    pthread_mutex_init(&w->lock, NULL);
    assert_true(temp_home(w->home, sizeof w->home));
    script_server_init(&w->vendor, serve, w);
    fake_provider_init(&w->local, 100000);
    w->local.words = 5;
    world_config(w, &w->config);
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

static inline void close_world(struct world *w)
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

static inline struct gateway_answer *start(struct world *w, struct asked *a, const char *model,
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
static inline bool run(struct world *w, struct asked *a, const char *model, const char *text,
                       struct error *err)
{
    struct gateway_answer *answer = start(w, a, model, text, err);
    if (!answer)
        return false;
    remote_log_wait(&a->log);
    gateway_answer_free(answer);
    return true;
}

static inline struct ledger_sum booked(struct world *w)
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
