#include "providers/local_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

enum { BUSY_RETRY_S = 2, WANTED_MS = 2000 };

struct loading {
    struct loading *next;
    const char *real;
};

void local_models_init(struct local_models *l, const struct local_options *o)
{
    *l = (struct local_models){.options = *o};
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->loader, NULL);
    pthread_cond_init(&l->loaded, NULL);
}

void local_models_release(struct local_models *l)
{
    for (struct local_model *m = l->models, *next; m; m = next) {
        next = m->next;
        local_model_close(m);
    }
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->loader);
    pthread_cond_destroy(&l->loaded);
}

static struct local_model *known_model(const struct local_models *l, const char *real)
{
    struct local_model *m = l->models;
    while (m && strcmp(m->real, real) != 0)
        m = m->next;
    return m;
}

static bool is_loading(const struct local_models *l, const char *real)
{
    const struct loading *x = l->loading;
    while (x && strcmp(x->real, real) != 0)
        x = x->next;
    return x != NULL;
}

// Room in the budget
//
// A model that must wait for others to be done keeps what they give back: those that have to go
// take no new requests (local_models_ready), and what loads meanwhile fits beside both.

static bool is_wanted(const struct local_models *l)
{
    return clock_ns() < l->wanted.until_ns;
}

// With the lock held, as all of these.
static uint64_t bytes_of(const struct local_models *l, bool (*which)(const struct local_model *m))
{
    uint64_t bytes = 0;
    for (const struct local_model *m = l->models; m; m = m->next)
        bytes += which(m) ? m->bytes : 0;
    return bytes;
}

static bool is_any(const struct local_model *m)
{
    return m != NULL;
}

static bool is_used(const struct local_model *m)
{
    return m->n_users > 0;
}

static bool goes(const struct local_model *m)
{
    return m->leaves;
}

// What is kept for the model that waits, beyond what leaves for it, from all others.
static uint64_t kept_from(const struct local_models *l, const char *real)
{
    uint64_t leaving = bytes_of(l, goes);
    if (!is_wanted(l) || strcmp(l->wanted.real, real) == 0 || l->wanted.bytes <= leaving)
        return 0;
    return l->wanted.bytes - leaving;
}

static uint64_t room_beside(const struct local_models *l, const char *real, uint64_t used)
{
    uint64_t budget = l->options.models_memory;
    if (budget == UINT64_MAX)
        return budget;
    used += kept_from(l, real);
    return used < budget ? budget - used : 0;
}

// The least recently used of those that somebody uses, or that nobody does; NULL: none.
static struct local_model *least_used(const struct local_models *l, bool used)
{
    struct local_model *least = NULL;
    for (struct local_model *m = l->models; m; m = m->next)
        if (is_used(m) == used && !(used && m->leaves) && (!least || m->last_use < least->last_use))
            least = m;
    return least;
}

static struct local_model *take_out(struct local_models *l, struct local_model *m)
{
    struct local_model **at = &l->models;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    l->n_unloaded++;
    return m;
}

// Has enough models leave for this one, unless another one waits already: it comes first.
static void want(struct local_models *l, const char *real, uint64_t bytes)
{
    struct local_model *m;
    bool again = strcmp(l->wanted.real, real) == 0;
    if (is_wanted(l) && !again)
        return;
    if (!is_wanted(l) || !again)
        for (m = l->models; m; m = m->next)
            m->leaves = false;
    (void)snprintf(l->wanted.real, sizeof l->wanted.real, "%s", real);
    l->wanted.bytes = bytes;
    l->wanted.until_ns = clock_ns() + WANTED_MS * INT64_C(1000000);
    while ((bytes_of(l, goes) == 0 ||
            room_beside(l, real, bytes_of(l, is_any) - bytes_of(l, goes)) < bytes) &&
           (m = least_used(l, true)) != NULL)
        m->leaves = true;
}

