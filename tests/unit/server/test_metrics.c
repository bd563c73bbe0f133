// test_metrics.c - what Prometheus is told: series of each model, of so many and no more.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "gateway/gateway.h"
#include "server/metrics.h"

static struct metrics *made(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    assert_non_null(m);
    metrics_init(m);
    return m;
}

static void freed(struct metrics *m)
{
    metrics_release(m);
    free(m);
}

// Fails unless the line is there, once.
static void has(const struct buf *text, const char *line)
{
    char whole[256];
    (void)snprintf(whole, sizeof whole, "\n%s\n", line);
    const char *at = strstr(buf_text((struct buf *)text), whole);
    if (!at)
        fail_msg("%s is not in %s", line, buf_text((struct buf *)text));
    assert_null(strstr(at + 1, whole));
}

static void a_series_for_each_model(void **state)
{
    struct metrics *m = made();
    struct provider_load load = {.name = "idle", .running = 2};
    struct chat_usage u = {.prompt_tokens = 7, .cached_tokens = 3, .completion_tokens = 5};
    struct buf out = {0};
    (void)state;
    metrics_first(m, "a", true, 2000000);
    metrics_end(m, "a", true, CHAT_STOP, &u, 3000000000, 400000000);
    metrics_end(m, "b\"", true, CHAT_LENGTH, &u, 3000000000, -1);
    metrics_abort(m, "a", &u);
    metrics_write(m, &load, 1, 0, &out);
    static const char *const lines[] = {
        "vllm:num_requests_running{model_name=\"idle\"} 2.0",
        "vllm:prompt_tokens_total{model_name=\"a\"} 14",
        "vllm:prompt_tokens_total{model_name=\"b\\\"\"} 7",
        "vllm:prompt_tokens_total{model_name=\"idle\"} 0",
        "vllm:generation_tokens_total{model_name=\"a\"} 10",
        "vllm:prefix_cache_queries_total{model_name=\"b\\\"\"} 7",
        "vllm:prefix_cache_hits_total{model_name=\"b\\\"\"} 3",
        "vllm:request_success_total{model_name=\"a\",finished_reason=\"stop\"} 1",
        "vllm:request_success_total{model_name=\"a\",finished_reason=\"abort\"} 1",
        "vllm:request_success_total{model_name=\"idle\",finished_reason=\"length\"} 0",
        "vllm:time_to_first_token_seconds_bucket{model_name=\"a\",le=\"0.001\"} 0",
        "vllm:time_to_first_token_seconds_bucket{model_name=\"a\",le=\"0.005\"} 1",
        "vllm:time_per_output_token_seconds_sum{model_name=\"a\"} 0.1",
        "vllm:time_per_output_token_seconds_count{model_name=\"b\\\"\"} 0",
        "vllm:e2e_request_latency_seconds_bucket{model_name=\"a\",le=\"+Inf\"} 1",
        "vllm:request_prompt_tokens_count{model_name=\"a\"} 1",
        "vllm:request_generation_tokens_sum{model_name=\"b\\\"\"} 5.0",
        "# TYPE vllm:request_generation_tokens histogram",
        "hearth:responses_total{class=\"5xx\"} 0",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        has(&out, lines[i]);
    assert_null(strstr(buf_text(&out), "\"other\""));
    buf_release(&out);
    freed(m);
}

static void there_are_only_so_many(void **state)
{
    struct metrics *m = made();
    struct chat_usage u = {.prompt_tokens = 1};
    struct buf out = {0};
    char name[16];
    (void)state;
    metrics_abort(m, "any name", &u);  // which anybody may ask for
    for (int i = 0; i < METRICS_MODELS_MAX + 5; i++) {
        (void)snprintf(name, sizeof name, "m%d", i);
        metrics_end(m, name, true, CHAT_STOP, &u, 1, -1);
    }
    metrics_write(m, NULL, 0, 0, &out);
    has(&out, "vllm:prompt_tokens_total{model_name=\"m63\"} 1");
    has(&out, "vllm:prompt_tokens_total{model_name=\"other\"} 6");
    has(&out, "vllm:request_success_total{model_name=\"other\",finished_reason=\"abort\"} 1");
    assert_null(strstr(buf_text(&out), "\"m64\""));
    assert_null(strstr(buf_text(&out), "any name"));
    buf_release(&out);
    freed(m);
}

// Whoever may name vendors' models without a route can make names up, where an endpoint takes any.
static void names_of_no_list_keep_no_listed_model_out(void **state)
{
    struct metrics *m = made();
    struct provider_load load = {.name = "loaded"};
    struct chat_usage u = {.prompt_tokens = 1};
    struct buf out = {0};
    char name[32];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "any/m%d", i);
        metrics_first(m, name, false, 1);
        metrics_end(m, name, false, CHAT_STOP, &u, 1, -1);
    }
    metrics_end(m, "route", true, CHAT_STOP, &u, 1, -1);
    metrics_write(m, &load, 1, 0, &out);
    has(&out, "vllm:prompt_tokens_total{model_name=\"any/m31\"} 1");
    has(&out, "vllm:prompt_tokens_total{model_name=\"other\"} 968");
    has(&out, "vllm:prompt_tokens_total{model_name=\"route\"} 1");
    has(&out, "vllm:prompt_tokens_total{model_name=\"loaded\"} 0");
    assert_null(strstr(buf_text(&out), "any/m32"));
    buf_release(&out);
    freed(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_series_for_each_model),
    cmocka_unit_test(there_are_only_so_many),
    cmocka_unit_test(names_of_no_list_keep_no_listed_model_out),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
