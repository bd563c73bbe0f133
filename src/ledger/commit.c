// commit.c - one transaction of the writer: usage, what is spent, what is leased.
//
// Settlements and leases that concern a key on one day become one "touch"; touches go through the
// database in the order of their keys, so that two processes never wait for each other in a ring.
// What memory says is changed only when the transaction is committed; then what is leased is what
// the database said. So a failed one can be tried again as it is, even if it was committed after
// all: its rows of usage are there then, and nothing is booked twice.
#include "ledger/ledger_impl.h"

#include "base/memory.h"
#include "ledger/money.h"
#include "ledger/sql.h"

struct touch {
    uint64_t key;
    int64_t day, month;
    int64_t cost;         // of rows that are new
    struct lease *lease;  // NULL: the key has no budgets. Only the writer removes leases
    int64_t give;
    int64_t least, most;  // asked for beyond what is free; least 0: nothing is
    int64_t leased;       // afterwards
    int64_t left[LEDGER_PERIODS], others;
    bool asked, short_of, lost, want;
};
struct touches {
    struct touch *items;
    size_t n, capacity;
};

static int64_t capped_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum) || sum > MONEY_MAX)
        return MONEY_MAX;
    return sum;
}

static struct touch *add_touch(struct touches *all, uint64_t key, int64_t day, struct lease *lease)
{
    memory_grow(all->items, all->capacity, all->n + 1);
    struct touch *t = &all->items[all->n++];
    *t = (struct touch){.key = key, .day = day, .month = month_of(day), .lease = lease};
    return t;
}

// What waiters need beyond what is free: the smallest of them, and all.
static void ask(struct touch *t, struct lease *s)
{
    int64_t least = INT64_MAX, sum = 0, free_now = lease_free(s);
    for (struct waiter *w = s->waiters; w; w = w->next) {
        w->seen = true;
        least = w->amount < least ? w->amount : least;
        sum = capped_add(sum, w->amount);
    }
    if (s->waiters && least > free_now) {
        t->least = least - free_now;
        t->most = sum - free_now;
    } else if (s->restore && free_now < 0) {
        t->least = 1;
        t->most = -free_now;
    }
}

static void collect_leases(struct ledger *l, struct touches *all)
{
    if (!l->leases_due)
        return;
    l->leases_due = false;
    for (size_t i = 0; i < LEASE_BUCKETS; i++)
        for (struct lease *s = l->leases[i]; s; s = s->next) {
            if (!s->waiters && !s->give_back && !s->restore)
                continue;
            struct touch *t = add_touch(all, s->key, s->day, s);
            if (s->give_back && !s->waiters && lease_free(s) > 0)
                t->give = s->returning = lease_free(s);
            ask(t, s);
        }
}

enum { USAGE_VALUES = 18 };

static void usage_values(const struct settled *in, struct store_value v[USAGE_VALUES])
{
    const struct ledger_usage *u = &in->usage;
    const struct store_value all[USAGE_VALUES] = {{.text = u->request_id},
                                                  {.number = (int64_t)in->key},
                                                  {.text = u->model},
                                                  {.text = u->provider},
                                                  {.text = u->served},
                                                  {.number = u->at_s},
                                                  {.number = u->prompt_tokens},
                                                  {.number = u->cached_tokens},
                                                  {.number = u->cache_write_tokens},
                                                  {.number = u->completion_tokens},
                                                  {.number = u->reasoning_tokens},
                                                  {.number = u->cost},
                                                  {.number = u->bytes_sent},
                                                  {.number = u->bytes_received},
                                                  {.number = u->first_ms},
                                                  {.number = u->total_ms},
                                                  {.number = u->estimated},
                                                  {.text = u->outcome}};
    memcpy(v, all, sizeof all);
}

static int by_key_and_day(const void *a, const void *b)
{
    const struct touch *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->day < y->day ? -1 : x->day > y->day;
}