// What did not fit beside others (needs: bytes at least; 0: unknown): *idle is one to close before
// it is tried again. False with err, which says already that it does not fit.
static bool make_room(struct local_models *l, const char *real, uint64_t needs,
                      struct local_model **idle, struct error *err)
{
    pthread_mutex_lock(&l->lock);
    // Models are not closed in vain.
    bool helps = room_beside(l, real, bytes_of(l, is_used)) >= needs;
    struct local_model *m = helps ? least_used(l, false) : NULL;
    bool waits = bytes_of(l, is_used) > 0 || kept_from(l, real) > 0;
    if (m)
        *idle = take_out(l, m);
    else if (waits)
        want(l, real, needs);
    pthread_mutex_unlock(&l->lock);
    if (!m && waits) {
        (void)error_set(err, ERR_BUSY, "there is no room for this model beside those in use");
        err->retry_after_s = BUSY_RETRY_S;
    }
    return m != NULL;
}

// With the loader's lock held. What does not fit beside others is tried again without one of them.
static struct local_model *open_model(struct local_models *l, const char *path, const char *real,
                                      struct error *err)
{
    for (;;) {
        pthread_mutex_lock(&l->lock);
        uint64_t room = room_beside(l, real, bytes_of(l, is_any)), needs = 0;
        pthread_mutex_unlock(&l->lock);
        struct local_model *idle = NULL,
                           *m = local_model_open(path, real, &l->options, room, &needs, err);
        if (m || err->code != ERR_MEMORY || !make_room(l, real, needs, &idle, err))
            return m;
        log_info("%s is unloaded: there must be room for another model", idle->name);
        local_model_close(idle);
    }
}

// With the lock held, which is given up while the model loads.
static struct local_model *load_model(struct local_models *l, const char *path, const char *real,
                                      struct error *err)
{
    struct loading *mine = memory_array(struct loading, 1);
    struct error why = {0};
    *mine = (struct loading){.next = l->loading, .real = real};
    l->loading = mine;
    pthread_mutex_unlock(&l->lock);
    pthread_mutex_lock(&l->loader);
    struct local_model *m = open_model(l, path, real, &why);
    pthread_mutex_lock(&l->lock);
    struct loading **at = &l->loading;
    while (*at != mine)
        at = &(*at)->next;
    *at = mine->next;
    free(mine);
    if (m) {
        m->next = l->models;
        l->models = m;
        m->n_users = 1;  // before the next one that loads looks for room
        if (strcmp(l->wanted.real, real) == 0)
            l->wanted.until_ns = 0;
        l->n_loaded++;
    } else if (err) {
        *err = why;
    }
    pthread_mutex_unlock(&l->loader);
    pthread_cond_broadcast(&l->loaded);
    return m;
}

// The path of a reference, and by what it is known. False with err. *real is to be freed.
static bool find_path(const char *reference, char path[MODEL_REF_BYTES], char **real,
                      struct error *err)
{
    if (!model_ref_path(reference, path, err))
        return false;
    // Known by its real path, opened by the one that was given: the names of a model's parts, and
    // its own, may be those of links.
    *real = realpath(path, NULL);
    if (!*real)
        *real = memory_text(path);
    if (strlen(*real) < MODEL_REF_BYTES)
        return true;
    free(*real);
    return error_set(err, ERR_LIMIT, "model path is longer than %d bytes", MODEL_REF_BYTES);
}

struct local_model *local_models_take(struct local_models *l, const char *reference,
                                      struct error *err)
{
    char path[MODEL_REF_BYTES], *real;
    struct local_model *m = NULL;
    if (!find_path(reference, path, &real, err))
        return NULL;
    pthread_mutex_lock(&l->lock);
    while (!(m = known_model(l, real)) && is_loading(l, real))
        pthread_cond_wait(&l->loaded, &l->lock);
    if (m)
        m->n_users++;
    else
        m = load_model(l, path, real, err);
    if (m)
        m->last_use = ++l->uses;
    pthread_mutex_unlock(&l->lock);
    free(real);
    return m;
}

void local_models_give(struct local_models *l, struct local_model *m)
{
    pthread_mutex_lock(&l->lock);
    m->n_users--;
    pthread_mutex_unlock(&l->lock);
}

bool local_models_ready(struct local_models *l, const char *reference, bool has_waited)
{
    char path[MODEL_REF_BYTES], *real;
    struct error err;
    if (!find_path(reference, path, &real, &err))
        return true;  // taking it fails at once
    pthread_mutex_lock(&l->lock);
    const struct local_model *m = known_model(l, real);
    bool ready = m && (has_waited || !m->leaves || !is_wanted(l));
    pthread_mutex_unlock(&l->lock);
    free(real);
    return ready;
}
