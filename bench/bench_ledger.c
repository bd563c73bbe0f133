// bench_ledger.c - what reservations and settlements cost the thread that asks.
//
//   bench_ledger [--ledger sqlite:PATH] [--seconds 2] [--threads N] [--rate N]
//
// One key with budgets for day, month and total. Reported: pairs of ledger_reserve and
// ledger_settle a second, CPU time a pair (of all threads, the writer's too), and quantiles of one
// reservation's time. --rate: so many pairs a second instead of as many as there can be. The queue
// of settlements is bounded: where the database is slower, the pairs wait for it.
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "ledger/ledger.h"

enum { SAMPLES = 1 << 20 };

struct worker {
    pthread_t thread;
    struct ledger *ledger;
    const struct ledger_key *key;
    int number;
    double seconds, rate;
    size_t n, waits;
    uint32_t *reserve_ns;
};

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void pair(struct worker *w)
{
    struct ledger_hold hold;
    struct error err = {0};
    struct ledger_usage u = {.model = "bench",
                             .provider = "openai",
                             .served = "bench",
                             .prompt_tokens = 100,
                             .completion_tokens = 50,
                             .cost = 900,
                             .first_ms = 10,
                             .total_ms = 100,
                             .outcome = "done"};
    (void)snprintf(u.request_id, sizeof u.request_id, "bench-%d-%d-%zu", (int)getpid(), w->number,
                   w->n);
    int64_t begun = clock_ns();
    if (!ledger_reserve(w->ledger, w->key, 1000, &hold, &err)) {
        if (err.code != ERR_BUSY) {
            (void)fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        w->waits++;
        (void)ledger_flush(w->ledger, 30, NULL);
        return;
    }
    w->reserve_ns[w->n++ % SAMPLES] = (uint32_t)(clock_ns() - begun);
    u.at_s = hold.at_s;
    ledger_settle(w->ledger, &hold, &u);
}

static void *work(void *self)
{
    struct worker *w = self;
    double begun = clock_s();
    while (clock_s() - begun < w->seconds) {
        while (w->rate > 0 && (double)w->n > (clock_s() - begun) * w->rate)
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        pair(w);
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(struct worker *workers, int n, double seconds, double cpu)
{
    size_t pairs = 0, waits = 0, n_samples = 0;
    uint32_t *all = memory_array(uint32_t, (size_t)n * SAMPLES);
    for (int i = 0; i < n; i++) {
        struct worker *w = &workers[i];
        size_t k = w->n < SAMPLES ? w->n : SAMPLES;
        memcpy(all + n_samples, w->reserve_ns, k * sizeof *all);
        n_samples += k;
        pairs += w->n;
        waits += w->waits;
        free(w->reserve_ns);
    }
    qsort(all, n_samples, sizeof *all, by_size);
    (void)printf("%zu pairs in %.2f s: %.0f/s, CPU %.2f us a pair, %zu waits for the database\n",
                 pairs, seconds, (double)pairs / seconds, cpu / (double)pairs * 1e6, waits);
    (void)printf("reserve: p50 %.2f us, p99 %.2f us, p99.9 %.2f us, most %.0f us\n",
                 all[n_samples / 2] * 1e-3, all[n_samples / 100 * 99] * 1e-3,
                 all[n_samples / 1000 * 999] * 1e-3, all[n_samples - 1] * 1e-3);
    free(all);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"ledger", 1, NULL, 'l'},
                                            {"seconds", 1, NULL, 's'},
                                            {"threads", 1, NULL, 't'},
                                            {"rate", 1, NULL, 'r'},
                                            {0}};
    const char *where = "sqlite:/tmp/bench-ledger.db";
    double seconds = 2, rate = 0;
    int n = 1, c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (c) {
        case 'l': where = optarg; break;
        case 's': seconds = strtod(optarg, NULL); break;
        case 't': n = (int)strtol(optarg, NULL, 10); break;
        case 'r': rate = strtod(optarg, NULL); break;
        default: return 2;
        }
    struct error err = {0};
    struct ledger *l = ledger_open(where, &err);
    struct ledger_key key, in = {.name = "bench",
                                 .budget_day = INT64_C(1000000000000000),
                                 .budget_month = INT64_C(2000000000000000),
                                 .budget_total = INT64_C(3000000000000000)};
    char secret[LEDGER_SECRET_BYTES];
    if (!l || !ledger_key_create(l, &in, secret, &key, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct worker *workers = memory_array(struct worker, (size_t)n);
    double begun = clock_s(), cpu = cpu_s();
    for (int i = 0; i < n; i++) {
        workers[i] = (struct worker){.ledger = l,
                                     .key = &key,
                                     .number = i,
                                     .seconds = seconds,
                                     .rate = rate / n,
                                     .reserve_ns = memory_array(uint32_t, SAMPLES)};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return 1;
    }
    for (int i = 0; i < n; i++)
        (void)pthread_join(workers[i].thread, NULL);
    bool ok = ledger_flush(l, 60, &err);
    report(workers, n, clock_s() - begun, cpu_s() - cpu);
    struct ledger_health h;
    ledger_health(l, &h);
    (void)printf("%s: %lld settlements in %lld commits, %lld late\n", ok ? "committed" : err.text,
                 (long long)h.committed, (long long)h.commits, (long long)h.late);
    free(workers);
    ledger_close(l);
    return ok ? 0 : 1;
}