// Sorts them, and makes one of those that are of one key and day.
static void merge(struct touches *all)
{
    size_t n = 0;
    if (all->n > 1)
        qsort(all->items, all->n, sizeof *all->items, by_key_and_day);
    for (size_t i = 0; i < all->n; i++) {
        struct touch *t = &all->items[i], *last = n ? &all->items[n - 1] : NULL;
        if (!last || last->key != t->key || last->day != t->day) {
            all->items[n++] = *t;
            continue;
        }
        last->cost = capped_add(last->cost, t->cost);
        last->give += t->give;
        last->least = t->least ? t->least : last->least;
        last->most = t->most ? t->most : last->most;
        last->lease = t->lease ? t->lease : last->lease;
    }
    all->n = n;
}

static void keep_number(void *self, const struct store_value *row, int n)
{
    if (n)
        *(int64_t *)self = row[0].number;
}

static void keep_left(void *self, const struct store_value *row, int n)
{
    struct touch *t = self;
    if (n != 2 * LEDGER_PERIODS + 1)
        return;
    for (int k = 0; k < LEDGER_PERIODS; k++)  // of each: spent and leased
        t->left[k] = capped_add(row[k].number, row[LEDGER_PERIODS + k].number);
    t->others = row[2 * LEDGER_PERIODS].number;
}

static bool more_leased(struct ledger *l, struct touch *t, int64_t amount, struct error *err)
{
    struct store_value v[] = {{.number = l->process},
                              {.number = (int64_t)t->key},
                              {.number = t->day},
                              {.number = t->month},
                              {.number = amount}};
    int64_t leased = -1;
    if (!l->ops->run(l->store, sql_lease_more, v, 5, keep_number, &leased, err))
        return false;
    t->lost = leased < 0;  // this process was taken for dead: it must register again
    t->leased = t->lost ? 0 : leased;
    return true;
}

// As much as is asked for and a sixteenth of what is left, so that most reservations that follow
// need no database; less, but never less than one waiter needs, where less is left.
static bool lease_more(struct ledger *l, struct touch *t, struct error *err)
{
    struct store_value v[] = {{.number = (int64_t)t->key},
                              {.number = t->day},
                              {.number = t->month},
                              {.number = l->process}};
    int64_t least_left = MONEY_MAX;
    if (!l->ops->run(l->store, sql_left, v, 4, keep_left, t, err))
        return false;
    t->asked = true;
    for (int k = 0; k < LEDGER_PERIODS; k++) {
        int64_t budget = t->lease->budgets[k];
        t->left[k] = budget < 0 ? MONEY_MAX : budget > t->left[k] ? budget - t->left[k] : 0;
        least_left = t->left[k] < least_left ? t->left[k] : least_left;
    }
    int64_t part = t->lease->contended_until_ns ? 0 : least_left / 16;
    int64_t amount = t->most > part ? t->most : part;
    amount = amount < least_left ? amount : least_left;
    t->short_of = least_left < t->most;
    if (t->short_of && t->others > 0 && t->least <= capped_add(least_left, t->others)) {
        struct store_value w[] = {{.number = (int64_t)t->key}, {.number = l->process}};
        t->want = true;
        if (!l->ops->run(l->store, sql_lease_want, w, 2, NULL, NULL, err))
            return false;
    }
    return least_left < t->least || more_leased(l, t, amount, err);
}

static bool lease_less(struct ledger *l, struct touch *t, int64_t amount, struct error *err)
{
    struct store_value v[] = {{.number = l->process},
                              {.number = (int64_t)t->key},
                              {.number = t->day},
                              {.number = amount}};
    t->leased = 0;
    if (!l->ops->run(l->store, sql_lease_less, v, 4, keep_number, &t->leased, err))
        return false;
    return t->leased > 0 || l->ops->run(l->store, sql_lease_drop, v, 3, NULL, NULL, err);
}

