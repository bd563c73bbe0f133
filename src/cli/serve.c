// serve.c - `hearth serve`: provider, gateway and server, built bottom-up and taken down in
// reverse.
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/stack.h"
#include "gateway/gateway.h"
#include "providers/remote.h"
#include "server/server.h"

// Those of -m first, then what the configuration names.
static bool add_models(const struct stack *st, const struct settings *s, struct error *err)
{
    for (size_t i = 0; i < s->models.n; i++)
        if (!gateway_add_model(st->gateway, s->models.items[i], err))
            return false;
    return gateway_add_routes(st->gateway, err);
}

static void set_memory(struct settings *s)
{
    uint64_t free_bytes = system_memory_available();
    if (!s->models_memory && free_bytes < INT64_MAX)
        s->models_memory = (int64_t)(free_bytes - free_bytes / 10);
}

enum { PEM_BYTES_MAX = 1 << 20, DEFAULT_PORT = 8080 };

static bool read_tls(const struct settings *s, struct buf *certificate, struct buf *key,
                     struct error *err)
{
    if (!s->tls_cert && !s->tls_key)
        return true;
    if (!s->tls_cert || !s->tls_key)
        return error_set(err, ERR_USAGE, "--tls-cert and --tls-key belong together");
    return file_read(s->tls_cert, PEM_BYTES_MAX, certificate, err) &&
           file_read(s->tls_key, PEM_BYTES_MAX, key, err);
}

// Option beats file.
static const char *host_of(const struct settings *s, const struct config *c)
{
    return s->host ? s->host : c->host ? c->host : "127.0.0.1";
}

static int port_of(const struct settings *s, const struct config *c)
{
    return s->port >= 0 ? s->port : c->port >= 0 ? c->port : DEFAULT_PORT;
}

static void tell_address(const struct settings *s, const struct config *c,
                         const struct server *server)
{
    const char *host = host_of(s, c);
    bool v6 = strchr(host, ':');
    (void)printf("listening on http%s://%s%s%s:%d\n", s->tls_cert ? "s" : "", v6 ? "[" : "", host,
                 v6 ? "]" : "", server_port(server));
    (void)fflush(stdout);
}

// With errors in it the old one stays in force.
static void reload(struct stack *st, struct server *server, const struct settings *s)
{
    struct error err = {0};
    if (!stack_reload(st, s, &err)) {
        log_warn("%s; the configuration from before stays in force", err.text);
        return;
    }
    server_allow_vendors(server, st->allow_vendors);
    if (!s->quiet)
        (void)fprintf(stderr, "hearth: the configuration was read again\n");
}

// The first model is loaded. A route may lack vendors' keys at first, and others can be asked all
// the same.
static bool load_first(struct stack *st, struct error *err)
{
    struct model_info info;
    bool ok = gateway_describe(st->gateway, NULL, &info, err);
    progress_clear(&st->progress);
    if (ok || interrupted() || !st->config.n_routes)
        return ok;
    log_warn("%s", err->text);
    return true;
}

// Until the first Ctrl-C or SIGTERM; then what runs may come to its end.
static bool serve(struct stack *st, struct server *server, const struct settings *s,
                  struct error *err)
{
    if (!load_first(st, err))
        return interrupted();  // asked to end before it could begin: that is no failure
    server_ready(server);
    while (interrupt_wait())
        reload(st, server, s);
    int n = server_drain(server, s->drain, NULL);
    if (n)
        log_warn("%d requests were cut off after %d s", n, s->drain);
    return true;
}

static int serve_command(struct settings *s)
{
    struct stack st;
    struct error err = {0};
    struct server_options o = {.timeout_s = s->timeout,
                               .answer_s = s->deadline,
                               .queue_max = s->queue_max,
                               .load_wait_s = s->load_wait,
                               .quiet = s->quiet};
    struct server *server = NULL;
    struct buf certificate = {0}, key = {0};
    interrupt_catch_all();
    set_memory(s);
    bool ok = stack_open_server(&st, s, &err) && add_models(&st, s, &err) &&
              read_tls(s, &certificate, &key, &err);
    if (ok) {
        o.host = host_of(s, &st.config);
        o.port = port_of(s, &st.config);
        o.ledger = st.ledger;
        o.loop = st.remotes ? remotes_loop(st.remotes) : NULL;
        o.allow_vendors = st.allow_vendors;
        o.metrics_open = s->metrics_open;
        gateway_follow_store(st.gateway);
        o.certificate = certificate.ptr;
        o.key = key.ptr;
        server = server_open(st.gateway, &o, &err);
        ok = server != NULL;
    }
    if (ok) {
        tell_address(s, &st.config, server);
        ok = serve(&st, server, s, &err);
    }
    buf_release(&certificate);
    buf_release(&key);
    server_close(server);
    stack_close(&st);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "a server with the API of a cloud",
    .description =
        "Answers many clients at once over HTTP as OpenAI does: POST /v1/chat/completions, "
        "streamed "
        "or whole, /v1/embeddings, /v1/summaries, GET /v1/models; official client libraries work "
        "with base URL "
        "http://127.0.0.1:8080/v1 and any key. http://127.0.0.1:8080/ is a web page to chat, to "
        "have "
        "documents summarized and to watch the engine. GET /health says starting, ready or "
        "draining; "
        "GET /metrics is for Prometheus.\n\n"
        "Clients name a model by its file's or folder's name without its ending. With several -m, "
        "the first is loaded at the start and is meant by who names none; the others, and the "
        "models "
        "of the local store, are loaded when they are first asked for. What was not used for "
        "longest is unloaded when another needs its memory (--models-memory).\n\n"
        "Routes and vendors are named by the configuration (--config; docs/gateway.md, read again "
        "at "
        "SIGHUP). While no key was ever created (`hearth keys`), only loopback addresses are "
        "served, and web pages of other origins are refused; from then on everybody needs a key. "
        "The address is printed on standard output; a line of JSON for each "
        "request goes to standard error, without its text (--quiet: none). A first Ctrl-C or "
        "SIGTERM refuses new requests, lets running ones end (--drain) and exits with 0; a second "
        "one ends at once.",
    .options = "model config offline ledger allow-vendors metrics-open host port timeout deadline "
               "queue-max models-memory load-wait "
               "drain tls-cert "
               "tls-key tool-format pooling max-seqs ctx threads "
               "pin isa kv quantize packed "
               "speculate draft",
    .min_words = 0,
    .max_words = 0,
    .run = serve_command,
};
