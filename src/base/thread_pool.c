#include "base/thread_pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"

enum { SPIN_NS = 40000, THREADS_MAX = 256 };

// One word says which job is on offer and who is inside, so that entering and closing are single
// atomic steps: job number (high 32 bits), open flag, number of threads inside (low bits).
#define JOB_ONE ((uint64_t)1 << 32)
#define OPEN_BIT ((uint64_t)1 << 31)
#define INSIDE_MASK (OPEN_BIT - 1)

struct worker {
    struct thread_pool *pool;
    int index;
    pthread_t thread;
};

struct thread_pool {
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) atomic_int next;  // first item nobody has taken
    _Alignas(64) thread_pool_fn fn;
    void *self;
    int n_items;
    int n_threads;
    void (*on_start)(void);
    atomic_bool stop, caller_sleeps;
    atomic_int n_sleepers;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    struct worker *workers;  // [n_threads - 1]
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(struct thread_pool *p, int worker)
{
    for (;;) {
        int i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->n_items)
            return;
        p->fn(p->self, i, worker);
    }
}

// Steps into the open job, if there is one that is not `seen`.
static bool enter(struct thread_pool *p, uint64_t *seen)
{
    uint64_t s = atomic_load(&p->state);
    while ((s & OPEN_BIT) && (s >> 32) != *seen) {
        if (atomic_compare_exchange_weak(&p->state, &s, s + 1)) {
            *seen = s >> 32;
            return true;
        }
    }
    return false;
}

static void leave(struct thread_pool *p)
{
    uint64_t s = atomic_fetch_sub(&p->state, 1) - 1;
    if ((s & (OPEN_BIT | INSIDE_MASK)) == 0 && atomic_load(&p->caller_sleeps)) {
        (void)pthread_mutex_lock(&p->lock);
        (void)pthread_cond_signal(&p->done);
        (void)pthread_mutex_unlock(&p->lock);
    }
}

static bool has_news(struct thread_pool *p, uint64_t seen)
{
    uint64_t s = atomic_load(&p->state);
    return atomic_load(&p->stop) || ((s & OPEN_BIT) && (s >> 32) != seen);
}

static void wait_for_news(struct thread_pool *p, uint64_t seen)
{
    int64_t until = clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (has_news(p, seen))
                return;
            relax();
        }
    } while (clock_ns() < until);
    (void)pthread_mutex_lock(&p->lock);
    // The caller opens a job first and looks for sleepers after: one of us sees the other.
    atomic_fetch_add(&p->n_sleepers, 1);
    while (!has_news(p, seen))
        (void)pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->n_sleepers, 1);
    (void)pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct thread_pool *p = w->pool;
    if (p->on_start)
        p->on_start();
    uint64_t seen = 0;
    while (!atomic_load(&p->stop)) {
        if (enter(p, &seen)) {
            work(p, w->index);
            leave(p);
        } else {
            wait_for_news(p, seen);
        }
    }
    return NULL;
}

struct thread_pool *thread_pool_new(int n_threads, void (*on_start)(void))
{
    if (n_threads < 1)
        n_threads = 1;
    if (n_threads > THREADS_MAX)
        n_threads = THREADS_MAX;
    struct thread_pool *p = aligned_alloc(64, sizeof *p);
    if (!p)
        abort();
    memset(p, 0, sizeof *p);
    p->n_threads = 1;
    p->on_start = on_start;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->wake, NULL);
    (void)pthread_cond_init(&p->done, NULL);
    p->workers = memory_array(struct worker, (size_t)n_threads);
    for (int i = 1; i < n_threads; i++) {
        struct worker *w = &p->workers[i - 1];
        w->pool = p;
        w->index = i;
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
            break;
        p->n_threads++;
    }
    return p;
}

void thread_pool_free(struct thread_pool *p)
{
    if (!p)
        return;
    (void)pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, true);
    (void)pthread_cond_broadcast(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->n_threads; i++)
        (void)pthread_join(p->workers[i - 1].thread, NULL);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_cond_destroy(&p->done);
    (void)pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

int thread_pool_size(const struct thread_pool *p)
{
    return p->n_threads;
}

static bool nobody_inside(struct thread_pool *p)
{
    return (atomic_load(&p->state) & INSIDE_MASK) == 0;
}

static void wait_until_left(struct thread_pool *p)
{
    int64_t until = clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (nobody_inside(p))
                return;
            relax();
        }
    } while (clock_ns() < until);
    (void)pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true);
    while (!nobody_inside(p))
        (void)pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->caller_sleeps, false);
    (void)pthread_mutex_unlock(&p->lock);
}

void thread_pool_run(struct thread_pool *p, thread_pool_fn fn, void *self, int n_items)
{
    if (p->n_threads == 1 || n_items <= 1) {
        for (int i = 0; i < n_items; i++)
            fn(self, i, 0);
        return;
    }
    assert(nobody_inside(p));
    p->fn = fn;
    p->self = self;
    p->n_items = n_items;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    uint64_t job = (atomic_load(&p->state) >> 32) + 1;
    if (job > UINT32_MAX)
        job = 1;  // 0 is what a new thread has seen
    atomic_store(&p->state, job * JOB_ONE | OPEN_BIT);
    if (atomic_load(&p->n_sleepers) > 0) {
        (void)pthread_mutex_lock(&p->lock);
        (void)pthread_cond_broadcast(&p->wake);
        (void)pthread_mutex_unlock(&p->lock);
    }
    work(p, 0);
    // From here on nobody can enter, so only those inside are waited for.
    atomic_fetch_and(&p->state, ~OPEN_BIT);
    wait_until_left(p);
}

// CPUs that "quota period" of a cgroup v2 file allows, rounded up; INT_MAX-like for none.
static int quota_of(const char *folder)
{
    char path[512];
    if (snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", folder) >= (int)sizeof path)
        return THREADS_MAX;
    FILE *f = fopen(path, "re");
    if (!f)
        return THREADS_MAX;
    long long quota = 0, period = 0;
    int n = fscanf(f, "%lld %lld", &quota, &period);  // "max 100000" reads nothing
    (void)fclose(f);
    if (n != 2 || quota <= 0 || period <= 0)
        return THREADS_MAX;
    long long cpus = (quota + period - 1) / period;
    return cpus > THREADS_MAX ? THREADS_MAX : (int)cpus;
}

// The least quota of our cgroup and all above it. Containers see their own as the root.
static int cgroup_quota(void)
{
    int least = quota_of("");
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return least;
    char line[400];
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        char *folder = line + 3;
        folder[strcspn(folder, "\n")] = 0;
        for (char *slash; (slash = strrchr(folder, '/')) && folder[1]; *slash = 0) {
            int q = quota_of(folder);
            least = q < least ? q : least;
        }
    }
    (void)fclose(f);
    return least;
}

int thread_pool_default_size(void)
{
    int n = 1;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    int quota = cgroup_quota();
    n = n < quota ? n : quota;
    return n < 1 ? 1 : n;
}
