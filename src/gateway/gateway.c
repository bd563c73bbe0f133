#include "gateway/gateway.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
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

static bool start_relay(struct gateway *g, struct error *err)
{
    if (!g->o.remotes)
        return true;
    g->relaying = pthread_create(&g->relay, NULL, flight_relay_main, g) == 0;
    return g->relaying || error_set(err, ERR_INTERNAL, "no thread can be started");
}

struct gateway *gateway_open(const struct gateway_options *o, struct error *err)
{
    struct gateway *g = memory_array(struct gateway, 1);
    const struct config *c = o->config;
    g->o = *o;
    g->names = model_names_new();
    g->limits = limits_new();
    g->router = router_new();
    g->vendors = vendors_new(o->offline ? NULL : o->remotes, c);
    g->targets = targets_new(g->vendors, c);
    g->salt = hash_mix((uint64_t)time(NULL) ^ (uint64_t)clock_ns());
    queue_init(&g->relays, RELAYS_MAX);
    if (targets_routes(g->targets, o->local, g->router, err) &&
        (!c || redaction_rules_new(c->redactions, c->n_redactions, &g->rules, err)) &&
        start_relay(g, err))
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
    queue_close(&g->relays);
    if (g->relaying)
        pthread_join(g->relay, NULL);
    queue_release(&g->relays);
    redaction_rules_free(g->rules);
    router_free(g->router);
    targets_free(g->targets);
    vendors_free(g->vendors);
    limits_free(g->limits);
    model_names_free(g->names);
    free(g);
}

bool gateway_add_model(struct gateway *g, const char *reference, struct error *err)
{
    return model_names_add(g->names, reference, err);
}

bool gateway_add_routes(struct gateway *g, struct error *err)
{
    const struct config *c = g->o.config;
    const char *first = c ? c->default_model : NULL;
    if (first && targets_is_route(g->targets, first) &&
        !model_names_add_route(g->names, first, err))
        return false;
    for (size_t i = 0; c && i < c->n_routes; i++)
        if ((!first || strcmp(c->routes[i].name, first) != 0) &&
            !model_names_add_route(g->names, c->routes[i].name, err))
            return false;
    return true;
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
    struct error why = {0};
    const struct model_name *m = model_names_find(g->names, name, &why);
    if (m)
        return m->id;
    if (targets_is_vendors(g->targets, name))
        return name;
    if (err)
        *err = why;
    return NULL;
}

bool gateway_target(struct gateway *g, const char *name, struct arena *a, struct target *out,
                    const char **asked, struct error *err)
{
    struct error why = {0};
    const struct model_name *m = NULL;
    if (model_names_any(g->names)) {
        m = model_names_find(g->names, name, &why);
        if (!m && !targets_is_vendors(g->targets, name)) {
            if (err)
                *err = why;
            return false;
        }
    }
    if (!targets_find(g->targets, m ? m->reference : name, a, out, err))
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

bool gateway_may(struct gateway *g, const struct caller *who, const char *id, struct error *err)
{
    if (!who)
        return true;
    if (who->key && !in_list(who->key->models, id))
        return error_set(err, ERR_FORBIDDEN, "this key may not use the model '%.100s'", id);
    if (!who->vendors && targets_is_vendors(g->targets, id))
        return error_set(err, ERR_FORBIDDEN,
                         "'%.100s' is a vendor's model: that needs a route of the configuration or "
                         "--allow-vendors",
                         id);
    return true;
}

// Questions about models

static void describe_vendor(const struct gateway *g, const struct candidate *c,
                            struct model_info *out)
{
    const struct price *p =
        g->o.prices ? prices_find(g->o.prices, c->provider_name, c->model, NULL) : NULL;
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

static bool describe_one(struct gateway *g, const struct candidate *c, struct model_info *out,
                         struct error *err)
{
    if (c->local)
        return g->o.local->ops->describe(g->o.local, c->model, out, err);
    if (c->missing.code) {
        if (err)
            *err = c->missing;
        return false;
    }
    describe_vendor(g, c, out);
    return true;
}

// Of a route: its first candidate that can be had; all that are local are loaded.
bool gateway_describe(struct gateway *g, const char *model, struct model_info *out,
                      struct error *err)
{
    struct arena a = {0};
    struct target t;
    struct error why = {0};
    struct model_info one;
    const char *asked;
    bool ok = gateway_target(g, model, &a, &t, &asked, &why), any = false;
    for (size_t i = 0; ok && i < t.n; i++) {
        bool had = describe_one(g, &t.candidates[i], &one, &why);
        if (had && !any)
            *out = one;
        any = any || had;
    }
    if (any && t.route)
        (void)snprintf(out->name, sizeof out->name, "%s", t.route->name);
    arena_release(&a);
    if (!any && err)
        *err = why;
    return any;
}

bool gateway_ready(struct gateway *g, const char *model)
{
    struct arena a = {0};
    struct target t;
    const char *asked;
    bool ready = true;
    if (gateway_target(g, model, &a, &t, &asked, NULL))
        for (size_t i = 0; i < t.n; i++)
            ready = ready && (!t.candidates[i].local ||
                              g->o.local->ops->ready(g->o.local, t.candidates[i].model));
    arena_release(&a);
    return ready;
}

bool gateway_count(struct gateway *g, const struct chat_request *req, int64_t *n, bool *exact,
                   struct error *err)
{
    struct arena a = {0};
    struct target t;
    struct chat_request q = *req;
    const char *asked;
    bool ok = gateway_target(g, req->model, &a, &t, &asked, err);
    if (ok && t.candidates[0].local) {
        q.model = t.candidates[0].model;
        q.caller = NULL;
        ok = g->o.local->ops->count(g->o.local, &q, n, exact, err);
    } else if (ok) {
        struct need need;
        need_of(req, &need);
        *n = need.tokens_guess;
        *exact = false;
    }
    arena_release(&a);
    return ok;
}

// The reference of the first candidate, if that is on this machine; in the arena.
static bool local_reference(struct gateway *g, const char *model, struct arena *a, const char **out,
                            struct error *err)
{
    struct target t;
    const char *asked;
    if (!gateway_target(g, model, a, &t, &asked, err))
        return false;
    *out = t.candidates[0].model;
    return t.candidates[0].local ||
           error_set(err, ERR_UNSUPPORTED, "'%.100s' is a vendor's: nobody tells its tokens",
                     t.candidates[0].shown);
}

bool gateway_tokenize(struct gateway *g, const struct chat_request *req, bool plain, int32_t **ids,
                      size_t *n, struct error *err)
{
    struct arena a = {0};
    struct chat_request q = *req;
    q.caller = NULL;
    bool ok = local_reference(g, req->model, &a, &q.model, err) &&
              g->o.local->ops->tokenize(g->o.local, &q, plain, ids, n, err);
    arena_release(&a);
    return ok;
}

bool gateway_detokenize(struct gateway *g, const char *model, const int32_t *ids, size_t n,
                        struct buf *out, struct error *err)
{
    struct arena a = {0};
    bool ok = local_reference(g, model, &a, &model, err) &&
              g->o.local->ops->detokenize(g->o.local, model, ids, n, out, err);
    arena_release(&a);
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
