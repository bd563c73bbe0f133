// thread_pool.h - threads that persist and share out numbered items of one job at a time.
//
// Items are taken from an atomic counter, so a thread that the system has put aside takes none and
// holds nobody up. Waiting threads spin for some ten microseconds, then sleep. Who calls
// thread_pool_run works too, and returns when all items are done. Items may run in any order.
// On a machine of several NUMA nodes each node's threads begin with a part of the items of their
// own, the same part of every job: memory that one job was first to touch lies near the threads
// that another job gives the same share of its items. Who is done helps the others.
// Threads: one caller at a time drives a pool; items must not call thread_pool_run on it.
#pragma once
#include "base/cores.h"

struct thread_pool;

// `worker` numbers the thread that runs the item: 0 is the caller, below thread_pool_size().
typedef void (*thread_pool_fn)(void *self, int item, int worker);

// n_threads includes the caller; at least 1. Each new thread first calls on_start (may be NULL).
// Threads that the system refuses are done without: see thread_pool_size().
struct thread_pool *thread_pool_new(int n_threads, void (*on_start)(void));
// The same with threads that keep to CPUs of `cores`, as cores_keep_to says.
struct thread_pool *thread_pool_new_on(const struct cores *cores, enum pin pin, int n_threads,
                                       void (*on_start)(void));
// The calling thread keeps to the CPUs of worker 0 from here to there. Nothing happens where no
// CPUs are preferred.
void thread_pool_caller_begin(struct thread_pool *p);
void thread_pool_caller_end(struct thread_pool *p);
int thread_pool_n_nodes(const struct thread_pool *p);
void thread_pool_free(struct thread_pool *p);  // NULL is fine; no job may be running
int thread_pool_size(const struct thread_pool *p);
void thread_pool_run(struct thread_pool *p, thread_pool_fn fn, void *self, int n_items);

// How many threads this process should compute with: cores_find's n_threads. At least 1.
int thread_pool_default_size(void);
