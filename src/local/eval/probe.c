#include "local/eval/probe.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/kernels/kernels.h"

enum { THREADS_MAX = 64, SAMPLES = 9 };
static const size_t read_bytes = (size_t)256 << 20;

struct task {
    double (*work)(struct task *t);
    const char *from;
    size_t bytes;
    long rounds;
    int sink;
    double (*int8)(long n, int *sink);
    atomic_bool *start;
    atomic_int *ready;  // threads that wait for it
    double done;
    int64_t began_ns, ended_ns;
};

typedef uint64_t words __attribute__((vector_size(16)));

static double read_all(struct task *t)
{
    words sum[4] = {0};
    for (size_t i = 0; i + 64 <= t->bytes; i += 64) {
        const words *p = (const words *)(const void *)(t->from + i);
        __builtin_prefetch(t->from + i + 2304, 0, 2);
        for (int k = 0; k < 4; k++)
            sum[k] += p[k];
    }
    sum[0] += sum[1] + sum[2] + sum[3];
    t->sink = (int)(sum[0][0] + sum[0][1]);
    return (double)t->bytes;
}

static double multiply(struct task *t)
{
    return t->int8(t->rounds, &t->sink);
}

static void *run_task(void *self)
{
    struct task *t = self;
    atomic_fetch_add(t->ready, 1);
    while (!atomic_load(t->start))
        sched_yield();
    t->began_ns = clock_ns();
    t->done = t->work(t);
    t->ended_ns = clock_ns();
    return NULL;
}

// Work of all threads over the time from the first beginning to the last end. Where the system
// gives fewer threads, they are what is measured.
static double sample(struct task *tasks, int n)
{
    atomic_bool start = false;
    atomic_int ready = 0;
    pthread_t threads[THREADS_MAX];
    int n_started = 1;
    for (int i = 0; i < n; i++) {
        tasks[i].start = &start;
        tasks[i].ready = &ready;
    }
    while (n_started < n &&
           pthread_create(&threads[n_started], NULL, run_task, &tasks[n_started]) == 0)
        n_started++;
    while (atomic_load(&ready) < n_started - 1)
        sched_yield();  // a thread that others keep from its beginning would be counted as slow
    atomic_store(&start, true);
    run_task(&tasks[0]);
    double done = tasks[0].done;
    int64_t began = tasks[0].began_ns, ended = tasks[0].ended_ns;
    for (int i = 1; i < n_started; i++) {
        pthread_join(threads[i], NULL);
        done += tasks[i].done;
        began = tasks[i].began_ns < began ? tasks[i].began_ns : began;
        ended = tasks[i].ended_ns > ended ? tasks[i].ended_ns : ended;
    }
    return ended > began ? done / ((double)(ended - began) * 1e-9) : 0;
}

static double best_of(struct task *tasks, int n)
{
    double best = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double rate = sample(tasks, n);
        best = rate > best ? rate : best;
    }
    return best;
}

static int usable(int threads)
{
    int n = threads > 0 ? threads : probe_cores();
    return n < THREADS_MAX ? n : THREADS_MAX;
}

int probe_cores(void)
{
    return thread_pool_default_size();
}

double probe_read_gbytes_per_s(int threads)
{
    int n = usable(threads);
    struct task tasks[THREADS_MAX] = {{0}};
    char *memory = memory_big_new(read_bytes);
    if (!memory)
        return 0;
    memset(memory, 1, read_bytes);  // or every page would be the same one of zeros
    size_t part = read_bytes / (size_t)n / 64 * 64;
    for (int i = 0; i < n; i++)
        tasks[i] =
            (struct task){.work = read_all, .from = memory + (size_t)i * part, .bytes = part};
    double rate = best_of(tasks, n);
    memory_big_free(memory, read_bytes);
    return rate * 1e-9;
}

double probe_int8_tops(int threads)
{
    int n = usable(threads);
    struct task tasks[THREADS_MAX] = {{0}};
    double (*int8)(long, int *) = probe_int8_scalar;
#if defined(__x86_64__)
    unsigned isa = isa_detect();
    if (isa & ISA_AVX2)
        int8 = probe_int8_avx2;
    if (isa & ISA_AVX512_VNNI)
        int8 = probe_int8_avx512_vnni;
    if (isa & ISA_AMX_INT8)
        int8 = probe_int8_amx_int8;
#endif
    for (int i = 0; i < n; i++)
        tasks[i] = (struct task){.work = multiply, .int8 = int8, .rounds = 1000000};
    return best_of(tasks, n) * 1e-12;
}

double probe_int8_scalar(long n, int *sink)
{
    int8_t a[64], b[64];
    for (int i = 0; i < 64; i++) {
        a[i] = (int8_t)(i + *sink);
        b[i] = (int8_t)(i * 3);
    }
    int sum = 0;
    for (long r = 0; r < n / 8; r++) {
        for (int i = 0; i < 64; i++)
            sum += a[i] * b[i];
        a[r & 63] = (int8_t)sum;
    }
    *sink = sum;
    return (double)(n / 8) * 64 * 2;
}
