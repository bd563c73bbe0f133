// auth.c - who asks: whether a request may come in at all, with whose key, and what that may do.
//
// Everything is decided from the headers, before a body is read. While no key was ever created,
// everybody may ask: then only loopback addresses are listened on, and a browser's other pages are
// kept out by Host and Origin. As soon as there are keys, a request needs one. The text of a key is
// never kept: an exchange has what the ledger knows of it.
// Threads: the HTTP thread.
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "server/impl.h"

// Hosts and origins

// A name that browsers cannot be made to send for somebody else's page: ours, as an address or as
// localhost. Without keys nothing else stands between a web page and the models.
static bool is_our_host(const struct server *s, const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t n = strlen(host);
    const char *colon = strrchr(host, ':');
    if (colon && colon[1 + strspn(colon + 1, "0123456789")] == 0 && !strchr(colon, ']'))
        n = (size_t)(colon - host);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && strncasecmp(host, names[i], n) == 0)
            return true;
    return strlen(s->host) == n && strncasecmp(host, s->host, n) == 0;
}

static const char *without_scheme(const char *origin)
{
    if (strncmp(origin, "http://", 7) == 0)
        return origin + 7;
    return strncmp(origin, "https://", 8) == 0 ? origin + 8 : NULL;
}

// With keys, the server may have any name: then a page is ours if it has the name that it asks.
static bool is_our_origin(const struct server *s, const char *origin, const char *host, bool keys)
{
    const char *from = without_scheme(origin);
    return from && (is_our_host(s, from) || (keys && host && strcasecmp(from, host) == 0));
}

static bool same_as(void *self, const char *value)
{
    return strcmp(self, value) == 0;
}

// NULL: it has none. Of lines that say different things, who is on the way may have gone by another
// one than we do: then false with err.
static bool one_header(const struct exchange *x, const char *name, const char **value,
                       struct dialect_error *err)
{
    *value = http_header(x, name);
    return !*value || http_header_lines(x, name, same_as, (void *)*value) ||
           dialect_refuse(err, PROBLEM_REQUEST, name, "'%s' is there several times, and differs",
                          name);
}

static bool check_pages(const struct exchange *x, bool keys, struct dialect_error *err)
{
    const char *host = http_header(x, "host"), *origin;  // framing.c lets one Host pass
    if (!one_header(x, "origin", &origin, err))
        return false;
    if (host && !keys && !is_our_host(x->server, host))
        return dialect_refuse(err, PROBLEM_FORBIDDEN, NULL,
                              "the host of the request is not this server's");
    if (origin && !is_our_origin(x->server, origin, host, keys))
        return dialect_refuse(err, PROBLEM_FORBIDDEN, NULL,
                              "pages of another origin may not ask this server");
    return true;
}

// Keys

static struct slice query_key(const struct exchange *x)
{
    struct slice rest = x->query;
    while (rest.len) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
        if (n > 4 && memcmp(rest.ptr, "key=", 4) == 0)
            return slice_of(rest.ptr + 4, n - 4);
        rest = slice_sub(rest, n + 1, rest.len);
    }
    return slice_of(NULL, 0);
}

static struct slice trimmed(const char *text)
{
    size_t n = strlen(text);
    while (n && (*text == ' ' || *text == '\t')) {
        text++;
        n--;
    }
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    return slice_of(text, n);
}

// Where the vendors' SDKs put it; the first that is there counts. Empty: there is none.
static bool read_secret(struct exchange *x, struct slice *out, struct dialect_error *err)
{
    const char *bearer, *own, *google;
    *out = slice_of(NULL, 0);
    if (!one_header(x, "authorization", &bearer, err) || !one_header(x, "x-api-key", &own, err) ||
        !one_header(x, "x-goog-api-key", &google, err))
        return false;
    if (bearer && strncasecmp(bearer, "bearer ", 7) == 0) {
        *out = trimmed(bearer + 7);
    } else if (own || google) {
        *out = trimmed(own ? own : google);
    } else if (x->dialect && x->dialect->key_in_query && query_key(x).len) {
        if (!atomic_exchange(&x->server->told_query_key, true))
            log_warn("a request has its key in the address, where others on the way may log it: "
                     "x-goog-api-key is for that");
        *out = query_key(x);
    }
    return true;
}

