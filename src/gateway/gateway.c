#include "gateway/gateway.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "config/config.h"
#include "gateway/impl.h"
#include "gateway/model_names.h"
#include "gateway/prices.h"
#include "gateway/vendors.h"

enum {
    RELAYS_MAX = 4096,
    CONTEXT_ASSUMED = 32768,  // of a vendor's model that no table knows
};

static bool start_relays(struct gateway *g, struct error *err)
{
    if (!g->o.remotes)
        return true;
    for (int *n = &g->n_relay_threads; *n < 1 + GATEWAY_PATIENT; ++*n)
        if (pthread_create(&g->relay_threads[*n], NULL,
                           *n == 0 ? flight_relay_main : flight_patient_main, g) != 0)
            return error_set(err, ERR_INTERNAL, "no thread can be started");
    return true;
}

// The relay first: until it has ended, the others may get something to do.
static void stop_relays(struct gateway *g)
{
    queue_close(&g->relays);
    if (g->n_relay_threads)
        pthread_join(g->relay_threads[0], NULL);
    queue_close(&g->patient);
    for (int i = 1; i < g->n_relay_threads; i++)
        pthread_join(g->relay_threads[i], NULL);
    queue_release(&g->relays);
    queue_release(&g->patient);
}

struct gateway *gateway_open(const struct gateway_options *o, struct error *err)
{
    struct gateway *g = memory_array(struct gateway, 1);
    g->o = *o;
    g->names = model_names_new();
    g->limits = limits_new();
    g->salt = hash_mix((uint64_t)time(NULL) ^ (uint64_t)clock_ns());
    queue_init(&g->relays, RELAYS_MAX);
    queue_init(&g->patient, RELAYS_MAX);
    pthread_mutex_init(&g->lock, NULL);
    g->routing = routing_new(o, NULL, err);
    if (g->routing && start_relays(g, err))
        return g;
    gateway_free(g);
    return NULL;
}

