// sections.c - the file as a whole, and its small sections.
#include "config/sections.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "config/config.h"
#include "config/rows.h"
#include "config/tree.h"

#define ROW(s, f, how, ...)                                                                        \
    {                                                                                              \
#f, how, offsetof(struct s, f), __VA_ARGS__                                                \
    }
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static bool read_server(struct reader *r, const struct row *m, const struct tree_node *v, void *c)
{
    static const struct row rows[] = {ROW(config, host, row_text, 0, 0),
                                      ROW(config, port, row_int, 0, 65535)};
    return rows_read(r, v, rows, COUNT(rows), m->name, c);
}

static bool read_speed(struct reader *r, const struct tree_node *v, struct config_speed *out)
{
    static const struct row rows[] = {
        ROW(config_speed, prefill, row_number, 1e-3, 1e9),
        ROW(config_speed, decode, row_number, 1e-3, 1e9),
    };
    return rows_read(r, v, rows, COUNT(rows), "a speed", out) &&
           ((out->prefill > 0 && out->decode > 0) ||
            reader_fault(r, v, "a speed has 'prefill' and 'decode', in tokens a second"));
}

static bool read_charge(struct reader *r, const struct row *m, const struct tree_node *v, void *c)
{
    enum { MODELS_MAX = 1000 };
    struct config_cost *cost = c;
    if (tree_is_null(v))
        return true;
    if (v->kind != TREE_MAP || v->n > MODELS_MAX)
        return reader_fault(r, v, "'%s' must be a map from up to %d models to speeds", m->name,
                            MODELS_MAX);
    cost->charge = arena_new(r->arena, struct config_speed, v->n);
    for (size_t i = 0; i < v->n; i++) {
        struct config_speed *s = &cost->charge[cost->n_charge++];
        *s = (struct config_speed){.model = arena_text(r->arena, v->items[2 * i]->text)};
        if (!read_speed(r, v->items[2 * i + 1], s))
            return false;
    }
    return true;
}

// Nothing is assumed in the books.
static bool is_stated(const struct config_cost *c)
{
    bool owned =
        c->watts >= 0 && c->usd_per_kwh >= 0 && c->hardware_usd >= 0 && c->hardware_years >= 0;
    return c->utilization >= 0 && (owned || c->usd_per_hour >= 0);
}

static bool read_cost(struct reader *r, const struct row *m, const struct tree_node *v, void *cost)
{
    static const struct row rows[] = {
        ROW(config_cost, watts, row_number, 0, 1e6),
        ROW(config_cost, usd_per_kwh, row_number, 0, 1e4),
        ROW(config_cost, hardware_usd, row_number, 0, 1e9),
        ROW(config_cost, hardware_years, row_number, 1e-3, 100),
        ROW(config_cost, usd_per_hour, row_number, 0, 1e6),
        ROW(config_cost, utilization, row_number, 1e-6, 1),
        {"charge", read_charge, 0, 0, 0},
    };
    const struct config_cost *c = cost;
    return rows_read(r, v, rows, COUNT(rows), m->name, cost) &&
           (!c->n_charge || is_stated(c) ||
            reader_fault(r, v,
                         "'charge' needs 'utilization', and 'usd_per_hour' or all of 'watts', "
                         "'usd_per_kwh', 'hardware_usd' and 'hardware_years'"));
}

// "//user:word@" or "?password=": the password that a database wants is a secret, too.
static bool has_password(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t len = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', len);
    return (at && memchr(host, ':', (size_t)(at - host))) || strcasestr(url, "password=");
}

static bool read_ledger(struct reader *r, const struct row *m, const struct tree_node *v,
                        void *field)
{
    const char *where;
    if (!row_text(r, m, v, &where))
        return false;
    bool postgres =
        strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
    bool file = strncmp(where, "sqlite:", 7) == 0 && where[7];
    if (!postgres && !file && strcmp(where, "sqlite") != 0)
        return reader_fault(r, v, "'%s' must be sqlite, sqlite:PATH or postgresql://...", m->name);
    if (postgres && has_password(where))
        return reader_fault(r, v,
                            "no password is written here; put it into the variable PGPASSWORD, or "
                            "into a file that PGPASSFILE names");
    if (file)
        where = arena_printf(r->arena, "sqlite:%s", row_resolve(r, where + 7));
    *(const char **)field = where;
    return true;
}

static bool read_egress_log(struct reader *r, const struct row *m, const struct tree_node *v,
                            void *field)
{
    if (v->kind == TREE_TEXT && slice_is(v->text, "none")) {
        *(const char **)field = "";
        return true;
    }
    return row_path(r, m, v, field);
}

static bool read_prices(struct reader *r, const struct row *m, const struct tree_node *v, void *c)
{
    struct config *config = c;
    config->prices_line = v->line;
    config->prices_column = v->column;
    return row_path(r, m, v, &config->prices);
}

bool sections_read(struct reader *r, const struct tree_node *root)
{
    static const struct row rows[] = {
        ROW(config, default_model, row_text, 0, 0),
        ROW(config, allow_vendors, row_bool, 0, 0),
        {"models", section_routes, 0, 0, 0},
        {"providers", section_providers, 0, 0, 0},
        {"redactions", section_redactions, 0, 0, 0},
        {"server", read_server, 0, 0, 0},
        ROW(config, ledger, read_ledger, 0, 0),
        {"prices", read_prices, 0, 0, 0},
        ROW(config, egress_log, read_egress_log, 0, 0),
        ROW(config, cost, read_cost, 0, 0),
    };
    if (!rows_read(r, root, rows, COUNT(rows), "the configuration", r->config))
        return false;
    for (size_t i = 0; root->kind == TREE_MAP && i < root->n; i++)
        if (slice_is(root->items[2 * i]->text, "default_model") &&
            !section_check_reference(r, r->config->default_model, root->items[2 * i + 1]))
            return false;
    return section_check_routes(r);
}
