#include "server/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"
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

enum making { MAKE_NONE, MAKE_UNLISTED, MAKE_LISTED };

static bool has_room(const struct metrics *m, enum making make)
{
    return m->n_models < METRICS_MODELS_MAX &&
           (make == MAKE_LISTED || (make == MAKE_UNLISTED && m->n_unlisted < METRICS_UNLISTED_MAX));
}

// With the lock held: its series, which are made if there is room.
static struct model_metrics *of_model(struct metrics *m, const char *name, enum making make)
{
    struct model_metrics *other = &m->models[METRICS_MODELS_MAX];
    for (int i = 0; i < m->n_models; i++)
        if (strncmp(m->models[i].name, name, sizeof m->models[i].name - 1) == 0)
            return &m->models[i];
    if (!has_room(m, make))
        return other;
    m->n_unlisted += make == MAKE_UNLISTED;
    struct model_metrics *made = &m->models[m->n_models++];
    (void)snprintf(made->name, sizeof made->name, "%s", name);
    return made;
}

static enum making making(bool listed)
{
    return listed ? MAKE_LISTED : MAKE_UNLISTED;
}

void metrics_first(struct metrics *m, const char *model, bool listed, int64_t ns)
{
    pthread_mutex_lock(&m->lock);
    add(&of_model(m, model, making(listed))->first, second_bounds, N_SECONDS, (double)ns / 1e9);
    pthread_mutex_unlock(&m->lock);
}

static void add_tokens(struct model_metrics *m, const struct chat_usage *u)
{
    m->n_prompt += u->prompt_tokens;
    m->n_cached += u->cached_tokens;
    m->n_new += u->completion_tokens;
}

void metrics_end(struct metrics *m, const char *model, bool listed, enum chat_finish finish,
                 const struct chat_usage *u, int64_t ns, int64_t decode_ns)
{
    pthread_mutex_lock(&m->lock);
    struct model_metrics *o = of_model(m, model, making(listed));
    add(&o->total, second_bounds, N_SECONDS, (double)ns / 1e9);
    add(&o->prompt_tokens, token_bounds, N_TOKENS, (double)u->prompt_tokens);
    add(&o->new_tokens, token_bounds, N_TOKENS, (double)u->completion_tokens);
    if (u->completion_tokens > 1 && decode_ns >= 0)
        add(&o->token, second_bounds, N_SECONDS,
            (double)decode_ns / 1e9 / (double)(u->completion_tokens - 1));
    add_tokens(o, u);
    o->by_finish[finish]++;
    pthread_mutex_unlock(&m->lock);
}

