// routes.c - what is answered without an answer of a model: health, metrics, lists of models.
#include <string.h>

#include "base/error.h"
#include "gateway/gateway.h"
#include "server/impl.h"

static void health(struct exchange *x)
{
    static const char *const bodies[] = {[SERVER_STARTING] = "{\"status\":\"starting\"}",
                                         [SERVER_READY] = "{\"status\":\"ready\"}",
                                         [SERVER_DRAINING] = "{\"status\":\"draining\"}"};
    int state = atomic_load(&x->server->state);
    exchange_reply(x, state == SERVER_READY ? 200 : 503, "application/json",
                   slice_str(bodies[state]));
}

static void metrics(struct exchange *x)
{
    enum { LOADS_MAX = 64 };
    struct server *s = x->server;
    struct provider_load loads[LOADS_MAX];
    struct buf body = {0};
    size_t n = 0;
    while (n < LOADS_MAX && gateway_load(s->gateway, n, &loads[n]))
        n++;
    pthread_mutex_lock(&s->lock);
    int n_active = s->n_active;
    pthread_mutex_unlock(&s->lock);
    metrics_write(&s->metrics, loads, n, n_active, &body);
    exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&body));
    buf_release(&body);
}

static const struct own_route routes[] = {
    {"GET", "/health", ROUTE_AT_ONCE, ACCESS_OPEN, health},
    {"GET", "/metrics", ROUTE_AT_ONCE, ACCESS_METRICS, metrics},
    {"GET", "/v1/hearth/state", ROUTE_AT_ONCE, ACCESS_KEY, routes_state},
    {"POST", "/tokenize", ROUTE_WORK, ACCESS_KEY, routes_tokenize},
    {"POST", "/detokenize", ROUTE_WORK, ACCESS_KEY, routes_detokenize},
    {"POST", "/v1/summaries", ROUTE_LONG, ACCESS_KEY, routes_summaries},
    {"POST", "/admin/keys", ROUTE_LONG, ACCESS_ADMIN, routes_admin_create},
    {"GET", "/admin/keys", ROUTE_LONG_BARE, ACCESS_ADMIN, routes_admin_keys},
    {"DELETE", "/admin/keys/*", ROUTE_LONG_BARE, ACCESS_ADMIN, routes_admin_revoke},
    {"GET", "/admin/usage", ROUTE_LONG_BARE, ACCESS_ADMIN, routes_admin_usage},
    {"GET", "/admin/health", ROUTE_LONG_BARE, ACCESS_ADMIN, routes_admin_health},
};

static bool fits(const char *pattern, const char *path, struct slice *matched)
{
    size_t n = strlen(pattern);
    *matched = slice_of(path, 0);
    if (pattern[n - 1] != '*')
        return strcmp(pattern, path) == 0;
    *matched = slice_str(path + (strncmp(pattern, path, n - 1) == 0 ? n - 1 : strlen(path)));
    return matched->len;
}

const struct own_route *routes_find(const char *method, const char *path, struct slice *matched)
{
    const struct own_route *page = web_page_route(path);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(routes[i].method, method) == 0 && fits(routes[i].path, path, matched))
            return &routes[i];
    }
    return page && strcmp(page->method, method) == 0 ? page : NULL;
}

static void list_models(struct exchange *x, struct buf *body)
{
    struct gateway *g = x->server->gateway;
    size_t n = gateway_n_models(g), n_shown = 0;
    struct dialect_model *models = arena_new(&x->arena, struct dialect_model, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *id = gateway_model_id(g, i);
        if (id && gateway_may(g, &x->caller, id, NULL))
            models[n_shown++] = (struct dialect_model){
                .id = id, .owner = "hearth", .created = gateway_model_created(g, i)};
    }
    x->dialect->write_models(models, n_shown, body);
}

// By any of the names that a request may use for it, if it is in the list.
static bool show_model(struct exchange *x, struct buf *body, struct dialect_error *err)
{
    struct gateway *g = x->server->gateway;
    const char *meant = gateway_model(g, arena_text(&x->arena, x->matched), NULL);
    for (size_t i = 0, n = meant ? gateway_n_models(g) : 0; i < n; i++) {
        const char *id = gateway_model_id(g, i);
        if (!id || strcmp(meant, id) != 0 || !gateway_may(g, &x->caller, id, NULL))
            continue;
        struct dialect_model m = {
            .id = id, .owner = "hearth", .created = gateway_model_created(g, i)};
        x->dialect->write_model(&m, body);
        return true;
    }
    return dialect_refuse(err, PROBLEM_MODEL, "model", "there is no model '%.*s'",
                          (int)(x->matched.len < 100 ? x->matched.len : 100), x->matched.ptr);
}

const struct dialect *routes_list_of(const struct exchange *x)
{
    if (x->dialect != &dialect_openai_models)
        return x->dialect;
    if (http_header(x, "anthropic-version"))
        return &dialect_anthropic_models;
    return http_header(x, "x-goog-api-key") ? &dialect_gemini_models : x->dialect;
}

bool routes_is_list(const struct dialect_route *r)
{
    return r->action == DIALECT_MODELS || r->action == DIALECT_MODEL;
}

void routes_models(struct exchange *x)
{
    struct buf body = {0};
    struct dialect_error err = {0};
    bool ok = true;
    if (x->route->action == DIALECT_MODELS)
        list_models(x, &body);
    else
        ok = show_model(x, &body, &err);
    if (ok)
        exchange_reply(x, 200, "application/json", buf_view(&body));
    else
        exchange_refuse(x, &err);
    buf_release(&body);
}
