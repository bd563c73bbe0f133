#include "gateway/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "config/config.h"
#include "gateway/router.h"
#include "gateway/vendors.h"
#include "providers/model_ref.h"

struct targets {
    struct vendors *vendors;
    const struct config *config;
    struct arena arena;
    struct target *routes;  // [config->n_routes]
};

struct targets *targets_new(struct vendors *vendors, const struct config *config)
{
    struct targets *t = memory_array(struct targets, 1);
    t->vendors = vendors;
    t->config = config;
    return t;
}

void targets_free(struct targets *t)
{
    if (!t)
        return;
    arena_release(&t->arena);
    free(t->routes);
    free(t);
}

static const struct target *find_route(const struct targets *t, const char *name)
{
    for (size_t i = 0; t->routes && i < t->config->n_routes; i++)
        if (strcmp(t->config->routes[i].name, name) == 0)
            return &t->routes[i];
    return NULL;
}

bool targets_is_route(const struct targets *t, const char *name)
{
    return find_route(t, name);
}

bool targets_is_vendors(const struct targets *t, const char *name)
{
    char vendor[64];
    const char *model;
    return !find_route(t, name) && vendors_split(t->vendors, name, vendor, &model);
}

bool targets_must_leave(const struct targets *t, const char *name)
{
    const struct target *route = find_route(t, name);
    for (size_t i = 0; route && i < route->n; i++)
        if (route->candidates[i].local)
            return false;
    return route || targets_is_vendors(t, name);
}

static void set_local(struct candidate *c, const char *reference, struct arena *a)
{
    char name[128], shipped[MODEL_REF_BYTES];
    const char *plain =
        reference && strncmp(reference, "local/", 6) == 0 ? reference + 6 : reference;
    if (!plain && model_ref_shipped(shipped))
        plain = shipped;
    model_ref_name(plain ? plain : "default", name, sizeof name);
    *c = (struct candidate){.provider_name = "local", .local = true};
    c->model = reference ? arena_text(a, slice_str(reference)) : NULL;
    c->shown = arena_printf(a, "local/%s", name);
}

// Whether it is a vendor's model: then the candidate is made, if with `missing`.
static bool set_vendor(const struct targets *t, struct candidate *c, const char *reference,
                       bool files, struct arena *a)
{
    char vendor[64];
    const char *model;
    if (!vendors_split(t->vendors, reference, vendor, &model) || (files && file_exists(reference)))
        return false;
    *c = (struct candidate){.provider_name = arena_text(a, slice_str(vendor)),
                            .model = arena_text(a, slice_str(model)),
                            .shown = arena_text(a, slice_str(reference))};
    if (model_ref_check_vendor(reference, &c->missing))
        c->vendor = vendors_find(t->vendors, vendor, &c->missing);
    return true;
}

static void set_candidate(const struct targets *t, struct candidate *c, const char *reference,
                          bool files, struct arena *a)
{
    if (!reference || !set_vendor(t, c, reference, files, a))
        set_local(c, reference, a);
}

static bool add_route(struct targets *t, size_t i, struct provider *local, struct router *router,
                      struct error *err)
{
    const struct config_route *r = &t->config->routes[i];
    struct candidate *list = arena_new(&t->arena, struct candidate, r->n_candidates);
    struct router_candidate *told = arena_new(&t->arena, struct router_candidate, r->n_candidates);
    for (size_t k = 0; k < r->n_candidates; k++) {
        struct candidate *c = &list[k];
        set_candidate(t, c, r->candidates[k].model, true, &t->arena);
        size_t n = c->vendor ? c->vendor->n_replicas : 1;
        struct router_replica *replicas = arena_new(&t->arena, struct router_replica, n);
        for (size_t m = 0; m < n; m++)
            replicas[m].provider = c->vendor ? c->vendor->replicas[m] : c->local ? local : NULL;
        told[k] = (struct router_candidate){.provider_name = c->provider_name,
                                            .model = c->model,
                                            .shown = c->shown,
                                            .local = c->local,
                                            .weight = r->candidates[k].weight,
                                            .replicas = replicas,
                                            .n_replicas = n};
    }
    t->routes[i] = (struct target){.route = r, .candidates = list, .n = r->n_candidates};
    return router_add(router, r->name, r->policy, r->local_only, r->spill_queue, told,
                      r->n_candidates, err) ||
           error_wrap(err, "%s:%d:%d", t->config->path ? t->config->path : "configuration", r->line,
                      r->column);
}

bool targets_routes(struct targets *t, struct provider *local, struct router *router,
                    struct error *err)
{
    if (!t->config || !t->config->n_routes)
        return true;
    t->routes = memory_array(struct target, t->config->n_routes);
    for (size_t i = 0; i < t->config->n_routes; i++)
        if (!add_route(t, i, local, router, err))
            return false;
    return true;
}

// Of a route where nobody can be asked at all the operator's fault is told; else the router says of
// each why not.
static bool can_ask_any(const struct target *route, struct error *err)
{
    for (size_t i = 0; i < route->n; i++)
        if (!route->candidates[i].missing.code)
            return true;
    if (err)
        *err = route->candidates[0].missing;
    return false;
}

bool targets_find(const struct targets *t, const char *name, bool files, struct arena *a,
                  struct target *out, struct error *err)
{
    if (name && !*name)
        name = NULL;
    if (!name && !model_ref_unnamed(NULL))
        name = getenv("HEARTH_MODEL");
    if (!name && t->config)
        name = t->config->default_model;
    const struct target *route = name && !(files && file_exists(name)) ? find_route(t, name) : NULL;
    if (route) {
        *out = *route;
        return can_ask_any(route, err);
    }
    struct candidate *c = arena_new(a, struct candidate, 1);
    set_candidate(t, c, name, files, a);
    *out = (struct target){.candidates = c, .n = 1};
    if (!c->missing.code)
        return true;
    if (err)
        *err = c->missing;
    return false;
}
