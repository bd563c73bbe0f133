#include "gateway/vendors.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/secret.h"
#include "config/config.h"
#include "dialects/client.h"
#include "providers/remote.h"

enum { KEY_BYTES_MAX = 16 << 10 };

struct named {
    struct vendor vendor;
    char name[64];
    struct named *next;
};
struct vendors {
    struct remotes *remotes;
    const struct config *config;
    bool for_others;
    pthread_mutex_t lock;
    struct named *made;
    struct named *told;  // without replicas: the operator was warned of these
};

struct known {  // the variables are those that the vendors' own SDKs read
    const char *name, *dialect, *key_env, *second_key_env, *base_env;
};
static const struct known known_vendors[] = {
    {"openai", "openai", "OPENAI_API_KEY", NULL, "OPENAI_BASE_URL"},
    {"anthropic", "anthropic", "ANTHROPIC_API_KEY", NULL, "ANTHROPIC_BASE_URL"},
    {"google", "gemini", "GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"},
};

static const struct known *find_known(const char *name)
{
    for (size_t i = 0; i < sizeof known_vendors / sizeof *known_vendors; i++)
        if (strcmp(known_vendors[i].name, name) == 0)
            return &known_vendors[i];
    return NULL;
}

static const struct config_provider *find_configured(const struct vendors *v, const char *name)
{
    for (size_t i = 0; v->config && i < v->config->n_providers; i++)
        if (strcmp(v->config->providers[i].name, name) == 0)
            return &v->config->providers[i];
    return NULL;
}

static struct named *find_named(struct named *n, const char *name)
{
    while (n && strcmp(n->name, name) != 0)
        n = n->next;
    return n;
}

static struct named *new_named(const char *name)
{
    struct named *n = memory_array(struct named, 1);
    (void)snprintf(n->name, sizeof n->name, "%s", name);
    n->vendor.name = n->name;
    return n;
}

static void drop(struct named *n)
{
    for (size_t i = 0; i < n->vendor.n_replicas; i++) {
        n->vendor.replicas[i]->ops->free(n->vendor.replicas[i]);
        free((char *)n->vendor.hosts[i]);
    }
    free(n);
}

static void drop_all(struct named *n)
{
    for (struct named *next; n; n = next) {
        next = n->next;
        drop(n);
    }
}

