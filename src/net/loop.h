// loop.h - one thread with one libcurl multi handle, on which transfers, timers and tasks run.
//
// Sockets are watched by epoll and handed to libcurl one by one, so that what a chunk costs does
// not grow with the number of connections. Others reach the thread by waking a task: a push onto a
// stack without a lock, and a system call only where the thread sleeps. All callbacks run on the
// thread, one at a time, with no lock held; none may wait.
// Others' sockets can be watched too, so that who serves and asks does both on one thread.
// Threads: loop_wake and loop_call any; the rest belongs to the loop's own thread.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/timers.h"

struct error;
struct loop;

struct loop_task {  // zeroed but for run
    struct loop_task *next;
    atomic_bool queued;
    void (*run)(struct loop_task *t);
};
// What libcurl's CURLINFO_PRIVATE points to in each easy handle of the loop's.
struct loop_transfer {
    void (*done)(struct loop_transfer *t, int code);  // a CURLcode
};

struct loop_fd {  // zeroed but for fd and ready
    int fd;
    void (*ready)(struct loop_fd *f);  // it can be read
    struct loop_fd *next;
};

struct loop *loop_new(struct error *err);  // starts the thread; NULL with err
// Stops the thread, after what is queued has run; no transfer may be left.
void loop_free(struct loop *l);

// The task runs soon, once for however many wakes come before. False if it was queued already.
// A wake that comes while it runs makes it run once more.
bool loop_wake(struct loop *l, struct loop_task *t);
// Runs fn on the thread, and returns after it; at once if this is the thread.
void loop_call(struct loop *l, void (*fn)(void *self), void *self);

void *loop_multi(struct loop *l);      // a CURLM
bool loop_here(const struct loop *l);  // whether this is the loop's thread
// Watches a file descriptor for what can be read, level-triggered, until loop_unwatch. False with
// err. The loop's own thread (loop_call).
bool loop_watch(struct loop *l, struct loop_fd *f, struct error *err);
void loop_unwatch(struct loop *l, struct loop_fd *f);
void loop_timer_set(struct loop *l, struct timer *t, int64_t at_ns);
void loop_timer_unset(struct loop *l, struct timer *t);
