// thread_pool.h - threads that persist and share out numbered items of one job at a time.
//
// Items are taken from an atomic counter, so a thread that the system has put aside takes none and
// holds nobody up. Waiting threads spin for some ten microseconds, then sleep. Who calls
// thread_pool_run works too, and returns when all items are done. Items may run in any order.
// Threads: one caller at a time drives a pool; items must not call thread_pool_run on it.
#pragma once

struct thread_pool;

// `worker` numbers the thread that runs the item: 0 is the caller, below thread_pool_size().
typedef void (*thread_pool_fn)(void *self, int item, int worker);

// n_threads includes the caller; at least 1. Each new thread first calls on_start (may be NULL).
// Threads that the system refuses are done without: see thread_pool_size().
struct thread_pool *thread_pool_new(int n_threads, void (*on_start)(void));
void thread_pool_free(struct thread_pool *p);  // NULL is fine; no job may be running
int thread_pool_size(const struct thread_pool *p);
void thread_pool_run(struct thread_pool *p, thread_pool_fn fn, void *self, int n_items);

// How many threads this process should compute with: the cores it may run on (affinity), no more
// than its cgroups' CPU quota rounds up to. At least 1.
int thread_pool_default_size(void);