struct vendors *vendors_new(struct remotes *remotes, const struct config *config, bool for_others)
{
    struct vendors *v = memory_array(struct vendors, 1);
    v->remotes = remotes;
    v->config = config;
    v->for_others = for_others;
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void vendors_free(struct vendors *v)
{
    if (!v)
        return;
    drop_all(v->made);
    drop_all(v->told);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

bool vendors_split(const struct vendors *v, const char *reference, char name[64],
                   const char **model)
{
    const char *slash = reference ? strchr(reference, '/') : NULL;
    if (!slash || slash == reference || slash - reference >= 64 || !slash[1])
        return false;
    (void)snprintf(name, 64, "%.*s", (int)(slash - reference), reference);
    *model = slash + 1;
    return find_known(name) || find_configured(v, name);
}

static const char *variable(const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

// Editors and `echo` end a file's last line.
static void trim(struct buf *key)
{
    while (key->len && strchr(" \t\r\n", key->ptr[key->len - 1]))
        key->ptr[--key->len] = 0;
}

// A file of systemd's credentials (LoadCredential=), named as the variable would be.
static bool from_store(const char *name, struct buf *key)
{
    const char *folder = variable("CREDENTIALS_DIRECTORY");
    char path[4096];
    if (!folder || !name || snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    return file_exists(path) && file_read(path, KEY_BYTES_MAX, key, NULL);
}

static bool from_names(const char *first, const char *second, struct buf *key)
{
    const char *value = variable(first);
    if (!value)
        value = variable(second);
    if (value)
        buf_text_add(key, value);
    return value || from_store(first, key) || from_store(second, key);
}

static void forget(struct buf *key)
{
    if (key->capacity)
        explicit_bzero(key->ptr, key->capacity);
    buf_release(key);
}

// The key, or an empty one where none is asked for. False with err if one is missing or empty.
static bool read_key(const struct config_provider *p, const struct known *k, struct buf *key,
                     struct error *err)
{
    bool ok = true;
    const char *first = p && p->key_env ? p->key_env : k ? k->key_env : NULL;
    if (p && p->key_file)
        ok = file_read(p->key_file, KEY_BYTES_MAX, key, err);
    else if (first)
        ok = from_names(first, k && !(p && p->key_env) ? k->second_key_env : NULL, key) ||
             error_set(err, ERR_UNSUPPORTED, "there is no key for %s: set %s",
                       p ? p->name : k->name, first);
    trim(key);
    if (ok && !key->len && p && p->key_file)
        return error_set(err, ERR_UNSUPPORTED, "the key file '%s' is empty", p->key_file);
    if (ok && !key->len && first)
        return error_set(err, ERR_UNSUPPORTED, "the key in %s is empty", first);
    return ok;
}

static char *host_of(const char *base)
{
    const char *at = strstr(base, "://");
    at = at ? at + 3 : base;
    return memory_text_n(at, strcspn(at, "/"));
}

// base NULL: the client's own.
static bool add_replica(struct vendors *v, struct named *n, const struct config_provider *p,
                        const struct dialect_client *client, const char *base, const char *key,
                        struct error *err)
{
    size_t i = n->vendor.n_replicas;
    struct remote_options o = {.name = n->name,
                               .client = client,
                               .base_url = base,
                               .key = key,
                               .retries = p ? p->retries : -1};
    if (p) {
        o.ca_file = p->ca_file;
        o.connect_s = p->connect_s;
        o.first_s = p->first_s;
        o.between_s = p->between_s;
        o.total_s = p->total_s;
        o.breaker_failures = p->breaker_failures;
        o.breaker_rest_s = p->breaker_rest_s;
        o.health = p->health;
        o.health_every_s = p->health_every_s;
    }
    if (i == VENDOR_REPLICAS_MAX)
        return error_set(err, ERR_LIMIT, "%s has more than %d replicas", n->name,
                         VENDOR_REPLICAS_MAX);
    n->vendor.replicas[i] = provider_remote_new(v->remotes, &o, err);
    if (!n->vendor.replicas[i])
        return false;
    n->vendor.hosts[i] = host_of(base ? base : client->base_url);
    n->vendor.n_replicas++;
    return true;
}

static bool fill(struct vendors *v, struct named *n, struct error *err)
{
    const struct config_provider *p = find_configured(v, n->name);
    const struct known *k = find_known(n->name);
    const char *dialect = p ? p->dialect : k->dialect;
    const struct dialect_client *client = dialect_client_find(dialect);
    struct buf key = {0};
    if (!client)
        return error_set(err, ERR_UNSUPPORTED, "%s: there is no dialect '%s'", n->name, dialect);
    bool ok = read_key(p, k, &key, err);
    size_t n_urls = p ? p->n_base_urls : 0;
    for (size_t i = 0; ok && i < n_urls; i++)
        ok = add_replica(v, n, p, client, p->base_urls[i], buf_text(&key), err);
    if (ok && !n_urls)
        ok = add_replica(v, n, p, client, variable(k ? k->base_env : NULL), buf_text(&key), err);
    forget(&key);
    return ok;
}

// What others are told of a fault that only the operator can mend, who is told which it is, once.
static void tell_operator(struct vendors *v, const char *name, struct error *err)
{
    const struct config_provider *p = find_configured(v, name);
    if (!v->for_others)
        return;
    (void)error_wrap(err, "%s cannot be asked", name);
    if (p)
        (void)config_wrap(v->config, p->line, p->column, err);
    if (!find_named(v->told, name)) {
        struct named *n = new_named(name);
        n->next = v->told;
        v->told = n;
        log_warn("%s", err->text);
    }
    (void)error_set(err, ERR_UPSTREAM, "%s cannot be asked: this server is not set up for it",
                    name);
}

const struct vendor *vendors_find(struct vendors *v, const char *name, struct error *err)
{
    struct error why = {0};
    if (!v->remotes) {
        (void)error_set(err, ERR_FORBIDDEN, "%s is a vendor, and nothing may leave this machine",
                        name);
        return NULL;
    }
    pthread_mutex_lock(&v->lock);
    struct named *n = find_named(v->made, name);
    if (!n) {
        n = new_named(name);
        if (fill(v, n, &why)) {
            n->next = v->made;
            v->made = n;
        } else {
            drop(n);
            n = NULL;
            tell_operator(v, name, &why);
        }
    }
    pthread_mutex_unlock(&v->lock);
    if (n)
        return &n->vendor;
    if (err)
        *err = why;
    return NULL;
}

void vendors_check(struct vendors *v)
{
    size_t n = v->remotes && v->for_others && v->config ? v->config->n_providers : 0;
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < n; i++) {
        const struct config_provider *p = &v->config->providers[i];
        struct buf key = {0};
        struct error why = {0};
        if (!read_key(p, find_known(p->name), &key, &why) ||
            (key.len && !secret_check("its file or variable", buf_text(&key), &why)))
            tell_operator(v, p->name, &why);
        forget(&key);
    }
    pthread_mutex_unlock(&v->lock);
}
