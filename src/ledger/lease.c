// lease.c - what this process has leased, in memory. Everything here is called with the lock held.
#include <stdio.h>

#include "base/hash.h"
#include "base/memory.h"
#include "ledger/ledger_impl.h"
#include "ledger/money.h"

// All days of a key are in one bucket.
static struct lease **bucket(struct ledger *l, uint64_t key)
{
    return &l->leases[hash_mix(key) % LEASE_BUCKETS];
}

struct lease *lease_find(struct ledger *l, uint64_t key, int64_t day)
{
    struct lease *s = *bucket(l, key);
    while (s && (s->key != key || s->day != day))
        s = s->next;
    return s;
}

// On its first day what is left of the days before is given back, for the month and the total.
struct lease *lease_get(struct ledger *l, const struct ledger_key *key, int64_t day)
{
    struct lease *s = lease_find(l, key->number, day);
    if (!s) {
        for (struct lease *o = *bucket(l, key->number); o; o = o->next)
            if (o->key == key->number && lease_free(o) > 0)
                o->give_back = l->leases_due = true;
        s = memory_array(struct lease, 1);
        s->key = key->number;
        s->day = day;
        s->month = month_of(day);
        s->next = *bucket(l, key->number);
        *bucket(l, key->number) = s;
        s->budgets[0] = key->budget_day;  // a key's never change: the writer reads without the lock
        s->budgets[1] = key->budget_month;
        s->budgets[2] = key->budget_total;
    }
    return s;
}

void leases_look(struct ledger *l)
{
    int64_t now_ns = ledger_kernel_ns(), today = day_of(ledger_now_s(l));
    const int64_t idle_ns = LEDGER_IDLE_S * INT64_C(1000000000);
    for (size_t i = 0; i < LEASE_BUCKETS; i++)
        for (struct lease **at = &l->leases[i]; *at;) {
            struct lease *s = *at;
            bool idle = now_ns - s->used_ns > idle_ns;
            if (s->contended_until_ns && now_ns > s->contended_until_ns)
                s->contended_until_ns = 0;
            if (lease_free(s) > 0 && (idle || s->contended_until_ns || s->day < today))
                s->give_back = l->leases_due = true;
            if (idle && !s->leased && !s->n_open && !s->queued && !s->waiters) {
                *at = s->next;
                free(s);
            } else {
                at = &s->next;
            }
        }
}

bool lease_refusal(const struct lease *s, const struct waiter *w, struct error *err)
{
    static const char *const periods[] = {" a day", " a month", ""};
    char budget[MONEY_TEXT_BYTES], left[MONEY_TEXT_BYTES], needed[MONEY_TEXT_BYTES];
    char day[DATE_TEXT_BYTES], renewed[DATE_TEXT_BYTES + 32] = "it is not renewed";
    if (w->kind < 2) {
        int64_t next = w->kind == 0 ? s->day + 1 : month_begins(s->month + 1);
        (void)snprintf(renewed, sizeof renewed, "it is renewed on %s (UTC)", day_text(next, day));
    }
    return error_set(err, ERR_BUDGET,
                     "of this key's budget of $%s%s, $%s are left and this request may cost $%s; "
                     "%s",
                     money_shown(s->budgets[w->kind], budget), periods[w->kind],
                     money_shown(w->left, left), money_shown(w->amount, needed), renewed);
}
