#include "gateway/gateway.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"

struct gateway {
    struct provider *local;
    pthread_mutex_t lock;
    uint64_t next_id;  // of a request, under lock
};
struct gateway_answer {
    struct gateway *g;
    struct answer *answer;
};

// One account so far, so every request may share prefix pages with every other.
enum { ONLY_ACCOUNT_SALT = 1 };

struct gateway *gateway_new(struct provider *local)
{
    struct gateway *g = memory_array(struct gateway, 1);
    g->local = local;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool gateway_describe(struct gateway *g, const char *model, struct model_info *out,
                      struct error *err)
{
    return g->local->ops->describe(g->local, model, out, err);
}

bool gateway_count(struct gateway *g, const struct chat_request *req, int64_t *n, bool *exact,
                   struct error *err)
{
    return g->local->ops->count(g->local, req, n, exact, err);
}

struct gateway_answer *gateway_start(struct gateway *g, const struct chat_request *req,
                                     struct chat_sink sink, struct error *err)
{
    pthread_mutex_lock(&g->lock);
    struct provider_flow flow = {.share_salt = ONLY_ACCOUNT_SALT, .id = ++g->next_id, .weight = 1};
    pthread_mutex_unlock(&g->lock);
    struct answer *answer = g->local->ops->start(g->local, req, flow, sink, err);
    if (!answer)
        return NULL;
    struct gateway_answer *a = memory_array(struct gateway_answer, 1);
    a->g = g;
    a->answer = answer;
    return a;
}

void gateway_wait(struct gateway_answer *a)
{
    a->g->local->ops->wait(a->answer);
}

void gateway_cancel(struct gateway_answer *a)
{
    a->g->local->ops->cancel(a->answer);
}

void gateway_answer_free(struct gateway_answer *a)
{
    if (!a)
        return;
    a->g->local->ops->answer_free(a->answer);
    free(a);
}

struct collected {
    struct buf *text;
    enum chat_finish finish;
    struct chat_usage usage;
    struct error error;
};

static void collect(void *self, const struct chat_event *event)
{
    struct collected *c = self;
    if (event->kind == CHAT_ERROR)
        c->error = event->error;
    if (event->kind == CHAT_USAGE)
        c->usage = event->usage;
    if (event->choice != 0)
        return;
    if (event->kind == CHAT_TEXT)
        buf_slice(c->text, event->text);
    if (event->kind == CHAT_FINISH)
        c->finish = event->finish;
}

bool gateway_ask(struct gateway *g, const struct chat_request *req, struct buf *text,
                 enum chat_finish *finish, struct chat_usage *usage, struct error *err)
{
    struct collected c = {.text = text, .usage = {.cost_picousd = -1}};
    struct gateway_answer *a =
        gateway_start(g, req, (struct chat_sink){.push = collect, .self = &c}, err);
    if (!a)
        return false;
    gateway_wait(a);
    gateway_answer_free(a);
    if (c.error.code)
        return error_set(err, c.error.code, "%s", c.error.text);
    if (finish)
        *finish = c.finish;
    if (usage)
        *usage = c.usage;
    return true;
}
