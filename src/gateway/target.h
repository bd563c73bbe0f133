// target.h - from a model's name to those who could serve it: one candidate, or a route's.
//
// Tried in order: a path that exists, a route of the configuration, a name of the local store
// ("local/NAME" or without), a vendor's model. Threads: any, once all routes were added.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct arena;
struct config;
struct config_route;
struct provider;
struct router;
struct targets;
struct vendor;
struct vendors;

struct candidate {
    const char *provider_name;    // "local", "openai"
    const char *model;            // what the provider is asked for; NULL: its own default
    const char *shown;            // "local/qwen", "openai/gpt-4o-mini"
    const struct vendor *vendor;  // NULL: local, or:
    struct error missing;         // code: why this vendor cannot be asked
    bool local;
};
struct target {
    const struct config_route *route;  // NULL: one candidate, named directly
    const struct candidate *candidates;
    size_t n;
};

struct targets *targets_new(struct vendors *vendors, const struct config *config);
void targets_free(struct targets *t);
// Adds all routes to the router too. False with err.
bool targets_routes(struct targets *t, struct provider *local, struct router *router,
                    struct error *err);
bool targets_is_route(const struct targets *t, const char *name);
// Whether a name is that of a vendor's model and of no route.
bool targets_is_vendors(const struct targets *t, const char *name);
// Whether only vendors can serve it: a vendor's model, or a route of nothing else.
bool targets_must_leave(const struct targets *t, const char *name);
// What a name means (NULL: the default). A direct one's candidate is made in the arena. Without
// `files` no name is a path, and no disk is looked at: for names that others sent. False with err:
// what could be two things, or a vendor that cannot be asked.
bool targets_find(const struct targets *t, const char *name, bool files, struct arena *a,
                  struct target *out, struct error *err);
