// hearth.c - the library's public interface, over the same gateway that every command uses.
#include "hearth.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "chat/chat.h"
#include "gateway/gateway.h"
#include "providers/local.h"
#include "providers/provider.h"

enum { DEFAULT_NEW_TOKENS = 256 };

struct hearth {
    struct provider *local;
    struct gateway *gateway;
    char *model;  // as the caller named it, or NULL
    int context;
};

static bool told(struct hearth_error *to, const struct error *err)
{
    if (to)
        (void)snprintf(to->text, sizeof to->text, "%s", err->text);
    return false;
}

struct hearth *hearth_open(const char *model, const struct hearth_options *options,
                           struct hearth_error *error)
{
    struct hearth *h = memory_new(1, sizeof *h);
    struct local_options o = {.threads = options ? options->threads : 0,
                              .ctx = options ? options->ctx : 0,
                              .packed = options ? options->packed : NULL};
    struct error err = {0};
    struct model_info info;
    h->model = memory_text(model);
    h->local = provider_local_new(&o, &err);
    h->gateway = h->local ? gateway_new(h->local) : NULL;
    if (!h->gateway || !gateway_describe(h->gateway, h->model, &info, &err)) {
        (void)told(error, &err);
        hearth_close(h);
        return NULL;
    }
    h->context = info.context;
    return h;
}

void hearth_close(struct hearth *h)
{
    if (!h)
        return;
    gateway_free(h->gateway);
    if (h->local)
        h->local->ops->free(h->local);
    free(h->model);
    free(h);
}

int hearth_context(const struct hearth *h)
{
    return h->context;
}

void hearth_request_init(struct hearth_request *r)
{
    *r = (struct hearth_request){.max_tokens = DEFAULT_NEW_TOKENS,
                                 .temperature = NAN,
                                 .top_p = NAN,
                                 .min_p = NAN,
                                 .top_k = -1,
                                 .seed = -1};
}

static void convert(struct chat_request *q, const struct hearth *h, const struct hearth_request *r,
                    struct arena *a)
{
    static const enum chat_role roles[] = {ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT};
    struct chat_message *messages = arena_new(a, struct chat_message, r->n_messages);
    struct slice *stops = arena_new(a, struct slice, r->n_stops);
    for (size_t i = 0; i < r->n_messages; i++)
        messages[i] = (struct chat_message){.role = roles[r->messages[i].role],
                                            .text = slice_str(r->messages[i].text)};
    for (size_t i = 0; i < r->n_stops; i++)
        stops[i] = slice_str(r->stops[i]);
    *q = (struct chat_request){.input = r->text ? INPUT_TEXT : INPUT_MESSAGES,
                               .model = h->model,
                               .messages = messages,
                               .n_messages = r->n_messages,
                               .text = slice_str(r->text),
                               .max_tokens = r->max_tokens,
                               .stream = true};
    chat_sampling_unset(&q->sampling);
    q->sampling.temperature = r->temperature;
    q->sampling.top_p = r->top_p;
    q->sampling.min_p = r->min_p;
    q->sampling.top_k = r->top_k;
    q->sampling.seed = r->seed;
    q->sampling.stops = stops;
    q->sampling.n_stops = r->n_stops;
}

// What the answer's thread tells the caller's: both under `lock`.
struct listener {
    hearth_text on_text;
    void *self;
    struct hearth_usage usage;
    struct error error;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopped, done;
};

static void tell(struct listener *l, bool *what)
{
    pthread_mutex_lock(&l->lock);
    *what = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

// Only this thread writes `stopped`, so it may read it without the lock.
static void on_event(void *self, const struct chat_event *e)
{
    struct listener *l = self;
    if (e->kind == CHAT_TEXT && !l->stopped && l->on_text) {
        if (!l->on_text(l->self, e->text.ptr, e->text.len))
            tell(l, &l->stopped);
    } else if (e->kind == CHAT_FINISH) {
        l->usage.cut = e->finish == CHAT_LENGTH;
    } else if (e->kind == CHAT_ERROR) {
        l->error = e->error;
    } else if (e->kind == CHAT_USAGE) {
        l->usage.prompt_tokens = e->usage.prompt_tokens;
        l->usage.completion_tokens = e->usage.completion_tokens;
    }
    if (e->kind == CHAT_DONE || e->kind == CHAT_ERROR)
        tell(l, &l->done);
}

static void listen_to_end(struct listener *l, struct gateway_answer *a)
{
    pthread_mutex_lock(&l->lock);
    while (!l->done && !l->stopped)
        pthread_cond_wait(&l->changed, &l->lock);
    bool stopped = l->stopped;
    pthread_mutex_unlock(&l->lock);
    if (stopped)
        gateway_cancel(a);
    gateway_wait(a);
}

bool hearth_generate(struct hearth *h, const struct hearth_request *request, hearth_text on_text,
                     void *self, struct hearth_usage *usage, struct hearth_error *error)
{
    struct arena arena = {0};
    struct chat_request q;
    struct error err = {0};
    struct listener l = {.on_text = on_text,
                         .self = self,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .changed = PTHREAD_COND_INITIALIZER};
    convert(&q, h, request, &arena);
    struct gateway_answer *a =
        gateway_start(h->gateway, &q, (struct chat_sink){.push = on_event, .self = &l}, &err);
    if (a)
        listen_to_end(&l, a);
    gateway_answer_free(a);
    arena_release(&arena);
    if (!a)
        return told(error, &err);
    if (l.error.code && !l.stopped)
        return told(error, &l.error);
    if (usage)
        *usage = l.usage;
    return true;
}

int64_t hearth_count(struct hearth *h, const struct hearth_request *request,
                     struct hearth_error *error)
{
    struct arena arena = {0};
    struct chat_request q;
    struct error err = {0};
    int64_t n = -1;
    bool exact;
    convert(&q, h, request, &arena);
    if (!gateway_count(h->gateway, &q, &n, &exact, &err)) {
        (void)told(error, &err);
        n = -1;
    }
    arena_release(&arena);
    return n;
}
