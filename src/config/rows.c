#include "config/rows.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "config/tree.h"

bool reader_fault(struct reader *r, const struct tree_node *at, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tree_fault(r->name, at->line, at->column, r->err, ERR_FORMAT, "%s", text);
}

bool row_looks_secret(const char *text)
{
    static const char *const begins[] = {"sk-",   "sk_",    "gsk_",    "AIza", "xai-", "hf_",
                                         "pplx-", "nvapi-", "Bearer ", "AKIA", "eyJ"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp(text, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static bool means_secret(const char *name)
{
    static const char *const words[] = {"key", "token", "secret", "passw", "credential", "auth"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}

static bool unknown(struct reader *r, const struct tree_node *key, const struct row *rows,
                    size_t n_rows, const char *what)
{
    char known[160] = "";
    size_t len = 0;
    if (means_secret(key->text.ptr))
        return reader_fault(r, key,
                            "'%.40s' of %s: no secret is written here; name the variable or the "
                            "file that holds it, as key_env or key_file of a provider",
                            key->text.ptr, what);
    for (size_t i = 0; i < n_rows && len < sizeof known; i++)
        len +=
            (size_t)snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", rows[i].name);
    return reader_fault(r, key, "%s has no member '%.40s'; there are %s", what, key->text.ptr,
                        known);
}

bool rows_read(struct reader *r, const struct tree_node *map, const struct row *rows, size_t n_rows,
               const char *what, void *base)
{
    if (tree_is_null(map))
        return true;
    if (map->kind != TREE_MAP)
        return reader_fault(r, map, "%s must be a map of members", what);
    for (size_t i = 0; i < map->n; i++) {
        const struct tree_node *key = map->items[2 * i], *value = map->items[2 * i + 1];
        const struct row *row = rows;
        while (row < rows + n_rows && !slice_is(key->text, row->name))
            row++;
        if (row == rows + n_rows)
            return unknown(r, key, rows, n_rows, what);
        if (!row->read(r, row, value, (char *)base + row->offset))
            return false;
    }
    return true;
}

// A plain text that YAML takes for something else than a text.
static bool is_other(const struct tree_node *v)
{
    char *end;
    if (!v->plain)
        return false;
    (void)strtod(v->text.ptr, &end);
    return (end != v->text.ptr && *end == 0) || slice_is(v->text, "true") ||
           slice_is(v->text, "false");
}

static const char *keep(struct reader *r, const struct tree_node *v)
{
    if (++r->n_texts <= TREE_MAX_NODES)
        return arena_text(r->arena, v->text);
    (void)tree_fault(r->name, v->line, v->column, r->err, ERR_LIMIT, "too many values");
    return NULL;
}

bool row_text(struct reader *r, const struct row *m, const struct tree_node *v, void *field)
{
    if (v->kind != TREE_TEXT || tree_is_null(v))
        return reader_fault(r, v, "'%s' must be a text", m->name);
    if (is_other(v))
        return reader_fault(r, v, "'%s' must be a text: put it in quotes", m->name);
    const char *text = keep(r, v);
    *(const char **)field = text;
    return text;
}

const char *row_resolve(struct reader *r, const char *path)
{
    const char *home = getenv("HOME");
    if (strncmp(path, "~/", 2) == 0 && home && *home)
        return arena_printf(r->arena, "%s/%s", home, path + 2);
    if (path[0] == '/' || !r->folder)
        return path;
    return arena_printf(r->arena, "%s/%s", r->folder, path);
}

bool row_path(struct reader *r, const struct row *m, const struct tree_node *v, void *field)
{
    const char *path = "";
    if (!row_text(r, m, v, &path))
        return false;
    if (!*path)
        return reader_fault(r, v, "'%s' must be a path", m->name);
    if (row_looks_secret(path))
        return reader_fault(r, v, "'%s' looks like a secret: it must be the path of a file",
                            m->name);
    *(const char **)field = row_resolve(r, path);
    return true;
}

bool row_bool(struct reader *r, const struct row *m, const struct tree_node *v, void *field)
{
    bool yes = v->kind == TREE_TEXT && v->plain && slice_is(v->text, "true");
    if (!yes && !(v->kind == TREE_TEXT && v->plain && slice_is(v->text, "false")))
        return reader_fault(r, v, "'%s' must be true or false", m->name);
    *(bool *)field = yes;
    return true;
}

// Digits with what belongs to a decimal, so that neither hexadecimal nor "inf" is one.
static bool parse_number(const struct tree_node *v, double *out)
{
    char *end;
    if (v->kind != TREE_TEXT || !v->plain || v->text.len == 0 || v->text.len > 40 ||
        strspn(v->text.ptr, "0123456789.eE+-") != v->text.len)
        return false;
    *out = strtod(v->text.ptr, &end);
    return *end == 0 && isfinite(*out);
}

bool row_int(struct reader *r, const struct row *m, const struct tree_node *v, void *field)
{
    double x;
    if (!parse_number(v, &x) || x != floor(x) || x < m->min || x > m->max)
        return reader_fault(r, v, "'%s' must be a whole number from %.0f to %.0f", m->name, m->min,
                            m->max);
    *(int *)field = (int)x;
    return true;
}

bool row_number(struct reader *r, const struct row *m, const struct tree_node *v, void *field)
{
    double x;
    if (!parse_number(v, &x) || x < m->min || x > m->max)
        return reader_fault(r, v, "'%s' must be a number from %g to %g", m->name, m->min, m->max);
    *(double *)field = x;
    return true;
}

bool row_texts(struct reader *r, const char *name, const struct tree_node *v, size_t max,
               const char ***texts, size_t *n)
{
    const struct tree_node *one = v;
    struct tree_node *const *items = v->kind == TREE_LIST ? v->items : NULL;
    size_t count = items ? v->n : 1;
    if (v->kind == TREE_MAP || tree_is_null(v) || count == 0)
        return reader_fault(r, v, "'%s' must be a list of texts", name);
    if (count > max)
        return reader_fault(r, v, "'%s' has more than %zu texts", name, max);
    *texts = arena_new(r->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        if (items)
            one = items[i];
        if (one->kind != TREE_TEXT || tree_is_null(one) || one->text.len == 0)
            return reader_fault(r, one, "'%s' must be a list of texts", name);
        if (!((*texts)[i] = keep(r, one)))
            return false;
    }
    *n = count;
    return true;
}
