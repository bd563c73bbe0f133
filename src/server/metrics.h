// metrics.h - counters and histograms of the server, in Prometheus' text form.
//
// Names are vLLM's where the meaning is the same, hearth: elsewhere. Threads: any.
// Source: docs.vllm.ai "Metrics"; prometheus.io "Exposition formats" 0.0.4.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "chat/chat.h"

struct buf;
struct provider_load;

enum { BUCKETS_MAX = 20, METRICS_MODELS_MAX = 64, METRICS_UNLISTED_MAX = 32 };
struct histogram {
    uint64_t counts[BUCKETS_MAX + 1];  // the last: above all bounds
    double sum;
    uint64_t n;
};
struct model_metrics {
    char name[128];  // the label model_name
    struct histogram first, token, total, prompt_tokens, new_tokens;
    int64_t n_prompt, n_cached, n_new;
    int64_t by_finish[CHAT_CANCELLED + 1];
};
// Each model that is loaded or has answered has series of its own, while there are so many; the
// others have those of "other" together. Names that no list has, a vendor's that a client made up
// and an endpoint took, get a part of them at most, so that they keep no listed model out.
struct metrics {
    pthread_mutex_t lock;
    struct model_metrics models[METRICS_MODELS_MAX + 1];  // the last: the others
    int n_models, n_unlisted;
    int64_t by_status[6];  // 1xx .. 5xx
};
void metrics_init(struct metrics *m);
void metrics_release(struct metrics *m);
// `model`: as the list of models calls it, if it is listed.
void metrics_first(struct metrics *m, const char *model, bool listed, int64_t ns);  // to a token
// A whole answer: ns in all, and from its first token on (negative: of several texts at once).
void metrics_end(struct metrics *m, const char *model, bool listed, enum chat_finish finish,
                 const struct chat_usage *u, int64_t ns, int64_t decode_ns);
// An answer that was cancelled, with what it took until then.
void metrics_abort(struct metrics *m, const char *model, const struct chat_usage *u);
void metrics_status(struct metrics *m, int status);
// loads [n]: the models that are loaded; n_active: requests that have been taken and not been
// answered.
void metrics_write(struct metrics *m, const struct provider_load *loads, size_t n, int n_active,
                   struct buf *out);
