#include "gateway/model_names.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "providers/model_ref.h"
#include "providers/stored_models.h"

struct entry {
    struct model_name name;  // never changes
    char *reference;
    struct entry *next;
};
struct list {
    const struct model_name **items;
    size_t n, capacity;
};
struct model_names {
    pthread_mutex_t lock;
    struct entry *all;  // also of models that are gone: somebody may hold their names
    struct list shown;
    size_t n_given;  // the first of those shown, by model_names_add
    size_t n_added;  // these with the routes; the store's follow
    bool follow;
    uint64_t mark;  // of the store, as it was read last
};

struct model_names *model_names_new(void)
{
    struct model_names *m = memory_array(struct model_names, 1);
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

void model_names_free(struct model_names *m)
{
    if (!m)
        return;
    for (struct entry *e = m->all, *next; e; e = next) {
        next = e->next;
        free(e->reference);
        free(e);
    }
    free(m->shown.items);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct model_name *with_id(const struct list *l, const char *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i]->id, id) == 0)
            return l->items[i];
    return NULL;
}

static void show(struct list *l, const struct model_name *name)
{
    memory_grow(l->items, l->capacity, l->n + 1);
    l->items[l->n++] = name;
}

static const struct model_name *make(struct model_names *m, const char *id, const char *path,
                                     bool route)
{
    struct entry *e = memory_array(struct entry, 1);
    struct stat st;
    (void)snprintf(e->name.id, sizeof e->name.id, "%s", id);
    e->reference = memory_text(path);
    e->name.reference = e->reference;
    e->name.route = route;
    e->name.created = route ? (int64_t)time(NULL) : stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
    e->next = m->all;
    m->all = e;
    return &e->name;
}

// The same name with the same file, be it from a list that is gone.
static const struct model_name *known(const struct model_names *m, const char *id, const char *path,
                                      bool route)
{
    for (const struct entry *e = m->all; e; e = e->next)
        if (strcmp(e->name.id, id) == 0 && strcmp(e->reference, path) == 0 &&
            e->name.route == route)
            return &e->name;
    return NULL;
}

static bool add(struct model_names *m, const char *id, const char *path, struct error *err)
{
    pthread_mutex_lock(&m->lock);
    bool ok = !with_id(&m->shown, id);
    if (ok) {
        show(&m->shown, make(m, id, path, false));
        m->n_given = m->n_added = m->shown.n;
    }
    pthread_mutex_unlock(&m->lock);
    return ok || error_set(err, ERR_USAGE, "two models are called '%s'", id);
}

bool model_names_add(struct model_names *m, const char *reference, struct error *err)
{
    char path[MODEL_REF_BYTES], id[MODEL_ID_BYTES];
    if (!model_ref_path(reference, path, err))
        return false;
    model_ref_name(path, id, sizeof id);
    return add(m, id, path, err);
}

// One more of a list that is not in force yet. False: its id is another one's.
static bool show_more(struct model_names *m, struct list *l, const char *id, const char *path,
                      bool route)
{
    const struct model_name *same = with_id(l, id);
    if (same)
        return !route && strcmp(same->reference, path) == 0;
    const struct model_name *name = known(m, id, path, route);
    show(l, name ? name : make(m, id, path, route));
    return true;
}

bool model_names_set_routes(struct model_names *m, const char *local, const char *const *ids,
                            size_t n, struct error *err)
{
    struct list next = {0};
    char path[MODEL_REF_BYTES], id[MODEL_ID_BYTES];
    const char *taken = NULL;
    pthread_mutex_lock(&m->lock);
    bool wanted = local || (!n && !m->n_given);
    if (wanted && !model_ref_path(local, path, err)) {
        pthread_mutex_unlock(&m->lock);
        return false;
    }
    for (size_t i = 0; i < m->n_given; i++)
        show(&next, m->shown.items[i]);
    if (wanted) {
        model_ref_name(path, id, sizeof id);
        taken = show_more(m, &next, id, path, false) ? NULL : id;
    }
    for (size_t i = 0; i < n && !taken; i++)
        taken = show_more(m, &next, ids[i], ids[i], true) ? NULL : ids[i];
    if (taken) {
        free(next.items);
    } else {
        free(m->shown.items);
        m->shown = next;
        m->n_added = next.n;
        m->mark = 0;  // the store's are read again
    }
    pthread_mutex_unlock(&m->lock);
    return !taken || error_set(err, ERR_USAGE, "two models are called '%s'", taken);
}

