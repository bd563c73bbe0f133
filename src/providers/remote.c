// remote.c - the set of remotes, one remote, and its operations but for answers.
#include "providers/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/secret.h"
#include "net/url.h"
#include "providers/remote_impl.h"

enum { DEFAULT_RETRIES = 2, DEFAULT_FAILURES = 5, DEFAULT_CONNECTIONS = 256, LINES_MAX = 32 };

struct remotes *remotes_new(struct error *err)
{
    struct loop *loop = loop_new(err);
    if (!loop)
        return NULL;
    struct remotes *r = memory_array(struct remotes, 1);
    r->loop = loop;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->ended, NULL);
    return r;
}

struct loop *remotes_loop(struct remotes *r)
{
    return r->loop;
}

void remotes_free(struct remotes *r)
{
    if (!r)
        return;
    loop_free(r->loop);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->ended);
    free(r);
}

static bool describe(struct provider *p, const char *model, struct model_info *out,
                     struct error *err)
{
    const struct remote *r = (const struct remote *)p;
    if (!model || !model[0])
        return error_set(err, ERR_USAGE, "%s: no model is named", r->name);
    *out = (struct model_info){.has_template = true};  // the rest is not known here
    (void)snprintf(out->name, sizeof out->name, "%s", model);
    (void)snprintf(out->description, sizeof out->description, "by %s, over the %s API", r->name,
                   r->client->name);
    return true;
}

static struct answer *start(struct provider *p, const struct chat_request *req,
                            struct provider_flow flow, struct chat_sink sink, struct error *err)
{
    return remote_start((struct remote *)p, req, flow, sink, err);
}

static bool count(struct provider *p, const struct chat_request *req, int64_t *n, bool *exact,
                  struct error *err)
{
    (void)p;
    (void)err;
    *n = remote_tokens_at_most(req);
    *exact = false;
    return true;
}

static bool no_tokens(const struct provider *p, struct error *err)
{
    return error_set(err, ERR_UNSUPPORTED, "%s does not tell the tokens of its models",
                     ((const struct remote *)p)->name);
}

static bool tokenize(struct provider *p, const struct chat_request *req, bool plain, int32_t **ids,
                     size_t *n, struct error *err)
{
    (void)req;
    (void)plain;
    *ids = NULL;
    *n = 0;
    return no_tokens(p, err);
}

static bool detokenize(struct provider *p, const char *model, const int32_t *ids, size_t n,
                       struct buf *out, struct error *err)
{
    (void)model;
    (void)ids;
    (void)n;
    (void)out;
    return no_tokens(p, err);
}

static bool ready(struct provider *p, const char *model, bool has_waited)
{
    (void)has_waited;
    (void)p;
    (void)model;
    return true;
}

static bool load(struct provider *p, size_t i, struct provider_load *out)
{
    (void)p;
    (void)i;
    (void)out;
    return false;
}

static void free_remote(struct provider *p)
{
    struct remote *r = (struct remote *)p;
    if (!r)
        return;
    remote_health_stop(r);
    post_endpoint_free(r->endpoint);
    secret_free(r->key_line);
    pthread_mutex_destroy(&r->lock);
    free(r->name);
    free(r);
}

bool remote_is_loopback(const char *origin)
{
    const char *host = strstr(origin, "://") + 3;
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    struct slice h = slice_of(host, n);
    return slice_is(h, "localhost") || slice_is(h, "[::1]") ||
           (slice_starts(h, slice_str("127.")) && strspn(h.ptr, "0123456789.") == n);
}

// A base URL, without slashes at its end, to which a path can be added.
static bool read_base(const char *name, const char *base, bool has_key, struct url *url,
                      struct error *err)
{
    if (!url_parse(base, url, err))
        return error_wrap(err, "%s: base URL", name);
    size_t n = strlen(url->text);
    bool good = !strpbrk(url->text, "?#");
    if (!good)
        (void)error_set(err, ERR_USAGE, "%s: the base URL has a query", name);
    while (n > 0 && url->text[n - 1] == '/')
        url->text[--n] = 0;
    if (good && has_key && strncmp(url->origin, "https:", 6) != 0 &&
        !remote_is_loopback(url->origin)) {
        (void)error_set(err, ERR_USAGE,
                        "%s: the key would go to %s in clear text; https is needed there", name,
                        url->origin);
        good = false;
    }
    if (!good)
        url_release(url);
    return good;
}

