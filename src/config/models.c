// models.c - the section "models": routes, their candidates, and whom these name.
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/utf8.h"
#include "config/config.h"
#include "config/rows.h"
#include "config/sections.h"
#include "config/tree.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
enum { CANDIDATES_MAX = 32, NAME_MAX_BYTES = 127 };

static bool read_policy(struct reader *r, const struct row *m, const struct tree_node *v,
                        void *field)
{
    static const char *const names[] = {
        [POLICY_FIXED] = "fixed",
        [POLICY_LOCAL_ONLY] = "local-only",
        [POLICY_LOCAL_FIRST] = "local-first",
        [POLICY_CHEAPEST] = "cheapest",
        [POLICY_FASTEST] = "fastest",
        [POLICY_WEIGHTED] = "weighted",
    };
    for (size_t i = 0; v->kind == TREE_TEXT && i < COUNT(names); i++)
        if (slice_is(v->text, names[i])) {
            *(enum config_policy *)field = (enum config_policy)i;
            return true;
        }
    return reader_fault(
        r, v, "'%s' must be fixed, local-only, local-first, cheapest, fastest or weighted",
        m->name);
}

static bool read_candidate(struct reader *r, const struct tree_node *v,
                           struct config_candidate *out)
{
    static const struct row rows[] = {
        {"model", row_text, offsetof(struct config_candidate, model), 0, 0},
        {"weight", row_int, offsetof(struct config_candidate, weight), 0, 1000000},
    };
    *out = (struct config_candidate){.weight = 1, .line = v->line, .column = v->column};
    bool ok = v->kind == TREE_MAP
                  ? rows_read(r, v, rows, COUNT(rows), "a candidate", out)
                  : row_text(r, &(struct row){.name = "candidates"}, v, &out->model);
    if (ok && (!out->model || !*out->model))
        return reader_fault(r, v, "a candidate without 'model'");
    return ok;
}