// Makes no series: whoever may ask for any name of a vendor's models could fill them all.
void metrics_abort(struct metrics *m, const char *model, const struct chat_usage *u)
{
    pthread_mutex_lock(&m->lock);
    struct model_metrics *o = of_model(m, model, MAKE_NONE);
    add_tokens(o, u);
    o->by_finish[CHAT_CANCELLED]++;
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

// {model_name="NAME" without its end; the escapes of JSON are the same.
static void label(struct buf *out, const char *metric, const char *name)
{
    buf_printf(out, "%s{model_name=", metric);
    json_write_text(out, slice_str(name));
}

static void write_number(struct buf *out, const char *name, const char *type, const char *help,
                         int64_t value)
{
    head(out, name, type, help);
    buf_printf(out, "%s %" PRId64 "\n", name, value);
}

struct counter_row {
    const char *name, *help;
    size_t offset;  // of an int64_t
};
struct histogram_row {
    const char *name, *help;
    size_t offset;
    const double *bounds;
    int n_bounds;
};

static void write_counter(const struct metrics *m, const struct counter_row *row, struct buf *out)
{
    head(out, row->name, "counter", row->help);
    for (int i = 0; i < m->n_models; i++) {
        const int64_t *n = (const void *)((const char *)&m->models[i] + row->offset);
        label(out, row->name, m->models[i].name);
        buf_printf(out, "} %" PRId64 "\n", *n);
    }
}

static void write_histogram(const struct model_metrics *m, const struct histogram_row *row,
                            struct buf *out)
{
    const struct histogram *h = (const void *)((const char *)m + row->offset);
    char part[96];
    uint64_t sum = 0;
    (void)snprintf(part, sizeof part, "%s_bucket", row->name);
    for (int i = 0; i < row->n_bounds; i++) {
        sum += h->counts[i];
        label(out, part, m->name);
        buf_printf(out, ",le=\"%g\"} %" PRIu64 "\n", row->bounds[i], sum);
    }
    label(out, part, m->name);
    buf_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", h->n);
    (void)snprintf(part, sizeof part, "%s_sum", row->name);
    label(out, part, m->name);
    buf_text_add(out, "} ");
    json_write_number(out, h->sum);
    (void)snprintf(part, sizeof part, "\n%s_count", row->name);
    label(out, part, m->name);
    buf_printf(out, "} %" PRIu64 "\n", h->n);
}

static void write_finishes(const struct metrics *m, struct buf *out)
{
    static const char name[] = "vllm:request_success_total";
    static const char *const finishes[] = {
        [CHAT_NOT_FINISHED] = "error",      [CHAT_STOP] = "stop",
        [CHAT_LENGTH] = "length",           [CHAT_TOOL_CALLS] = "tool_calls",
        [CHAT_FILTERED] = "content_filter", [CHAT_CANCELLED] = "abort"};
    head(out, name, "counter", "Answers that came to their end, or were cancelled.");
    for (int i = 0; i < m->n_models; i++) {
        for (int f = CHAT_STOP; f <= CHAT_CANCELLED; f++) {
            label(out, name, m->models[i].name);
            buf_printf(out, ",finished_reason=\"%s\"} %" PRId64 "\n", finishes[f],
                       m->models[i].by_finish[f]);
        }
    }
}

static void write_models(const struct metrics *m, struct buf *out)
{
#define COUNTER(field) offsetof(struct model_metrics, field)
#define SECONDS(field) offsetof(struct model_metrics, field), second_bounds, N_SECONDS
#define TOKENS(field) offsetof(struct model_metrics, field), token_bounds, N_TOKENS
    static const struct counter_row counters[] = {
        {"vllm:prompt_tokens_total", "Tokens of prompts.", COUNTER(n_prompt)},
        {"vllm:generation_tokens_total", "Tokens that were made.", COUNTER(n_new)},
        {"vllm:prefix_cache_queries_total",
         "Tokens of prompts that were looked for in the prefix cache.", COUNTER(n_prompt)},
        {"vllm:prefix_cache_hits_total", "Tokens of prompts that were found there.",
         COUNTER(n_cached)},
    };
    static const struct histogram_row histograms[] = {
        {"vllm:time_to_first_token_seconds", "From the request to its first token.",
         SECONDS(first)},
        {"vllm:time_per_output_token_seconds", "Mean time between the tokens of an answer.",
         SECONDS(token)},
        {"vllm:e2e_request_latency_seconds", "From the request to the end.", SECONDS(total)},
        {"vllm:request_prompt_tokens", "Tokens of a prompt.", TOKENS(prompt_tokens)},
        {"vllm:request_generation_tokens", "Tokens of an answer.", TOKENS(new_tokens)},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        write_counter(m, &counters[i], out);
    write_finishes(m, out);
    for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
        head(out, histograms[i].name, "histogram", histograms[i].help);
        for (int k = 0; k < m->n_models; k++)
            write_histogram(&m->models[k], &histograms[i], out);
    }
}

static void write_statuses(const struct metrics *m, struct buf *out)
{
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
static void write_loads(const struct provider_load *loads, size_t n, struct buf *out)
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
    write_number(out, "hearth:models_loaded", "gauge", "Models in memory.", (int64_t)n);
    for (size_t r = 0; n && r < sizeof table / sizeof *table; r++) {
        head(out, table[r].name, table[r].type, table[r].help);
        for (size_t i = 0; i < n; i++) {
            label(out, table[r].name, loads[i].name);
            buf_text_add(out, "} ");
            json_write_number(out, table[r].value(&loads[i]));
            buf_char(out, '\n');
        }
    }
}

// What is now, where every model that is loaded has its series, and "other" is one of all if it has
// anything.
static struct metrics *copy_now(struct metrics *m, const struct provider_load *loads, size_t n)
{
    struct metrics *now = memory_array(struct metrics, 1);
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < n; i++)
        (void)of_model(m, loads[i].name, MAKE_LISTED);
    memcpy(now->models, m->models, sizeof now->models);
    memcpy(now->by_status, m->by_status, sizeof now->by_status);
    now->n_models = m->n_models;
    pthread_mutex_unlock(&m->lock);
    struct model_metrics *other = &now->models[METRICS_MODELS_MAX];
    (void)snprintf(other->name, sizeof other->name, "other");
    int64_t any = other->n_prompt + other->by_finish[CHAT_CANCELLED];
    if (any || other->total.n || other->first.n)
        now->models[now->n_models++] = *other;
    return now;
}

void metrics_write(struct metrics *m, const struct provider_load *loads, size_t n, int n_active,
                   struct buf *out)
{
    struct metrics *now = copy_now(m, loads, n);
    write_number(out, "hearth:requests_active", "gauge",
                 "Requests that were taken and are not answered yet.", n_active);
    write_loads(loads, n, out);
    write_models(now, out);
    write_statuses(now, out);
    free(now);
}
