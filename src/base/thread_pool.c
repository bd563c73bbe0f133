#include "base/thread_pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum { SPIN_MOST_NS = 40000, SPIN_LEAST_NS = 2000, THREADS_MAX = 256 };

// How long a thread spins before it sleeps. Where what it waits for comes soon, waking up would
// cost more than the waiting; where it does not, since the others wait for this very core, spinning
// only makes it later.
struct patience {
    int ns;
};

// One word says which job is on offer and who is inside, so that entering and closing are single
// atomic steps: job number (high 32 bits), open flag, number of threads inside (low bits).
#define JOB_ONE ((uint64_t)1 << 32)
#define OPEN_BIT ((uint64_t)1 << 31)
#define INSIDE_MASK (OPEN_BIT - 1)

struct worker {
    struct thread_pool *pool;
    int index;
    struct patience patience;
    pthread_t thread;
};

// Items of one node's share: from the first that nobody has taken.
struct share {
    _Alignas(64) atomic_int next;
    int end;
};

struct thread_pool {
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) thread_pool_fn fn;
    void *self;
    int n_threads;
    struct patience patience;  // the caller's
    int n_nodes;
    short node_of[THREADS_MAX];
    int threads_to[NODES_MAX + 1];  // threads of the nodes before each
    struct share shares[NODES_MAX];
    // Affinities: what workers keep to, and what the caller had before.
    bool keeps[THREADS_MAX];
    cpu_set_t keep_to[THREADS_MAX], caller_had;
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

// Its own node's share first, then the others' in turn.
static void work(struct thread_pool *p, int worker)
{
    int own = p->node_of[worker];
    for (int k = 0; k < p->n_nodes; k++) {
        struct share *s = &p->shares[own + k < p->n_nodes ? own + k : own + k - p->n_nodes];
        for (;;) {
            int i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (i >= s->end)
                break;
            p->fn(p->self, i, worker);
        }
    }
}

// Nodes get items in proportion to their threads.
static void share_out(struct thread_pool *p, int n_items)
{
    int64_t n = n_items;
    for (int k = 0; k < p->n_nodes; k++) {
        atomic_store_explicit(&p->shares[k].next, (int)(n * p->threads_to[k] / p->n_threads),
                              memory_order_relaxed);
        p->shares[k].end = (int)(n * p->threads_to[k + 1] / p->n_threads);
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

static bool nobody_inside(struct thread_pool *p, uint64_t seen)
{
    (void)seen;
    return (atomic_load(&p->state) & INSIDE_MASK) == 0;
}

// True if it came within the thread's patience; else *since is when the wait began.
static bool spin_until(bool (*came)(struct thread_pool *p, uint64_t seen), struct thread_pool *p,
                       uint64_t seen, struct patience *patience, int64_t *since)
{
    *since = clock_ns();
    do {
        for (int i = 0; i < 32; i++) {
            if (came(p, seen)) {
                patience->ns = patience->ns < SPIN_MOST_NS / 2 ? 2 * patience->ns : SPIN_MOST_NS;
                return true;
            }
            relax();
        }
    } while (clock_ns() < *since + patience->ns);
    return false;
}

// After a sleep: more patience would have helped only if it took little longer.
static void learn(struct patience *patience, int64_t since)
{
    if (clock_ns() < since + 2 * SPIN_MOST_NS)
        patience->ns = SPIN_MOST_NS;
    else
        patience->ns = patience->ns > 2 * SPIN_LEAST_NS ? patience->ns / 2 : SPIN_LEAST_NS;
}

static void wait_for_news(struct worker *w, uint64_t seen)
{
    struct thread_pool *p = w->pool;
    int64_t since;
    if (spin_until(has_news, p, seen, &w->patience, &since))
        return;
    (void)pthread_mutex_lock(&p->lock);
    // The caller opens a job first and looks for sleepers after: one of us sees the other.
    atomic_fetch_add(&p->n_sleepers, 1);
    while (!has_news(p, seen))
        (void)pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->n_sleepers, 1);
    (void)pthread_mutex_unlock(&p->lock);
    learn(&w->patience, since);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct thread_pool *p = w->pool;
    if (p->keeps[w->index])
        (void)pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), &p->keep_to[w->index]);
    if (p->on_start)
        p->on_start();
    uint64_t seen = 0;
    while (!atomic_load(&p->stop)) {
        if (enter(p, &seen)) {
            work(p, w->index);
            leave(p);
        } else {
            wait_for_news(w, seen);
        }
    }
    return NULL;
}