static bool apply(struct ledger *l, struct touch *t, struct error *err)
{
    struct store_value v[] = {{.number = (int64_t)t->key},
                              {.number = t->day},
                              {.number = t->month},
                              {.number = t->cost},
                              {.number = MONEY_MAX}};
    if (l->ops->lock_key && !l->ops->run(l->store, l->ops->lock_key, v, 1, NULL, NULL, err))
        return false;
    if (t->cost > 0 && !l->ops->run(l->store, sql_spend, v, 5, NULL, NULL, err))
        return false;
    if (!t->lease)
        return true;
    t->leased = t->lease->leased;
    int64_t less = capped_add(t->cost, t->give);
    if (less > 0 && t->leased > 0 && !lease_less(l, t, less, err))
        return false;
    return t->least == 0 || lease_more(l, t, err);
}

static void finish_waiter(struct ledger *l, struct lease *s, struct waiter **at,
                          enum waiter_state state)
{
    struct waiter *w = *at;
    *at = w->next;
    w->state = state;
    if (state == GRANTED) {
        s->held += w->amount;
        s->n_open++;
    } else {
        l->health.refused++;
    }
}

// In their order: who fits is granted; who does not, where no more was left, waits a moment for
// other processes to give back, if there are any that can, or is refused.
static void answer_waiters(struct ledger *l, const struct touch *t, int64_t now_ns)
{
    struct lease *s = t->lease;
    for (struct waiter **at = &s->waiters; *at;) {
        struct waiter *w = *at;
        bool patient = t->want && now_ns < w->begun_ns + LEDGER_ASK_MS * INT64_C(1000000) &&
                       now_ns >= s->impatient_until_ns;
        if (w->seen && w->amount <= lease_free(s) && now_ns < l->valid_ns) {
            finish_waiter(l, s, at, GRANTED);
        } else if (w->seen && t->asked && t->short_of && !patient) {
            for (int k = 1; k < LEDGER_PERIODS; k++)
                w->kind = t->left[k] < t->left[w->kind] ? k : w->kind;
            w->left = capped_add(t->left[w->kind], lease_free(s) > 0 ? lease_free(s) : 0);
            if (t->want && now_ns >= s->impatient_until_ns)
                s->impatient_until_ns = now_ns + 1000000000;
            finish_waiter(l, s, at, REFUSED);
        } else {
            at = &w->next;
        }
    }
    if (s->waiters) {
        l->leases_due = true;
        // Who waits for others need not ask the database all the time.
        if (t->want)
            l->next_try_ns = now_ns + 30 * INT64_C(1000000);
    }
}

static void after_commit(struct ledger *l, const struct touches *all, size_t n, int64_t late)
{
    int64_t now_ns = ledger_kernel_ns();
    for (size_t i = 0; i < n; i++) {
        struct settled *in = &l->batch.items[l->batch_done + i];
        struct lease *s = in->leased ? lease_find(l, in->key, in->day) : NULL;
        if (s && in->usage.cost > 0)
            s->queued -= in->usage.cost;
    }
    for (size_t i = 0; i < all->n; i++) {
        struct touch *t = &all->items[i];
        if (!t->lease)
            continue;
        t->lease->leased = t->leased;
        t->lease->returning = 0;
        t->lease->give_back = false;
        t->lease->restore = t->lost;
        if (t->lost) {
            l->registered = false;
            l->valid_ns = 0;
            l->leases_due = true;
        } else {
            answer_waiters(l, t, now_ns);
        }
    }
    l->batch_done += n;
    l->places -= (int64_t)n;
    l->n_done += n;
    l->health.committed += (int64_t)n - late;
    l->health.commits += n > 0;
    l->health.late += l->unsure ? 0 : late;
    l->unsure = false;
    writer_went_well(l);  // before anybody who waited for it looks
}

static void after_failure(struct ledger *l, const struct touches *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].lease) {
            all->items[i].lease->returning = 0;
            l->leases_due = true;
        }
}