static void show_stored(struct model_names *m, const char *stored)
{
    char path[MODEL_REF_BYTES], id[MODEL_ID_BYTES];
    char reference[MODEL_REF_BYTES];
    struct error err = {0};
    (void)snprintf(reference, sizeof reference, "local/%s", stored);
    if (!model_ref_path(reference, path, &err)) {
        log_warn("%s", err.text);
    } else {
        model_ref_name(path, id, sizeof id);
        const struct model_name *name = known(m, id, path, false);
        if (!with_id(&m->shown, id))
            show(&m->shown, name ? name : make(m, id, path, false));
    }
}

// With the lock held: what came to the store is shown, what went is not.
static void look(struct model_names *m)
{
    size_t n;
    uint64_t mark = m->follow ? stored_models_mark() : m->mark;
    if (mark == m->mark)
        return;
    m->mark = mark;
    m->shown.n = m->n_added;
    char **stored = stored_models(&n);
    for (size_t i = 0; i < n; i++)
        show_stored(m, stored[i]);
    stored_models_free(stored, n);
}

void model_names_follow_store(struct model_names *m)
{
    pthread_mutex_lock(&m->lock);
    m->follow = true;
    look(m);
    pthread_mutex_unlock(&m->lock);
}

bool model_names_any(struct model_names *m)
{
    pthread_mutex_lock(&m->lock);
    bool any = m->shown.n || m->follow;
    pthread_mutex_unlock(&m->lock);
    return any;
}

size_t model_names_count(struct model_names *m)
{
    pthread_mutex_lock(&m->lock);
    look(m);
    size_t n = m->shown.n;
    pthread_mutex_unlock(&m->lock);
    return n;
}

const struct model_name *model_names_at(struct model_names *m, size_t i)
{
    pthread_mutex_lock(&m->lock);
    const struct model_name *name = i < m->shown.n ? m->shown.items[i] : NULL;
    pthread_mutex_unlock(&m->lock);
    return name;
}

// "qwen" for "qwen:q4_k_m", as on the command line; *n says how many there are.
static const struct model_name *without_quant(const struct list *l, const char *id, size_t *n)
{
    const struct model_name *found = NULL;
    size_t len = strlen(id);
    for (size_t i = 0; i < l->n; i++) {
        if (strncmp(l->items[i]->id, id, len) != 0 || l->items[i]->id[len] != ':')
            continue;
        found = l->items[i];
        ++*n;
    }
    return found;
}

static const struct model_name *search(const struct model_names *m, const char *name, size_t *n)
{
    *n = 0;
    if (!name || !*name)
        return m->shown.n ? m->shown.items[0] : NULL;
    const char *id = strncmp(name, "local/", 6) == 0 ? name + 6 : name;
    const struct model_name *found = with_id(&m->shown, id);
    return found || !*id ? found : without_quant(&m->shown, id, n);
}

const struct model_name *model_names_find(struct model_names *m, const char *name,
                                          struct error *err)
{
    size_t n;
    const char *asked = name ? name : "";
    pthread_mutex_lock(&m->lock);
    const struct model_name *found = search(m, name, &n);
    if (!found) {
        look(m);
        found = search(m, name, &n);
    }
    pthread_mutex_unlock(&m->lock);
    if (found && n <= 1)
        return found;
    if (found)
        (void)error_set(err, ERR_UNSUPPORTED,
                        "model '%.100s' is there in %zu quantizations: "
                        "name one",
                        asked, n);
    else
        (void)error_set(err, ERR_NOT_FOUND, "there is no model '%.100s'", asked);
    return NULL;
}
