#include "server/metrics.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "gateway/gateway.h"

static const double second_bounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5,
                                       0.75,  1,     2.5,  5,    7.5,  10,   20,   40,  80,   160};
static const double token_bounds[] = {1,   2,    5,    10,   20,    50,    100,   200,
                                      500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
enum {
    N_SECONDS = sizeof second_bounds / sizeof *second_bounds,
    N_TOKENS = sizeof token_bounds / sizeof *token_bounds
};
_Static_assert((int)N_SECONDS <= (int)BUCKETS_MAX, "every bound has a bucket");

void metrics_init(struct metrics *m)
{
    *m = (struct metrics){0};
    pthread_mutex_init(&m->lock, NULL);
}

void metrics_release(struct metrics *m)
{
    pthread_mutex_destroy(&m->lock);
}

static void add(struct histogram *h, const double *bounds, int n_bounds, double value)
{
    int i = 0;
    while (i < n_bounds && value > bounds[i])
        i++;
    h->counts[i]++;
    h->sum += value;
    h->n++;
}

void metrics_first(struct metrics *m, int64_t ns)
{
    pthread_mutex_lock(&m->lock);
    add(&m->first, second_bounds, N_SECONDS, (double)ns / 1e9);
    pthread_mutex_unlock(&m->lock);
}

void metrics_end(struct metrics *m, enum chat_finish finish, const struct chat_usage *u, int64_t ns,
                 int64_t decode_ns)
{
    pthread_mutex_lock(&m->lock);
    add(&m->total, second_bounds, N_SECONDS, (double)ns / 1e9);
    add(&m->prompt_tokens, token_bounds, N_TOKENS, (double)u->prompt_tokens);
    add(&m->new_tokens, token_bounds, N_TOKENS, (double)u->completion_tokens);
    if (u->completion_tokens > 1 && decode_ns >= 0)
        add(&m->token, second_bounds, N_SECONDS,
            (double)decode_ns / 1e9 / (double)(u->completion_tokens - 1));
    m->n_prompt += u->prompt_tokens;
    m->n_cached += u->cached_tokens;
    m->n_new += u->completion_tokens;
    m->by_finish[finish]++;
    pthread_mutex_unlock(&m->lock);
}

void metrics_status(struct metrics *m, int status)
{
    int class = status / 100;
    pthread_mutex_lock(&m->lock);
    m->by_status[class > 0 && class < 6 ? class : 5]++;
    pthread_mutex_unlock(&m->lock);
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_histogram(struct buf *out, const char *name, const char *help,
                            const struct histogram *h, const double *bounds, int n_bounds)
{
    uint64_t sum = 0;
    head(out, name, "histogram", help);
    for (int i = 0; i < n_bounds; i++) {
        sum += h->counts[i];
        buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i], sum);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, h->n, name);
    json_write_number(out, h->sum);
    buf_printf(out, "\n%s_count %" PRIu64 "\n", name, h->n);
}

static void write_number(struct buf *out, const char *name, const char *type, const char *help,
                         int64_t value)
{
    head(out, name, type, help);
    buf_printf(out, "%s %" PRId64 "\n", name, value);
}

static void write_counters(const struct metrics *m, struct buf *out)
{
    static const char *const finishes[] = {
        [CHAT_NOT_FINISHED] = "error",      [CHAT_STOP] = "stop",
        [CHAT_LENGTH] = "length",           [CHAT_TOOL_CALLS] = "tool_calls",
        [CHAT_FILTERED] = "content_filter", [CHAT_CANCELLED] = "abort"};
    write_number(out, "vllm:prompt_tokens_total", "counter", "Tokens of prompts.", m->n_prompt);
    write_number(out, "vllm:generation_tokens_total", "counter", "Tokens that were made.",
                 m->n_new);
    write_number(out, "vllm:prefix_cache_queries_total", "counter",
                 "Tokens of prompts that were looked for in the prefix cache.", m->n_prompt);
    write_number(out, "vllm:prefix_cache_hits_total", "counter",
                 "Tokens of prompts that were found there.", m->n_cached);
    head(out, "vllm:request_success_total", "counter", "Answers that came to their end.");
    for (int i = CHAT_STOP; i < CHAT_CANCELLED; i++)
        buf_printf(out, "vllm:request_success_total{finished_reason=\"%s\"} %" PRId64 "\n",
                   finishes[i], m->by_finish[i]);
    head(out, "hearth:responses_total", "counter", "Responses by the class of their status.");
    for (int i = 2; i < 6; i++)
        buf_printf(out, "hearth:responses_total{class=\"%dxx\"} %" PRId64 "\n", i, m->by_status[i]);
}

