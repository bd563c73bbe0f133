// ledger.c - opening and closing; reservations and settlements, which are of memory alone but where
// a lease is used up.
#include "ledger/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "ledger/ledger_impl.h"
#include "ledger/money.h"

enum { CLOSE_S = 30 };

int64_t ledger_now_s(struct ledger *l)
{
    int64_t now_s;
    if (l->options.clock_s) {
        now_s = l->options.clock_s(l->options.clock_self);
    } else {
        struct timespec t;
        (void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
        now_s = t.tv_sec;
    }
    if (now_s > l->last_now_s)
        l->last_now_s = now_s;
    return l->last_now_s;
}

static void init_locks(struct ledger *l)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_mutex_init(&l->second_lock, NULL);
    (void)pthread_cond_init(&l->work, &attr);
    (void)pthread_cond_init(&l->progress, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static void release(struct ledger *l)
{
    for (size_t i = 0; i < LEASE_BUCKETS; i++)
        for (struct lease *s = l->leases[i], *next; s; s = next) {
            next = s->next;
            free(s);
        }
    keys_forget(l);
    if (l->ops) {
        l->ops->close(l->store);
        l->ops->close(l->second);
    }
    free(l->waiting.items);
    free(l->batch.items);
    ledger_place_release(l);
    (void)pthread_cond_destroy(&l->work);
    (void)pthread_cond_destroy(&l->progress);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_mutex_destroy(&l->second_lock);
    free(l);
}

static bool start(struct ledger *l, struct error *err)
{
    if (getrandom(&l->process, sizeof l->process, 0) != (ssize_t)sizeof l->process)
        return error_set(err, ERR_IO, "no random numbers: %s", strerror(errno));
    l->process &= INT64_MAX;
    l->keys_version = -1;
    if (!ledger_place(l, l->options.where, err) ||
        !writer_open(l, !l->options.must_be_there, err) || !keys_refresh(l, -1, err))
        return false;
    l->keys_read_ns = ledger_kernel_ns();
    l->health.writable = true;
    return pthread_create(&l->thread, NULL, ledger_writer, l) == 0 ||
           error_set(err, ERR_IO, "the ledger's thread cannot be started");
}

struct ledger *ledger_open_with(const struct ledger_options *o, struct error *err)
{
    struct ledger *l = memory_array(struct ledger, 1);
    l->options = *o;
    if (!l->options.lease_s)
        l->options.lease_s = LEDGER_LEASE_S;
    init_locks(l);
    if (!start(l, err)) {
        release(l);
        return NULL;
    }
    return l;
}

struct ledger *ledger_open(const char *where, struct error *err)
{
    return ledger_open_with(&(struct ledger_options){.where = where}, err);
}

struct ledger *ledger_open_made(const char *where, struct error *err)
{
    return ledger_open_with(&(struct ledger_options){.where = where, .must_be_there = true}, err);
}

const char *ledger_made(const struct ledger *l)
{
    if (!l->made)
        return NULL;
    return l->ops == &store_sqlite ? l->where : "the PostgreSQL database";
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->closing_ns = ledger_kernel_ns() + CLOSE_S * INT64_C(1000000000);
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    (void)pthread_join(l->thread, NULL);
    if (l->n_done < l->n_settled)
        log_error("ledger: %llu settlements could not be committed",
                  (unsigned long long)(l->n_settled - l->n_done));
    process_leave(l);
    release(l);
}

// A connection that was lost meanwhile only shows when it is used.
struct store *ledger_second(struct ledger *l, struct error *err)
{
    static const char alive[] = "SELECT 1";
    pthread_mutex_lock(&l->second_lock);
    if (l->second &&
        (!l->ops->usable(l->second) || !l->ops->run(l->second, alive, NULL, 0, NULL, NULL, NULL))) {
        l->ops->close(l->second);
        l->second = NULL;
    }
    if (!l->second)
        l->second =
            l->ops->open(l->where, false, l->options.wait_ms ? l->options.wait_ms : 5000, err);
    return l->second;
}

void ledger_second_end(struct ledger *l)
{
    pthread_mutex_unlock(&l->second_lock);
}

static bool refuse_busy(struct ledger *l, const char *why, struct error *err)
{
    l->health.refused++;
    error_set(err, ERR_BUSY, "nothing can be reserved at the moment: %s", why);
    if (err)
        err->retry_after_s = 1;
    return false;
}

static void leave_waiters(struct lease *s, struct waiter *w)
{
    for (struct waiter **at = &s->waiters; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            return;
        }
}

// So long may one more wait. A database that answers does so in a few milliseconds.
static int64_t patience_ns(const struct ledger *l, int64_t now_ns)
{
    const int64_t ms = 1000000;
    if (!l->waiters_max || l->n_waiters < l->waiters_max)
        return LEDGER_WAIT_MS * ms;
    return now_ns - l->answered_ns > LEDGER_HURRY_MS * ms ? 0 : LEDGER_HURRY_MS * ms;
}

// Until the writer has answered; false if it has not.
static bool wait_for_answer(struct ledger *l, struct lease *s, struct waiter *w, int64_t patience)
{
    struct waiter **at = &s->waiters;
    while (*at)
        at = &(*at)->next;
    *at = w;
    if (l->n_waiters++ == 0)
        l->answered_ns = w->begun_ns;
    l->leases_due = true;
    pthread_cond_signal(&l->work);
    int64_t until = clock_ns() + patience;
    struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    while (w->state == WAITING)
        if (pthread_cond_timedwait(&l->progress, &l->lock, &t) == ETIMEDOUT)
            break;
    l->n_waiters--;
    if (w->state == WAITING)
        leave_waiters(s, w);
    else
        l->answered_ns = ledger_kernel_ns();
    return w->state != WAITING;
}

// The writer asks the database. A lease with a waiter is not removed.
static bool wait_for_lease(struct ledger *l, struct lease *s, int64_t amount, struct error *err)
{
    struct waiter w = {.amount = amount, .begun_ns = ledger_kernel_ns(), .state = WAITING};
    if (l->failing)
        return refuse_busy(l, l->failure.text, err);
    int64_t patience = patience_ns(l, w.begun_ns);
    if (!patience || !wait_for_answer(l, s, &w, patience))
        return refuse_busy(l, "the ledger's database does not answer", err);
    if (w.state == FAILED)
        return refuse_busy(l, w.error.text, err);
    return w.state == GRANTED || lease_refusal(s, &w, err);
}

static bool has_budget(const struct ledger_key *k)
{
    return k && (k->budget_day >= 0 || k->budget_month >= 0 || k->budget_total >= 0);
}

static bool reserve(struct ledger *l, const struct ledger_key *key, int64_t amount, bool may_wait,
                    struct ledger_hold *out, struct error *err)
{
    if (l->places >= LEDGER_PLACES)
        return may_wait &&
               refuse_busy(l, l->failing ? l->failure.text : "too many requests are open", err);
    out->at_s = ledger_now_s(l);
    out->leased = has_budget(key);
    if (out->leased) {
        struct lease *s = lease_get(l, key, day_of(out->at_s));
        s->used_ns = ledger_kernel_ns();
        if (s->used_ns < l->valid_ns && amount <= lease_free(s)) {
            s->held += amount;
            s->n_open++;
        } else if (!may_wait || !wait_for_lease(l, s, amount, err)) {
            return false;
        }
    }
    out->open = true;
    l->places++;
    return true;
}

static bool reserve_for(struct ledger *l, const struct ledger_key *key, int64_t amount,
                        bool may_wait, struct ledger_hold *out, struct error *err)
{
    assert(amount >= 0);
    *out = (struct ledger_hold){.amount = amount < MONEY_MAX ? amount : MONEY_MAX};
    if (key) {
        out->key_number = key->number;
        memcpy(out->key_id, key->id, sizeof out->key_id);
    }
    pthread_mutex_lock(&l->lock);
    bool ok = reserve(l, key, out->amount, may_wait, out, err);
    pthread_mutex_unlock(&l->lock);
    return ok;
}

bool ledger_reserve(struct ledger *l, const struct ledger_key *key, int64_t amount,
                    struct ledger_hold *out, struct error *err)
{
    return reserve_for(l, key, amount, true, out, err);
}

bool ledger_reserve_now(struct ledger *l, const struct ledger_key *key, int64_t amount,
                        struct ledger_hold *out)
{
    return reserve_for(l, key, amount, false, out, NULL);
}

// What was held is free again, less what was spent.
static void close_hold(struct ledger *l, struct ledger_hold *hold, int64_t spent)
{
    assert(hold->open);
    hold->open = false;
    if (!hold->leased)
        return;
    struct lease *s = lease_find(l, hold->key_number, day_of(hold->at_s));
    assert(s);
    s->held -= hold->amount;
    s->n_open--;
    s->queued += spent;
    if (s->contended_until_ns && lease_free(s) > 0)
        s->give_back = l->leases_due = true;
}

void ledger_cancel(struct ledger *l, struct ledger_hold *hold)
{
    pthread_mutex_lock(&l->lock);
    close_hold(l, hold, 0);
    l->places--;
    if (l->leases_due)
        pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
}

// Texts that any database takes: whole characters of UTF-8, nothing else.
static void clean(char *text, size_t capacity)
{
    text[capacity - 1] = 0;
    size_t n = strlen(text);
    if (utf8_valid(text, n))
        return;
    uint32_t code;
    for (size_t i = 0, len; i < n; i += len ? len : 1) {
        len = utf8_decode(text + i, n - i, &code);
        if (!len)
            text[i] = '?';
    }
}

static int64_t at_least(int64_t n, int64_t least)
{
    return n < least ? least : n;
}

static void clean_usage(struct ledger_usage *u)
{
    clean(u->request_id, sizeof u->request_id);
    clean(u->model, sizeof u->model);
    clean(u->provider, sizeof u->provider);
    clean(u->served, sizeof u->served);
    clean(u->outcome, sizeof u->outcome);
    u->cost = u->cost < 0 ? -1 : u->cost > MONEY_MAX ? MONEY_MAX : u->cost;
    u->prompt_tokens = at_least(u->prompt_tokens, 0);
    u->cached_tokens = at_least(u->cached_tokens, 0);
    u->cache_write_tokens = at_least(u->cache_write_tokens, 0);
    u->completion_tokens = at_least(u->completion_tokens, 0);
    u->reasoning_tokens = at_least(u->reasoning_tokens, 0);
    u->bytes_sent = at_least(u->bytes_sent, 0);
    u->bytes_received = at_least(u->bytes_received, 0);
    u->first_ms = at_least(u->first_ms, -1);
    u->total_ms = at_least(u->total_ms, -1);
}

void ledger_settle(struct ledger *l, struct ledger_hold *hold, const struct ledger_usage *usage)
{
    assert(usage->request_id[0]);
    pthread_mutex_lock(&l->lock);
    memory_grow(l->waiting.items, l->waiting.capacity, l->waiting.n + 1);
    struct settled *in = &l->waiting.items[l->waiting.n++];
    in->usage = *usage;
    clean_usage(&in->usage);
    in->key = hold->key_number;
    in->day = day_of(hold->at_s);
    in->leased = hold->leased;
    close_hold(l, hold, in->usage.cost > 0 ? in->usage.cost : 0);
    l->n_settled++;
    if (l->waiting.n == 1) {
        l->first_ns = ledger_kernel_ns();
        pthread_cond_signal(&l->work);
    } else if (l->waiting.n == LEDGER_BATCH || l->leases_due) {
        pthread_cond_signal(&l->work);
    }
    pthread_mutex_unlock(&l->lock);
}

bool ledger_flush(struct ledger *l, int seconds, struct error *err)
{
    int64_t until = clock_ns() + seconds * INT64_C(1000000000);
    struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    pthread_mutex_lock(&l->lock);
    uint64_t to = l->n_settled;
    if (to > l->flush_to)
        l->flush_to = to;
    pthread_cond_signal(&l->work);
    while (l->n_done < to)
        if (pthread_cond_timedwait(&l->progress, &l->lock, &t) == ETIMEDOUT)
            break;
    bool ok = l->n_done >= to;
    if (!ok && l->failing)
        error_set(err, ERR_TIMEOUT, "settlements are not committed after %d s: %s", seconds,
                  l->failure.text);
    else if (!ok)
        error_set(err, ERR_TIMEOUT, "settlements are not committed after %d s", seconds);
    pthread_mutex_unlock(&l->lock);
    return ok;
}

void ledger_bound_waiters(struct ledger *l, int n)
{
    pthread_mutex_lock(&l->lock);
    l->waiters_max = n;
    pthread_mutex_unlock(&l->lock);
}

void ledger_health(struct ledger *l, struct ledger_health *out)
{
    pthread_mutex_lock(&l->lock);
    *out = l->health;
    out->waiting = (int64_t)(l->n_settled - l->n_done);
    pthread_mutex_unlock(&l->lock);
}
