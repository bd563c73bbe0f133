// routing.c - what a configuration became: vendors, targets, the router, redaction rules; with the
// prices and the log of what leaves that belong to it.
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "gateway/egress.h"
#include "gateway/impl.h"
#include "gateway/model_names.h"
#include "gateway/prices.h"
#include "gateway/vendors.h"

static void routing_free(struct routing *r)
{
    redaction_rules_free(r->rules);
    router_free(r->router);
    targets_free(r->targets);
    vendors_free(r->vendors);
    config_release(&r->own);
    prices_free(r->prices);
    egress_close(r->egress);
    free(r);
}

static bool make_rules(struct routing *r, struct error *err)
{
    const struct config *c = r->config;
    size_t bad = 0;
    return !c || redaction_rules_new(c->redactions, c->n_redactions, &r->rules, &bad, err) ||
           config_wrap(c, c->redactions[bad].line, c->redactions[bad].column, err);
}

struct routing *routing_new(const struct gateway_options *o, struct config *own, struct error *err)
{
    struct routing *r = memory_array(struct routing, 1);
    const struct config *c = own ? own : o->config;
    atomic_init(&r->n_holds, 1);
    if (own) {
        r->own = *own;
        c = &r->own;
    }
    r->config = c;
    r->prices = prices_hold(o->prices);
    r->egress = egress_hold(o->egress);
    r->router = router_new();
    r->vendors = vendors_new(o->offline ? NULL : o->remotes, c, o->for_others);
    r->targets = targets_new(r->vendors, c);
    if (targets_routes(r->targets, o->local, r->router, err) && make_rules(r, err)) {
        vendors_check(r->vendors);
        return r;
    }
    r->own = (struct config){0};  // stays the caller's
    routing_free(r);
    return NULL;
}

struct routing *routing_hold(struct gateway *g)
{
    pthread_mutex_lock(&g->lock);
    struct routing *r = g->routing;
    atomic_fetch_add(&r->n_holds, 1);
    pthread_mutex_unlock(&g->lock);
    return r;
}

void routing_drop(struct routing *r)
{
    if (r && atomic_fetch_sub(&r->n_holds, 1) == 1)
        routing_free(r);
}

bool gateway_reload(struct gateway *g, struct config *c, struct prices *prices,
                    struct egress *egress, struct error *err)
{
    struct gateway_options o = g->o;
    o.prices = prices;
    o.egress = egress;
    struct routing *r = routing_new(&o, c, err);
    if (!r)
        return false;
    if (!gateway_name_routes(g, r, err)) {
        r->own = (struct config){0};
        routing_drop(r);
        return false;
    }
    *c = (struct config){0};
    pthread_mutex_lock(&g->lock);
    struct routing *before = g->routing;
    g->routing = r;
    pthread_mutex_unlock(&g->lock);
    routing_drop(before);
    return true;
}
