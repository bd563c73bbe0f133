// process.c - who leases: this process in the database, and the leases of those that are dead.
//
// SQLite: a process is dead when its number is gone or given to another (by its time of start), or
// when it is of an earlier boot; only where it is in another pid namespace does its lease's time
// decide. PostgreSQL: that time decides, by the server's clock. Times of SQLite are the kernel's
// since boot, which no change of the clock moves.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "ledger/ledger_impl.h"
#include "ledger/sql.h"

enum { BOOT_BYTES = 64 };

struct identity {
    char boot[BOOT_BYTES];
    int64_t space, pid, started;
};
struct other {
    int64_t id;
    struct identity is;
    int64_t expires_s;
};
struct others {
    struct other *items;
    size_t n, capacity;
};

int64_t ledger_kernel_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// When a process was started, in ticks since boot: the 22nd field, counted behind the name, which
// may hold anything. -1: not to be read.
static int64_t started(int64_t pid)
{
    char path[64];
    struct buf text = {0};
    int64_t ticks = -1;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (file_read(path, 4096, &text, NULL)) {
        char *p = strrchr(text.ptr, ')');
        for (int field = 2; p && field < 22; field++)
            p = strchr(p + 1, ' ');
        if (p)
            ticks = strtoll(p + 1, NULL, 10);
    }
    buf_release(&text);
    return ticks;
}

static void identify(struct identity *me)
{
    struct stat st;
    struct buf text = {0};
    *me = (struct identity){.pid = getpid(), .started = started(getpid())};
    if (stat("/proc/self/ns/pid", &st) == 0)
        me->space = (int64_t)st.st_ino;
    if (file_read("/proc/sys/kernel/random/boot_id", 256, &text, NULL))
        (void)snprintf(me->boot, sizeof me->boot, "%.*s", (int)strcspn(text.ptr, "\n"), text.ptr);
    buf_release(&text);
}

static bool is_gone(const struct identity *who)
{
    if (kill((pid_t)who->pid, 0) != 0 && errno == ESRCH)
        return true;
    int64_t now = started(who->pid);
    return now >= 0 && who->started >= 0 && now != who->started;
}

static bool is_dead(const struct ledger *l, const struct other *o, const struct identity *me,
                    int64_t now_s)
{
    if (!l->ops->one_machine || !me->boot[0] || !o->is.boot[0])
        return o->expires_s < now_s;
    if (strcmp(o->is.boot, me->boot) != 0)
        return true;
    if (o->is.space && o->is.space == me->space)
        return is_gone(&o->is);
    return o->expires_s < now_s;
}

static void keep_number(void *self, const struct store_value *row, int n)
{
    if (n)
        *(int64_t *)self = row[0].number;
}

bool process_now(struct ledger *l, int64_t *now_s, struct error *err)
{
    *now_s = ledger_kernel_ns() / 1000000000;
    return !l->ops->now || l->ops->run(l->store, l->ops->now, NULL, 0, keep_number, now_s, err);
}

static bool insert(struct ledger *l, int64_t expires_s, struct error *err)
{
    struct identity me;
    identify(&me);
    struct store_value v[] = {{.number = l->process}, {.text = me.boot},
                              {.number = me.space},   {.number = me.pid},
                              {.number = me.started}, {.number = expires_s}};
    return l->ops->run(l->store, sql_process_insert, v, 6, NULL, NULL, err);
}

// All that was leased before is lost with the row: it is leased again as far as it is held.
static void lost_all(struct ledger *l)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < LEASE_BUCKETS; i++)
        for (struct lease *s = l->leases[i]; s; s = s->next) {
            s->leased = 0;
            s->restore = s->held > 0;
            l->leases_due = l->leases_due || s->restore;
        }
    pthread_mutex_unlock(&l->lock);
}

struct leased {
    uint64_t key;
    int64_t day, picousd;
};
struct all_leased {
    struct leased *items;
    size_t n, capacity;
};

static void keep_leased(void *self, const struct store_value *row, int n)
{
    struct all_leased *all = self;
    if (n != 3)
        return;
    memory_grow(all->items, all->capacity, all->n + 1);
    all->items[all->n++] = (struct leased){(uint64_t)row[0].number, row[1].number, row[2].number};
}

