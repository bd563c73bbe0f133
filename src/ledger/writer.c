// writer.c - the ledger's own thread: it commits what was settled, leases what is asked for, renews
// what it has leased, and looks for what other processes changed.
//
// Whatever fails is tried again, with a growing pause of up to half a second; meanwhile nobody
// waits for a lease: reservations that need one are refused.
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/system.h"
#include "ledger/ledger_impl.h"
#include "ledger/schema.h"
#include "ledger/sql.h"

#define MS INT64_C(1000000)
enum { BACKOFF_LEAST_MS = 20, BACKOFF_MOST_MS = 500 };

bool writer_open(struct ledger *l, bool make, struct error *err)
{
    int wait_ms = l->options.wait_ms ? l->options.wait_ms : make ? 5000 : 1000;
    l->store = l->ops->open(l->where, make, wait_ms, err);
    if (!l->store)
        return false;
    bool made = false;
    if (!schema_prepare(l->ops, l->store, make, &made, err)) {
        l->ops->close(l->store);
        l->store = NULL;
        return false;
    }
    l->made = l->made || made;
    return true;
}

// Again after the database was gone: it may be another one, restored from elsewhere.
static bool open_again(struct ledger *l, struct error *err)
{
    if (l->store && l->ops->usable(l->store))
        return true;
    l->ops->close(l->store);
    l->store = NULL;
    if (!writer_open(l, false, err))
        return false;
    l->keys_version = -1;
    l->unsure = true;
    l->next_renew_ns = 0;
    return true;
}

static void failed(struct ledger *l, const struct error *err)
{
    l->unsure = true;
    l->backoff_ms = l->backoff_ms ? l->backoff_ms * 2 : BACKOFF_LEAST_MS;
    if (l->backoff_ms > BACKOFF_MOST_MS)
        l->backoff_ms = BACKOFF_MOST_MS;
    pthread_mutex_lock(&l->lock);
    if (!l->failing)
        log_warn("%s; settlements wait in memory", err->text);
    l->failing = true;
    l->failure = *err;
    l->health.writable = false;
    l->next_try_ns = ledger_kernel_ns() + l->backoff_ms * MS;
    for (size_t i = 0; i < LEASE_BUCKETS; i++)
        for (struct lease *s = l->leases[i]; s; s = s->next)
            while (s->waiters) {
                struct waiter *w = s->waiters;
                s->waiters = w->next;
                w->state = FAILED;
                w->error = *err;
            }
    pthread_cond_broadcast(&l->progress);
    pthread_mutex_unlock(&l->lock);
}

void writer_went_well(struct ledger *l)
{
    l->backoff_ms = 0;
    if (l->failing)
        log_warn("ledger: the database can be written again");
    l->failing = false;
    l->health.writable = true;
}

struct polled {
    int64_t keys_version, wanted;
};

static void keep_polled(void *self, const struct store_value *row, int n)
{
    struct polled *p = self;
    if (n == 2)
        *p = (struct polled){row[0].number, row[1].number};
}

static void keep_wanted(void *self, const struct store_value *row, int n)
{
    struct ledger *l = self;
    if (n != 2)
        return;
    pthread_mutex_lock(&l->lock);
    struct lease *s = lease_find(l, (uint64_t)row[0].number, row[1].number);
    if (s) {
        s->contended_until_ns = ledger_kernel_ns() + 2000 * MS;
        s->give_back = l->leases_due = true;
    }
    pthread_mutex_unlock(&l->lock);
}

// What others changed: keys, and what they want of ours.
static bool look(struct ledger *l, struct error *err)
{
    struct polled p = {0};
    struct store_value v = {.number = l->process};
    bool changed = false;
    if (!l->ops->changed(l->store, &changed, err))
        return false;
    l->look_due = l->look_due || changed;  // until it was looked at whole
    if (!l->look_due && l->keys_version >= 0)
        return true;
    if (!l->ops->run(l->store, sql_poll, &v, 1, keep_polled, &p, err))
        return false;
    if (p.keys_version != l->keys_version) {
        if (!keys_refresh(l, l->keys_version, err))
            return false;
        l->keys_version = p.keys_version;
    }
    if (p.wanted && !l->ops->run(l->store, sql_wanted, &v, 1, keep_wanted, l, err))
        return false;
    l->look_due = false;
    return true;
}