static bool read_candidates(struct reader *r, const struct row *m, const struct tree_node *v,
                            void *field)
{
    struct config_route *route = field;
    if (v->kind != TREE_LIST || v->n == 0)
        return reader_fault(r, v, "'%s' must be a list of models", m->name);
    if (v->n > CANDIDATES_MAX)
        return reader_fault(r, v, "'%s' has more than %d models", m->name, CANDIDATES_MAX);
    route->candidates = arena_new(r->arena, struct config_candidate, v->n);
    for (size_t i = 0; i < v->n; i++) {
        if (!read_candidate(r, v->items[i], &route->candidates[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(route->candidates[k].model, route->candidates[i].model) == 0)
                return reader_fault(r, v->items[i], "this candidate is here a second time");
    }
    route->n_candidates = v->n;
    return true;
}

static bool check_weights(struct reader *r, const struct tree_node *at,
                          const struct config_route *route)
{
    for (size_t i = 0; i < route->n_candidates; i++)
        if (route->candidates[i].weight > 0)
            return true;
    return reader_fault(r, at, "no candidate has a weight above 0");
}

// `models: {name: openai/gpt-4o-mini}` is a route with one candidate.
static bool read_route(struct reader *r, const struct tree_node *v, struct config_route *route)
{
    static const struct row rows[] = {
        {"candidates", read_candidates, 0, 0, 0},
        {"policy", read_policy, offsetof(struct config_route, policy), 0, 0},
        {"local_only", row_bool, offsetof(struct config_route, local_only), 0, 0},
        {"spill_queue", row_int, offsetof(struct config_route, spill_queue), 0, 1000000},
        {"redact", row_bool, offsetof(struct config_route, redact), 0, 0},
    };
    if (v->kind != TREE_MAP) {
        route->candidates = arena_new(r->arena, struct config_candidate, 1);
        route->n_candidates = 1;
        return read_candidate(r, v, route->candidates);
    }
    if (!rows_read(r, v, rows, COUNT(rows), "a route", route))
        return false;
    if (!route->candidates)
        return reader_fault(r, v, "a route without 'candidates'");
    route->local_only |= route->policy == POLICY_LOCAL_ONLY;
    return check_weights(r, v, route);
}

// Names appear in paths, headers, logs and lists of what a key may use.
static bool check_name(struct reader *r, const struct tree_node *key)
{
    struct slice name = key->text;
    bool ok = name.len && name.len <= NAME_MAX_BYTES && utf8_valid(name.ptr, name.len);
    for (size_t i = 0; ok && i < name.len; i++)
        ok = (unsigned char)name.ptr[i] > ' ' && name.ptr[i] != 0x7F &&
             !strchr("*,?#%", name.ptr[i]);
    if (!ok)
        return reader_fault(r, key,
                            "the name of a route has from 1 to %d bytes, without white space, "
                            "'*', ',', '?', '#' or '%%'",
                            NAME_MAX_BYTES);
    return !slice_starts(name, slice_str("local/")) ||
           reader_fault(r, key, "local/... always means the local store");
}

bool section_routes(struct reader *r, const struct row *m, const struct tree_node *v, void *c)
{
    struct config *config = c;
    if (tree_is_null(v))
        return true;
    if (v->kind != TREE_MAP)
        return reader_fault(r, v, "'%s' must be a map from names to models or routes", m->name);
    config->routes = arena_new(r->arena, struct config_route, v->n);
    for (size_t i = 0; i < v->n; i++) {
        const struct tree_node *key = v->items[2 * i];
        struct config_route *route = &config->routes[i];
        *route = (struct config_route){.name = arena_text(r->arena, key->text),
                                       .redact = true,
                                       .line = key->line,
                                       .column = key->column};
        if (!check_name(r, key) || !read_route(r, v->items[2 * i + 1], route))
            return false;
        config->n_routes++;
    }
    return true;
}

static bool is_vendor(const struct reader *r, struct slice prefix)
{
    for (size_t i = 0; i < r->config->n_providers; i++)
        if (slice_is(prefix, r->config->providers[i].name))
            return true;
    return slice_is(prefix, "openai") || slice_is(prefix, "anthropic") ||
           slice_is(prefix, "google");
}

static struct slice prefix_of(const char *model)
{
    const char *slash = strchr(model, '/');
    return slash ? slice_of(model, (size_t)(slash - model)) : (struct slice){0};
}

bool section_check_reference(struct reader *r, const char *model, const struct tree_node *at)
{
    struct slice prefix = prefix_of(model);
    size_t len = strlen(model);
    bool path = model[0] == '/' || model[0] == '.' || model[0] == '~' ||
                (len > 5 && strcmp(model + len - 5, ".gguf") == 0);
    if (!prefix.ptr || path || slice_is(prefix, "local") || is_vendor(r, prefix) ||
        config_find_route(r->config, model) || file_exists(model))
        return true;
    return reader_fault(r, at,
                        "nobody is called '%.*s': no provider of that name, and no file '%.60s'",
                        (int)(prefix.len > 40 ? 40 : prefix.len), prefix.ptr, model);
}

static bool check_route(struct reader *r, const struct config_route *route)
{
    bool local = false;
    for (size_t i = 0; i < route->n_candidates; i++) {
        const struct config_candidate *c = &route->candidates[i];
        const struct tree_node at = {.line = c->line, .column = c->column};
        if (config_find_route(r->config, c->model))
            return reader_fault(r, &at,
                                "'%.60s' is a route, which cannot be a candidate; a model of the "
                                "local store is local/%.60s",
                                c->model, c->model);
        if (!section_check_reference(r, c->model, &at))
            return false;
        local |= !is_vendor(r, prefix_of(c->model));
    }
    const struct tree_node at = {.line = route->line, .column = route->column};
    return local || !route->local_only ||
           reader_fault(r, &at, "'%.60s' is local-only, and all its candidates are vendors'",
                        route->name);
}

bool section_check_routes(struct reader *r)
{
    for (size_t i = 0; i < r->config->n_routes; i++)
        if (!check_route(r, &r->config->routes[i]))
            return false;
    return true;
}
