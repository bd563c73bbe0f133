// metrics.h - counters and histograms of the server, in Prometheus' text form.
//
// Names are vLLM's where the meaning is the same, hearth: elsewhere. Threads: any.
// Source: docs.vllm.ai "Metrics"; prometheus.io "Exposition formats" 0.0.4.
#pragma once
#include <pthread.h>
#include <stdint.h>

#include "chat/chat.h"

struct buf;
struct gateway;

enum { BUCKETS_MAX = 20 };
struct histogram {
    uint64_t counts[BUCKETS_MAX + 1];  // the last: above all bounds
    double sum;
    uint64_t n;
};
struct metrics {
    pthread_mutex_t lock;
    struct histogram first, token, total, prompt_tokens, new_tokens;
    int64_t n_prompt, n_cached, n_new;
    int64_t by_finish[CHAT_CANCELLED + 1];
    int64_t by_status[6];  // 1xx .. 5xx
};
void metrics_init(struct metrics *m);
void metrics_release(struct metrics *m);
void metrics_first(struct metrics *m, int64_t ns);  // to the first token
// A whole answer: ns in all, and from its first token on (negative: of several texts at once).
void metrics_end(struct metrics *m, enum chat_finish finish, const struct chat_usage *u, int64_t ns,
                 int64_t decode_ns);
void metrics_status(struct metrics *m, int status);
// n_active: requests that have been taken and not been answered.
void metrics_write(struct metrics *m, struct gateway *g, int n_active, struct buf *out);