bool process_look(struct ledger *l, struct error *err)
{
    struct all_leased all = {0};
    struct store_value v = {.number = l->process};
    bool ok = l->ops->run(l->store, sql_leases_of, &v, 1, keep_leased, &all, err);
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; ok && i < LEASE_BUCKETS; i++)
        for (struct lease *s = l->leases[i]; s; s = s->next)
            s->leased = 0;
    for (size_t i = 0; ok && i < all.n; i++) {
        struct lease *s = lease_find(l, all.items[i].key, all.items[i].day);
        if (s)
            s->leased = all.items[i].picousd;
    }
    pthread_mutex_unlock(&l->lock);
    free(all.items);
    return ok;
}

static bool renew(struct ledger *l, bool *was_there, struct error *err)
{
    int64_t now_s, found = 0;
    if (!process_now(l, &now_s, err))
        return false;
    int64_t expires_s = now_s + l->options.lease_s;
    struct store_value v[] = {{.number = l->process}, {.number = expires_s}};
    if (l->registered && !l->ops->run(l->store, sql_process_renew, v, 2, keep_number, &found, err))
        return false;
    *was_there = found == l->process;
    return *was_there || insert(l, expires_s, err);
}

bool process_renew(struct ledger *l, struct error *err)
{
    const int64_t second = 1000000000;
    int64_t begun_ns = ledger_kernel_ns();
    bool was_there = false, was_registered = l->registered;
    bool ok = l->ops->script(l->store, l->ops->begin, err);
    ok = ok && renew(l, &was_there, err) && l->ops->script(l->store, "COMMIT", err);
    if (!ok) {
        (void)l->ops->script(l->store, "ROLLBACK", NULL);
        return false;
    }
    if (!was_there && was_registered) {
        log_warn("ledger: what this process had leased was taken for that of a dead one");
        lost_all(l);
    }
    // After a time without the database others may be late like this one: they get time to renew.
    if (was_registered && begun_ns > l->valid_ns)
        l->reap_ns = begun_ns + l->options.lease_s * second / 2;
    l->registered = true;
    l->next_renew_ns = begun_ns + l->options.lease_s * second / 3;
    pthread_mutex_lock(&l->lock);
    // A tenth, and the second that whole seconds may lose, are kept back.
    l->valid_ns = begun_ns + l->options.lease_s * second / 10 * 9 - second / 10;
    pthread_mutex_unlock(&l->lock);
    return true;
}

static void keep_other(void *self, const struct store_value *row, int n)
{
    struct others *all = self;
    if (n != 6 || !row[1].text)
        return;
    memory_grow(all->items, all->capacity, all->n + 1);
    struct other *o = &all->items[all->n++];
    *o = (struct other){.id = row[0].number, .expires_s = row[5].number};
    (void)snprintf(o->is.boot, sizeof o->is.boot, "%s", row[1].text);
    o->is.space = row[2].number;
    o->is.pid = row[3].number;
    o->is.started = row[4].number;
}

static bool forget(struct ledger *l, int64_t process, struct error *err)
{
    struct store_value v = {.number = process};
    return l->ops->run(l->store, sql_process_leases_delete, &v, 1, NULL, NULL, err) &&
           l->ops->run(l->store, sql_process_delete, &v, 1, NULL, NULL, err);
}

static bool reap(struct ledger *l, bool *freed, struct error *err)
{
    struct others all = {0};
    struct identity me;
    int64_t now_s;
    struct store_value v = {.number = l->process};
    identify(&me);
    bool ok = process_now(l, &now_s, err) &&
              l->ops->run(l->store, sql_processes, &v, 1, keep_other, &all, err);
    for (size_t i = 0; ok && i < all.n; i++)
        if (is_dead(l, &all.items[i], &me, now_s)) {
            ok = forget(l, all.items[i].id, err);
            *freed = true;
        }
    free(all.items);
    return ok && l->ops->run(l->store, sql_leases_of_nobody, NULL, 0, NULL, NULL, err);
}

bool process_reap(struct ledger *l, bool *freed, struct error *err)
{
    *freed = false;
    if (ledger_kernel_ns() < l->reap_ns)
        return true;
    if (l->ops->script(l->store, l->ops->alone, err) && reap(l, freed, err) &&
        l->ops->script(l->store, "COMMIT", err))
        return true;
    (void)l->ops->script(l->store, "ROLLBACK", NULL);
    return false;
}

void process_leave(struct ledger *l)
{
    if (!l->store || !l->registered)
        return;
    if (!l->ops->script(l->store, l->ops->begin, NULL) || !forget(l, l->process, NULL) ||
        !l->ops->script(l->store, "COMMIT", NULL))
        (void)l->ops->script(l->store, "ROLLBACK", NULL);
}