static bool poll(struct ledger *l, int64_t now_ns, struct error *err)
{
    pthread_mutex_lock(&l->lock);
    uint64_t asked = l->poll_asked;
    pthread_mutex_unlock(&l->lock);
    if (!look(l, err))
        return false;
    pthread_mutex_lock(&l->lock);
    l->keys_read_ns = now_ns;
    l->poll_done = asked;
    leases_look(l);
    pthread_cond_broadcast(&l->progress);
    pthread_mutex_unlock(&l->lock);
    l->next_poll_ns = now_ns + LEDGER_POLL_MS * MS;
    return true;
}

// Leases of dead processes are looked for when somebody is refused, and now and then.
static bool reap_if(struct ledger *l, bool asked, int64_t now_ns, struct error *err)
{
    bool freed = false;
    int64_t pause = asked ? 300 * MS : l->options.lease_s * INT64_C(1000000000);
    if (!l->registered || now_ns - l->reaped_ns < pause)
        return true;
    l->reaped_ns = now_ns;
    return process_reap(l, &freed, err);
}

static bool cycle(struct ledger *l, bool poll_due, struct error *err)
{
    int64_t now_ns = ledger_kernel_ns();
    bool asked;
    if (!open_again(l, err))
        return false;
    // Looking comes first: keys can be read where nothing can be written.
    if (poll_due && !poll(l, now_ns, err))
        return false;
    if (l->registered && now_ns >= l->next_renew_ns && !process_renew(l, err))
        return false;
    return writer_commit(l, &asked, err) && reap_if(l, asked, now_ns, err);
}

// When there is something to do next; with the lock held. 0: now.
static int64_t next_due(const struct ledger *l)
{
    int64_t due = l->next_poll_ns;
    size_t n = l->waiting.n + (l->batch.n - l->batch_done);
    if (l->poll_asked != l->poll_done || l->leases_due)
        due = 0;
    if (n && (l->flush_to > l->n_done || l->closing_ns || n >= LEDGER_BATCH ||
              l->batch.n > l->batch_done))
        due = 0;
    else if (n && l->first_ns + LEDGER_GROUP_MS * MS < due)
        due = l->first_ns + LEDGER_GROUP_MS * MS;
    if (l->registered && l->next_renew_ns < due)
        due = l->next_renew_ns;
    return due > l->next_try_ns ? due : l->next_try_ns;
}

static bool all_done(const struct ledger *l, int64_t now_ns)
{
    return l->closing_ns && (l->n_done == l->n_settled || now_ns >= l->closing_ns);
}

// Until something is due, or a signal says that this may have changed. The condition's clock stands
// still while the machine sleeps, which makes no difference here.
static void rest(struct ledger *l, int64_t for_ns)
{
    int64_t until = clock_ns() + for_ns;
    struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    (void)pthread_cond_timedwait(&l->work, &l->lock, &t);
}

void *ledger_writer(void *self)
{
    struct ledger *l = self;
    system_give_way();
    pthread_mutex_lock(&l->lock);
    for (;;) {
        int64_t now_ns = ledger_kernel_ns(), due = next_due(l);
        if (all_done(l, now_ns))
            break;
        if (due > now_ns) {
            rest(l, due - now_ns);
            continue;
        }
        bool poll_due = now_ns >= l->next_poll_ns || l->poll_asked != l->poll_done;
        pthread_mutex_unlock(&l->lock);
        struct error err = {0};
        bool ok = cycle(l, poll_due, &err);
        if (!ok)
            failed(l, &err);
        pthread_mutex_lock(&l->lock);
        if (ok)
            writer_went_well(l);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}