static bool make_key_line(struct remote *r, const char *key, struct error *err)
{
    struct buf before = {0};
    if (!key || !key[0])
        return true;
    if (!secret_check(r->name, key, err))
        return false;
    buf_printf(&before, "%s: %s", r->client->key_header, r->client->key_prefix);
    r->key_line = secret_new(buf_text(&before), key, err);
    buf_release(&before);
    return r->key_line != NULL;
}

static bool make_endpoint(struct remote *r, const struct remote_options *o, const struct url *url,
                          struct error *err)
{
    struct arena arena = {0};
    const char *lines[LINES_MAX + 1] = {"Content-Type: application/json",
                                        "Accept-Encoding: identity",
                                        "Expect:"};  // else libcurl asks first whether it may
    size_t n = 3;
    for (const struct client_header *h = r->client->headers; h && h->name && n < LINES_MAX; h++)
        lines[n++] = arena_printf(&arena, "%s: %s", h->name, h->value);
    struct post_options p = {
        .base_url = url->text,
        .lines = lines,
        .key_line = r->key_line,
        .ca_file = o->ca_file,
        .no_proxy = remote_is_loopback(url->origin),
        .connect_ms = (int64_t)((o->connect_s > 0 ? o->connect_s : 10) * 1000) + 1,
        .max_connections = o->max_connections > 0 ? o->max_connections : DEFAULT_CONNECTIONS};
    r->endpoint = post_endpoint_new(r->all->loop, &p, err);
    arena_release(&arena);
    return r->endpoint != NULL;
}

static int64_t seconds(double given, double otherwise)
{
    return (int64_t)((given > 0 ? given : otherwise) * 1e9);
}

static void set_limits(struct remote *r, const struct remote_options *o)
{
    r->first_ns = seconds(o->first_s, 120);
    r->between_ns = seconds(o->between_s, 60);
    r->total_ns = seconds(o->total_s, 3600);
    r->retries = o->retries < 0 ? DEFAULT_RETRIES : o->retries;
    r->breaker = (struct breaker){
        .failures_max = o->breaker_failures > 0 ? o->breaker_failures : DEFAULT_FAILURES,
        .rest_ns = seconds(o->breaker_rest_s, 15),
        .seed = hash_mix((uint64_t)clock_ns()) ^ hash_bytes(r->name, strlen(r->name), 1)};
}

struct provider *provider_remote_new(struct remotes *all, const struct remote_options *o,
                                     struct error *err)
{
    static const struct provider_ops ops = {.describe = describe,
                                            .start = start,
                                            .wait = remote_wait,
                                            .cancel = remote_cancel,
                                            .resume = remote_resume,
                                            .answer_free = remote_answer_free,
                                            .count = count,
                                            .tokenize = tokenize,
                                            .detokenize = detokenize,
                                            .ready = ready,
                                            .load = load,
                                            .free = free_remote};
    struct remote *r = memory_array(struct remote, 1);
    const char *base = o->base_url ? o->base_url : o->client->base_url;
    struct url url = {0};
    r->provider.ops = &ops;
    r->all = all;
    r->name = memory_text(o->name);
    r->client = o->client;
    pthread_mutex_init(&r->lock, NULL);
    set_limits(r, o);
    bool ok = read_base(r->name, base, o->key && o->key[0], &url, err) &&
              make_key_line(r, o->key, err) && make_endpoint(r, o, &url, err) &&
              remote_health_start(r, o, url.origin, err);
    url_release(&url);
    if (ok)
        return &r->provider;
    free_remote(&r->provider);
    return NULL;
}