static void plan_nodes(struct thread_pool *p, const struct cores *cores, int n_threads)
{
    p->n_nodes = cores->n_nodes;
    for (int i = 0; i < n_threads; i++) {
        p->node_of[i] = cores->places[i % cores->n].node;
        for (int k = p->node_of[i] + 1; k <= p->n_nodes; k++)
            p->threads_to[k]++;
    }
}

static void start_workers(struct thread_pool *p, int n_threads)
{
    p->workers = memory_array(struct worker, (size_t)n_threads);
    for (int i = 1; i < n_threads; i++) {
        struct worker *w = &p->workers[i - 1];
        w->pool = p;
        w->index = i;
        w->patience.ns = SPIN_MOST_NS;
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
            break;
        p->n_threads++;
    }
}

struct thread_pool *thread_pool_new_on(const struct cores *cores, enum pin pin, int n_threads,
                                       void (*on_start)(void))
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
    p->patience.ns = SPIN_MOST_NS;
    p->on_start = on_start;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->wake, NULL);
    (void)pthread_cond_init(&p->done, NULL);
    for (int i = 0; i < n_threads; i++)
        p->keeps[i] = cores_keep_to(cores, pin, n_threads, i, &p->keep_to[i]);
    start_workers(p, n_threads);
    plan_nodes(p, cores, p->n_threads);  // of the threads that there are
    return p;
}

struct thread_pool *thread_pool_new(int n_threads, void (*on_start)(void))
{
    static const struct cores anywhere = {.n = 1, .n_fast = 1, .n_nodes = 1, .n_threads = 1};
    return thread_pool_new_on(&anywhere, PIN_OFF, n_threads, on_start);
}

void thread_pool_caller_begin(struct thread_pool *p)
{
    if (!p->keeps[0])
        return;
    CPU_ZERO(&p->caller_had);
    (void)pthread_getaffinity_np(pthread_self(), sizeof p->caller_had, &p->caller_had);
    (void)pthread_setaffinity_np(pthread_self(), sizeof p->keep_to[0], &p->keep_to[0]);
}

void thread_pool_caller_end(struct thread_pool *p)
{
    if (p->keeps[0])
        (void)pthread_setaffinity_np(pthread_self(), sizeof p->caller_had, &p->caller_had);
}

int thread_pool_n_nodes(const struct thread_pool *p)
{
    return p->n_nodes;
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

static void wait_until_left(struct thread_pool *p)
{
    int64_t since;
    if (spin_until(nobody_inside, p, 0, &p->patience, &since))
        return;
    (void)pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true);
    while (!nobody_inside(p, 0))
        (void)pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->caller_sleeps, false);
    (void)pthread_mutex_unlock(&p->lock);
    learn(&p->patience, since);
}

void thread_pool_run(struct thread_pool *p, thread_pool_fn fn, void *self, int n_items)
{
    if (p->n_threads == 1 || n_items <= 1) {
        for (int i = 0; i < n_items; i++)
            fn(self, i, 0);
        return;
    }
    assert(nobody_inside(p, 0));
    p->fn = fn;
    p->self = self;
    share_out(p, n_items);
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

int thread_pool_default_size(void)
{
    struct cores *c = memory_array(struct cores, 1);
    cores_find(c);
    int n = c->n_threads;
    free(c);
    return n;
}
