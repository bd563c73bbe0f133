#include "providers/local_models.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

enum { BUSY_RETRY_S = 2 };

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

static uint64_t room_left(struct local_models *l)
{
    uint64_t budget = l->options.models_memory, used = 0;
    if (budget == UINT64_MAX)
        return budget;
    if (budget == UINT64_MAX)
        return budget;
    pthread_mutex_lock(&l->lock);
    for (const struct local_model *m = l->models; m; m = m->next)
        used += m->bytes;
    pthread_mutex_unlock(&l->lock);
    return used < budget ? budget - used : 0;
}

// Takes the least recently used model that nobody uses out of the list. *busy: others are used.
static struct local_model *least_used(struct local_models *l, bool *busy)
{
    struct local_model **least = NULL, *m;
    *busy = false;
    pthread_mutex_lock(&l->lock);
    for (struct local_model **at = &l->models; *at; at = &(*at)->next) {
        if ((*at)->n_users)
            *busy = true;
        else if (!least || (*at)->last_use < (*least)->last_use)
            least = at;
    }
    m = least ? *least : NULL;
    if (m) {
        *least = m->next;
        l->n_unloaded++;
    }
    pthread_mutex_unlock(&l->lock);
    return m;
}

// With the loader's lock held. What does not fit beside others is tried again without one of them.
static struct local_model *open_model(struct local_models *l, const char *path, const char *real,
                                      struct error *err)
{
    for (;;) {
        bool busy;
        struct local_model *m = local_model_open(path, real, &l->options, room_left(l), err);
        if (m || err->code != ERR_MEMORY)
            return m;
        struct local_model *least = least_used(l, &busy);
        if (!least) {
            if (!busy)
                return NULL;
            (void)error_set(err, ERR_BUSY, "there is no room for this model beside those in use");
            err->retry_after_s = BUSY_RETRY_S;
            return NULL;
        }
        log_info("%s is unloaded: there must be room for another model", least->name);
        local_model_close(least);
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

bool local_models_ready(struct local_models *l, const char *reference)
{
    char path[MODEL_REF_BYTES], *real;
    struct error err;
    if (!find_path(reference, path, &real, &err))
        return true;  // taking it fails at once
    pthread_mutex_lock(&l->lock);
    bool ready = known_model(l, real) != NULL;
    pthread_mutex_unlock(&l->lock);
    free(real);
    return ready;
}