struct gateway *gateway_new(struct provider *local)
{
    return gateway_open(&(struct gateway_options){.local = local}, NULL);
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    stop_relays(g);
    routing_drop(g->routing);
    limits_free(g->limits);
    model_names_free(g->names);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool gateway_add_model(struct gateway *g, const char *reference, struct error *err)
{
    return model_names_add(g->names, reference, err);
}

bool gateway_name_routes(struct gateway *g, const struct routing *r, struct error *err)
{
    const struct config *c = r->config;
    const char *first = c ? c->default_model : NULL, *local = NULL;
    size_t n = 0, n_routes = c ? c->n_routes : 0;
    const char **ids = memory_array(const char *, n_routes + 1);
    if (first && !targets_is_route(r->targets, first) &&
        (file_exists(first) || !targets_is_vendors(r->targets, first)))
        local = first;
    else if (first)
        ids[n++] = first;
    for (size_t i = 0; i < n_routes; i++)
        if (n == 0 || strcmp(c->routes[i].name, ids[0]) != 0)
            ids[n++] = c->routes[i].name;
    bool ok = model_names_set_routes(g->names, local, ids, n, err);
    free(ids);
    return ok;
}

bool gateway_add_routes(struct gateway *g, struct error *err)
{
    return gateway_name_routes(g, g->routing, err);
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

static bool is_vendors(struct gateway *g, const char *name)
{
    struct routing *r = routing_hold(g);
    bool yes = name && targets_is_vendors(r->targets, name);
    routing_drop(r);
    return yes;
}

const char *gateway_model(struct gateway *g, const char *name, struct error *err)
{
    struct error why = {0};
    const struct model_name *m = model_names_find(g->names, name, &why);
    if (m)
        return m->id;
    if (is_vendors(g, name))
        return name;
    if (err)
        *err = why;
    return NULL;
}

bool gateway_target(struct gateway *g, const struct routing *r, const char *name, struct arena *a,
                    struct target *out, const char **asked, struct error *err)
{
    struct error why = {0};
    const struct model_name *m = NULL;
    bool named = model_names_any(g->names);
    if (named) {
        m = model_names_find(g->names, name, &why);
        if (!m && !(name && targets_is_vendors(r->targets, name))) {
            if (err)
                *err = why;
            return false;
        }
    }
    bool files = m ? !m->route : !named;
    if (!targets_find(r->targets, m ? m->reference : name, files, a, out, err))
        return false;
    *asked = m ? m->id : out->route ? out->route->name : out->candidates[0].shown;
    return true;
}

// Whether a name is one of a list with commas between, in which '*' stands for any text.
static bool fits(const char *pattern, size_t n, const char *name)
{
    const char *star = memchr(pattern, '*', n);
    if (!star)
        return strlen(name) == n && memcmp(pattern, name, n) == 0;
    size_t before = (size_t)(star - pattern);
    if (strncmp(pattern, name, before) != 0)
        return false;
    for (const char *rest = name + before;; rest++) {
        if (fits(star + 1, n - before - 1, rest))
            return true;
        if (!*rest)
            return false;
    }
}

static bool in_list(const char *list, const char *name)
{
    if (!*list)
        return true;
    while (*list) {
        size_t n = strcspn(list, ",");
        if (fits(list, n, name))
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

// A model of this machine may be listed with "local/" before its id, as it may be named.
static bool key_lists(struct gateway *g, const struct ledger_key *key, const char *id)
{
    char whole[MODEL_ID_BYTES + sizeof "local/"];
    if (in_list(key->models, id))
        return true;
    const struct model_name *m = model_names_find(g->names, id, NULL);
    (void)snprintf(whole, sizeof whole, "local/%s", id);
    return m && !m->route && in_list(key->models, whole);
}

static bool must_leave(struct gateway *g, const char *id)
{
    struct routing *r = routing_hold(g);
    bool yes = targets_must_leave(r->targets, id);
    routing_drop(r);
    return yes;
}

bool gateway_may(struct gateway *g, const struct caller *who, const char *id, struct error *err)
{
    if (!who)
        return true;
    if (who->key && !key_lists(g, who->key, id))
        return error_set(err, ERR_FORBIDDEN, "this key may not use the model '%.100s'", id);
    bool key_stays = who->key && who->key->local_only;
    if ((g->o.offline || who->local_only || key_stays) && must_leave(g, id))
        return error_set(err, ERR_FORBIDDEN, "'%.100s' is a vendor's model, and %s", id,
                         key_stays      ? "this key is local-only"
                         : g->o.offline ? "nothing may leave this machine"
                                        : "this request may not leave this machine");
    if (!who->vendors && is_vendors(g, id))
        return error_set(err, ERR_FORBIDDEN,
                         "'%.100s' is a vendor's model: that needs a route of the configuration or "
                         "--allow-vendors",
                         id);
    return true;
}

// Questions about models

static void describe_vendor(const struct prices *prices, const struct candidate *c,
                            struct model_info *out)
{
    const struct price *p = prices ? prices_find(prices, c->provider_name, c->model, NULL) : NULL;
    *out = (struct model_info){.context = CONTEXT_ASSUMED, .has_template = true};
    (void)snprintf(out->name, sizeof out->name, "%s", c->shown);
    (void)snprintf(out->description, sizeof out->description, "a model of %s", c->provider_name);
    if (!p)
        return;
    if (p->context)
        out->context = p->context;
    out->max_output = p->max_output;
    out->tools = p->tools;
    out->schema = p->schema;
    out->vision = p->vision;
}

static bool describe_one(struct gateway *g, const struct routing *r, const struct candidate *c,
                         struct model_info *out, struct error *err)
{
    if (c->local)
        return g->o.local->ops->describe(g->o.local, c->model, out, err);
    if (c->missing.code) {
        if (err)
            *err = c->missing;
        return false;
    }
    describe_vendor(r->prices, c, out);
    return true;
}

// What a name means, for the time of one question.
struct question {
    struct routing *routing;
    struct arena arena;
    struct target target;
    const char *asked;
};

static bool question_open(struct question *q, struct gateway *g, const char *model,
                          struct error *err)
{
    *q = (struct question){.routing = routing_hold(g)};
    return gateway_target(g, q->routing, model, &q->arena, &q->target, &q->asked, err);
}

static void question_close(struct question *q)
{
    arena_release(&q->arena);
    routing_drop(q->routing);
}

// Of a route: its first candidate that can be had; all that are local are loaded.
bool gateway_describe(struct gateway *g, const char *model, struct model_info *out,
                      struct error *err)
{
    struct question q;
    struct error why = {0};
    struct model_info one;
    bool ok = question_open(&q, g, model, &why), any = false;
    for (size_t i = 0; ok && i < q.target.n; i++) {
        bool had = describe_one(g, q.routing, &q.target.candidates[i], &one, &why);
        if (had && !any)
            *out = one;
        any = any || had;
    }
    if (any && q.target.route)
        (void)snprintf(out->name, sizeof out->name, "%s", q.target.route->name);
    question_close(&q);
    if (!any && err)
        *err = why;
    return any;
}

bool gateway_ready(struct gateway *g, const char *model, bool has_waited)
{
    struct question q;
    bool ready = true;
    if (question_open(&q, g, model, NULL))
        for (size_t i = 0; i < q.target.n; i++)
            ready = ready &&
                    (!q.target.candidates[i].local ||
                     g->o.local->ops->ready(g->o.local, q.target.candidates[i].model, has_waited));
    question_close(&q);
    return ready;
}

bool gateway_passes_on(struct gateway *g, const struct caller *who, const char *model)
{
    struct question q;
    if (account_has_budget(who))
        return false;
    bool ok = question_open(&q, g, model, NULL);
    for (size_t i = 0; ok && i < q.target.n; i++)
        ok = !q.target.candidates[i].local;
    question_close(&q);
    return ok;
}

bool gateway_count(struct gateway *g, const struct chat_request *req, int64_t *n, bool *exact,
                   struct error *err)
{
    struct question q;
    struct chat_request r = *req;
    bool ok = question_open(&q, g, req->model, err);
    if (ok && q.target.candidates[0].local) {
        r.model = q.target.candidates[0].model;
        r.caller = NULL;
        ok = g->o.local->ops->count(g->o.local, &r, n, exact, err);
    } else if (ok) {
        struct need need;
        need_of(req, &need);
        *n = need.tokens_guess;
        *exact = false;
    }
    question_close(&q);
    return ok;
}

// The first candidate's reference, if that is on this machine.
static bool ask_local(struct question *q, struct gateway *g, const char **model, struct error *err)
{
    if (!question_open(q, g, *model, err))
        return false;
    const struct candidate *c = &q->target.candidates[0];
    *model = c->model;
    return c->local || error_set(err, ERR_UNSUPPORTED,
                                 "'%.100s' is a vendor's: nobody tells its tokens", c->shown);
}

bool gateway_tokenize(struct gateway *g, const struct chat_request *req, bool plain, int32_t **ids,
                      size_t *n, struct error *err)
{
    struct question q;
    struct chat_request r = *req;
    r.caller = NULL;
    bool ok = ask_local(&q, g, &r.model, err) &&
              g->o.local->ops->tokenize(g->o.local, &r, plain, ids, n, err);
    question_close(&q);
    return ok;
}

bool gateway_detokenize(struct gateway *g, const char *model, const int32_t *ids, size_t n,
                        struct buf *out, struct error *err)
{
    struct question q;
    bool ok = ask_local(&q, g, &model, err) &&
              g->o.local->ops->detokenize(g->o.local, model, ids, n, out, err);
    question_close(&q);
    return ok;
}

bool gateway_load(struct gateway *g, size_t i, struct provider_load *out)
{
    return g->o.local->ops->load(g->o.local, i, out);
}

int64_t gateway_waiting(struct gateway *g)
{
    struct provider_load load;
    int64_t n = 0;
    for (size_t i = 0; gateway_load(g, i, &load); i++)
        n += load.waiting;
    return n;
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
    if (event->kind == CHAT_USAGE || event->kind == CHAT_ERROR)
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
    if (usage)
        *usage = c.usage;
    if (c.error.code)
        return error_set(err, c.error.code, "%s", c.error.text);
    if (finish)
        *finish = c.finish;
    return true;
}