static bool find_key(struct exchange *x, struct dialect_error *err)
{
    struct ledger_key *key = arena_new(&x->arena, struct ledger_key, 1);
    struct slice secret;
    struct error why = {0};
    if (!read_secret(x, &secret, err))
        return false;
    if (!secret.len)
        return dialect_refuse(err, PROBLEM_KEY, NULL,
                              "this server wants a key: send it as 'Authorization: Bearer KEY', "
                              "'x-api-key' or 'x-goog-api-key'");
    if (secret.len > LEDGER_SECRET_BYTES)  // of which none was ever made
        return dialect_refuse(err, PROBLEM_KEY, NULL, "the key is not valid");
    if (!ledger_key_find(x->server->options.ledger, secret.ptr, secret.len, key, &why))
        return dialect_refuse_error(err, &why);
    x->key = key;
    return true;
}

static bool take_local_only(void *self, const char *value)
{
    bool yes = strcasecmp(value, "true") == 0;
    *(bool *)self |= yes;
    return yes || strcasecmp(value, "false") == 0;
}

// One "true" is enough, whoever on the way added it. A misspelled wish for privacy is not taken for
// none.
static bool read_local_only(struct exchange *x, bool *out, struct dialect_error *err)
{
    *out = false;
    return http_header_lines(x, "x-hearth-local-only", take_local_only, out) ||
           dialect_refuse(err, PROBLEM_REQUEST, "x-hearth-local-only",
                          "'x-hearth-local-only' is neither true nor false");
}

static enum route_access access_of(const struct exchange *x)
{
    if (!x->own)
        return ACCESS_KEY;
    bool open = x->own->access == ACCESS_METRICS && x->server->options.metrics_open;
    return open ? ACCESS_OPEN : x->own->access;
}

static bool check_key(struct exchange *x, bool keys, struct dialect_error *err)
{
    enum route_access access = access_of(x);
    if (!keys && access == ACCESS_ADMIN)
        return dialect_refuse(err, PROBLEM_FORBIDDEN, NULL,
                              "there are no keys: `hearth keys create --admin` makes the first "
                              "that may do this");
    if (!keys || access == ACCESS_OPEN)
        return true;
    if (!find_key(x, err))
        return false;
    if (access == ACCESS_METRICS && x->key->models[0] && !x->key->admin)
        return dialect_refuse(err, PROBLEM_FORBIDDEN, NULL,
                              "this key is for some models only, and the metrics name all of them");
    return access != ACCESS_ADMIN || x->key->admin ||
           dialect_refuse(err, PROBLEM_FORBIDDEN, NULL, "this key is not an administrator's");
}

static bool join_line(void *self, const char *value)
{
    struct buf *all = self;
    if (all->len && *value)
        buf_char(all, ',');
    buf_text_add(all, value);
    return true;
}

// All lines of it are one list (RFC 9110, 5.3). NULL: there is none.
static const char *beta_of(struct exchange *x)
{
    struct buf all = {0};
    (void)http_header_lines(x, "anthropic-beta", join_line, &all);
    const char *text = all.len ? arena_text(&x->arena, buf_view(&all)) : NULL;
    buf_release(&all);
    return text;
}

bool auth_check(struct exchange *x, struct dialect_error *err)
{
    struct server *s = x->server;
    bool keys = s->options.ledger && ledger_has_keys(s->options.ledger), local_only;
    if (!check_pages(x, keys, err) || !read_local_only(x, &local_only, err) ||
        !check_key(x, keys, err))
        return false;
    x->told = (struct caller_told){.limits = {-1, -1, -1, -1, -1, -1}};
    // The client's own name for the request is not unique, and another's may be the same.
    x->caller = (struct caller){
        .key = x->key,
        .local_only = local_only || (x->key && x->key->local_only),
        .vendors = x->key ? !x->key->local_only : atomic_load(&s->allow_vendors),
        .request_id = arena_printf(&x->arena, "%s-%s", x->key ? x->key->id : "anybody", x->call.id),
        .told = &x->told};
    x->call.request.caller = &x->caller;
    x->call.request.beta = beta_of(x);
    return true;
}