struct load_row {
    const char *name, *type, *help;
    double (*value)(const struct provider_load *l);
};

static double running(const struct provider_load *l)
{
    return (double)l->running;
}
static double waiting(const struct provider_load *l)
{
    return (double)l->waiting;
}
static double pages_used(const struct provider_load *l)
{
    return l->pages_total ? 1 - (double)l->pages_free / (double)l->pages_total : 0;
}
static double preemptions(const struct provider_load *l)
{
    return (double)l->preemptions;
}
static double steps(const struct provider_load *l)
{
    return (double)l->steps;
}
static double rows(const struct provider_load *l)
{
    return (double)l->rows;
}
static double memory(const struct provider_load *l)
{
    return (double)l->memory_bytes;
}
static double drafted(const struct provider_load *l)
{
    return (double)l->drafted_tokens;
}
static double accepted(const struct provider_load *l)
{
    return (double)l->accepted_tokens;
}

// One line for each model that is loaded.
static void write_loads(struct gateway *g, struct buf *out)
{
    static const struct load_row table[] = {
        {"vllm:num_requests_running", "gauge", "Texts that are being written.", running},
        {"vllm:num_requests_waiting", "gauge", "Texts that wait to be.", waiting},
        {"vllm:kv_cache_usage_perc", "gauge", "Share of the pages of keys and values in use.",
         pages_used},
        {"vllm:num_preemptions_total", "counter", "Texts that gave their pages up for a while.",
         preemptions},
        {"vllm:spec_decode_num_draft_tokens_total", "counter", "Tokens that were guessed ahead.",
         drafted},
        {"vllm:spec_decode_num_accepted_tokens_total", "counter", "Those that were right.",
         accepted},
        {"hearth:steps_total", "counter", "Forward passes.", steps},
        {"hearth:model_memory_bytes", "gauge", "Weights, keys and values of a loaded model.",
         memory},
        {"hearth:rows_total", "counter", "Tokens in them.", rows},
    };
    enum { LOADS_MAX = 64 };
    struct provider_load loads[LOADS_MAX];
    size_t n = 0;
    while (n < LOADS_MAX && gateway_load(g, n, &loads[n]))
        n++;
    write_number(out, "hearth:models_loaded", "gauge", "Models in memory.", (int64_t)n);
    for (size_t r = 0; n && r < sizeof table / sizeof *table; r++) {
        head(out, table[r].name, table[r].type, table[r].help);
        for (size_t i = 0; i < n; i++) {
            buf_printf(out, "%s{model_name=", table[r].name);
            json_write_text(out, slice_str(loads[i].name));  // the same escapes
            buf_text_add(out, "} ");
            json_write_number(out, table[r].value(&loads[i]));
            buf_char(out, '\n');
        }
    }
}

void metrics_write(struct metrics *m, struct gateway *g, int n_active, struct buf *out)
{
    pthread_mutex_lock(&m->lock);
    struct metrics now = *m;
    pthread_mutex_unlock(&m->lock);
    write_number(out, "hearth:requests_active", "gauge",
                 "Requests that were taken and are not answered yet.", n_active);
    write_loads(g, out);
    write_counters(&now, out);
    write_histogram(out, "vllm:time_to_first_token_seconds", "From the request to its first token.",
                    &now.first, second_bounds, N_SECONDS);
    write_histogram(out, "vllm:time_per_output_token_seconds",
                    "Mean time between the tokens of an answer.", &now.token, second_bounds,
                    N_SECONDS);
    write_histogram(out, "vllm:e2e_request_latency_seconds", "From the request to the end.",
                    &now.total, second_bounds, N_SECONDS);
    write_histogram(out, "vllm:request_prompt_tokens", "Tokens of a prompt.", &now.prompt_tokens,
                    token_bounds, N_TOKENS);
    write_histogram(out, "vllm:request_generation_tokens", "Tokens of an answer.", &now.new_tokens,
                    token_bounds, N_TOKENS);
}