static void add_cost(struct ledger *l, struct touches *all, const struct settled *in)
{
    if (!in->key || in->usage.cost <= 0)
        return;
    pthread_mutex_lock(&l->lock);
    struct lease *s = in->leased ? lease_find(l, in->key, in->day) : NULL;
    pthread_mutex_unlock(&l->lock);
    add_touch(all, in->key, in->day, s)->cost = in->usage.cost;
}

// Up to STORE_ROWS rows of usage at a time; those that were there before cost nothing.
static bool insert_usage(struct ledger *l, struct touches *all, const struct settled *in, int n,
                         int64_t *late, struct error *err)
{
    struct store_value values[STORE_ROWS * USAGE_VALUES] = {0};
    bool inserted[STORE_ROWS];
    for (int i = 0; i < n; i++)
        usage_values(&in[i], values + (ptrdiff_t)i * USAGE_VALUES);
    if (!l->ops->run_each(l->store, sql_usage_insert, values, USAGE_VALUES, n, inserted, err))
        return false;
    for (int i = 0; i < n; i++) {
        *late += !inserted[i];
        if (inserted[i])
            add_cost(l, all, &in[i]);
    }
    return true;
}

static bool book(struct ledger *l, struct touches *all, size_t n, int64_t *late, struct error *err)
{
    const struct settled *in = l->batch.items + l->batch_done;
    for (size_t i = 0; i < n; i += STORE_ROWS) {
        int rows = n - i < STORE_ROWS ? (int)(n - i) : STORE_ROWS;
        if (!insert_usage(l, all, in + i, rows, late, err))
            return false;
    }
    merge(all);
    for (size_t i = 0; i < all->n; i++)
        if (!apply(l, &all->items[i], err))
            return false;
    return true;
}

// Under the lock: what this transaction will be of.
static size_t collect(struct ledger *l, struct touches *all)
{
    if (l->batch_done == l->batch.n) {
        struct settled_list emptied = l->batch;
        l->batch = l->waiting;
        emptied.n = 0;
        if (emptied.capacity > 4 * LEDGER_BATCH) {  // after a time without the database
            free(emptied.items);
            emptied = (struct settled_list){0};
        }
        l->waiting = emptied;
        l->batch_done = 0;
    }
    collect_leases(l, all);
    size_t n = l->batch.n - l->batch_done;
    return n < LEDGER_BATCH ? n : LEDGER_BATCH;
}

// Before leases are asked for: this process is known to lease, and nobody dead holds any. After a
// transaction that failed, perhaps only after it was made, what is leased is what the database
// says.
static bool prepare(struct ledger *l, struct error *err)
{
    bool freed;
    pthread_mutex_lock(&l->lock);
    bool due = l->leases_due, valid = ledger_kernel_ns() < l->valid_ns;
    pthread_mutex_unlock(&l->lock);
    if (l->registered && l->unsure && !process_look(l, err))
        return false;
    return !due || (l->registered && valid) ||
           (process_renew(l, err) && process_reap(l, &freed, err));
}

static bool transact(struct ledger *l, struct touches *all, size_t n, int64_t *late,
                     struct error *err)
{
    bool ok = l->ops->script(l->store, l->ops->begin, err) && book(l, all, n, late, err) &&
              l->ops->script(l->store, "COMMIT", err);
    if (!ok)
        (void)l->ops->script(l->store, "ROLLBACK", NULL);
    return ok;
}

bool writer_commit(struct ledger *l, bool *asked, struct error *err)
{
    struct touches all = {0};
    int64_t late = 0;
    *asked = false;
    if (!prepare(l, err))
        return false;
    pthread_mutex_lock(&l->lock);
    size_t n = collect(l, &all);
    pthread_mutex_unlock(&l->lock);
    if (n == 0 && all.n == 0)
        return true;
    bool ok = transact(l, &all, n, &late, err);
    pthread_mutex_lock(&l->lock);
    if (ok)
        after_commit(l, &all, n, late);
    else
        after_failure(l, &all);
    pthread_cond_broadcast(&l->progress);
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < all.n; i++)
        *asked = *asked || all.items[i].want;
    free(all.items);
    return ok;
}
