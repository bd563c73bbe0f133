#include "gateway/gateway.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "gateway/model_names.h"
#include "gateway/several.h"

struct gateway {
    struct provider *local;
    struct model_names *names;
    pthread_mutex_t lock;
    uint64_t next_id;  // of a request, under lock
};
struct gateway_answer {
    struct gateway *g;
    struct answer *answer;    // NULL:
    struct several *several;  // those to several prompts
};

// One account so far, so every request may share prefix pages with every other.
enum { ONLY_ACCOUNT_SALT = 1 };

struct gateway *gateway_new(struct provider *local)
{
    struct gateway *g = memory_array(struct gateway, 1);
    g->local = local;
    g->names = model_names_new();
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    model_names_free(g->names);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool gateway_add_model(struct gateway *g, const char *reference, struct error *err)
{
    return model_names_add(g->names, reference, err);
}

void gateway_follow_store(struct gateway *g)
{
    model_names_follow_store(g->names);
}

size_t gateway_n_models(const struct gateway *g)
{
    return model_names_count(g->names);
}

const char *gateway_model_id(const struct gateway *g, size_t i)
{
    const struct model_name *m = model_names_at(g->names, i);
    return m ? m->id : NULL;
}

int64_t gateway_model_created(const struct gateway *g, size_t i)
{
    const struct model_name *m = model_names_at(g->names, i);
    return m ? m->created : 0;
}

const char *gateway_model(struct gateway *g, const char *name, struct error *err)
{
    const struct model_name *m = model_names_find(g->names, name, err);
    return m ? m->id : NULL;
}

// The reference that a name stands for, or the name itself where none were added.
static bool resolve(const struct gateway *g, const char **name, struct error *err)
{
    if (!model_names_any(g->names))
        return true;
    const struct model_name *m = model_names_find(g->names, *name, err);
    if (m)
        *name = m->reference;
    return m;
}

bool gateway_describe(struct gateway *g, const char *model, struct model_info *out,
                      struct error *err)
{
    return resolve(g, &model, err) && g->local->ops->describe(g->local, model, out, err);
}

bool gateway_ready(struct gateway *g, const char *model)
{
    struct error err;
    return !resolve(g, &model, &err) || g->local->ops->ready(g->local, model);
}

bool gateway_count(struct gateway *g, const struct chat_request *req, int64_t *n, bool *exact,
                   struct error *err)
{
    struct chat_request routed = *req;
    return resolve(g, &routed.model, err) && g->local->ops->count(g->local, &routed, n, exact, err);
}

bool gateway_tokenize(struct gateway *g, const struct chat_request *req, bool plain, int32_t **ids,
                      size_t *n, struct error *err)
{
    struct chat_request routed = *req;
    return resolve(g, &routed.model, err) &&
           g->local->ops->tokenize(g->local, &routed, plain, ids, n, err);
}

bool gateway_detokenize(struct gateway *g, const char *model, const int32_t *ids, size_t n,
                        struct buf *out, struct error *err)
{
    return resolve(g, &model, err) && g->local->ops->detokenize(g->local, model, ids, n, out, err);
}

bool gateway_load(struct gateway *g, size_t i, struct provider_load *out)
{
    return g->local->ops->load(g->local, i, out);
}

struct gateway_answer *gateway_start(struct gateway *g, const struct chat_request *req,
                                     struct chat_sink sink, struct error *err)
{
    pthread_mutex_lock(&g->lock);
    struct provider_flow flow = {.share_salt = ONLY_ACCOUNT_SALT,
                                 .id = ++g->next_id,
                                 .weight = 1,
                                 .deadline_ns = req->deadline_ns};
    pthread_mutex_unlock(&g->lock);
    struct chat_request routed = *req;
    if (!resolve(g, &routed.model, err))
        return NULL;
    struct gateway_answer made = {.g = g};
    if (req->n_prompts > 1)
        made.several = several_start(g->local, &routed, flow, sink, err);
    else
        made.answer = g->local->ops->start(g->local, &routed, flow, sink, err);
    if (!made.answer && !made.several)
        return NULL;
    struct gateway_answer *a = memory_array(struct gateway_answer, 1);
    *a = made;
    return a;
}

void gateway_wait(struct gateway_answer *a)
{
    if (a->several)
        several_wait(a->several);
    else
        a->g->local->ops->wait(a->answer);
}

void gateway_cancel(struct gateway_answer *a)
{
    if (a->several)
        several_cancel(a->several);
    else
        a->g->local->ops->cancel(a->answer);
}

void gateway_resume(struct gateway_answer *a)
{
    if (a->several)
        several_resume(a->several);
    else
        a->g->local->ops->resume(a->answer);
}

void gateway_answer_free(struct gateway_answer *a)
{
    if (!a)
        return;
    if (a->answer)
        a->g->local->ops->answer_free(a->answer);
    several_free(a->several);
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
