// bench_threads.c - what sharing work among threads costs: bench_threads [--threads N] [--pin HOW]
//
// A step of a model is some hundred jobs of tens to hundreds of microseconds. Measured here:
//   meeting   the time of a job whose items do nothing: waking, sharing out, waiting
//   scaling   jobs of so many microseconds of arithmetic on one thread, and on N
//   idle      CPU time that the pool takes while nobody asks for anything
//   gaps      jobs with pauses between, as a server's steps have: CPU time beside the work's own
// On a busy machine look at the CPU time; the clock then shows who else ran.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "timing.h"

enum { SAMPLES = 21 };

static double median(double *values)
{
    qsort(values, SAMPLES, sizeof *values, by_value);
    return values[SAMPLES / 2];
}

struct work {
    long rounds;
    atomic_long sink;
};

static void compute(void *self, int item, int worker)
{
    struct work *w = self;
    unsigned long x = (unsigned long)item + 1;
    (void)worker;
    for (long i = 0; i < w->rounds; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    atomic_fetch_add_explicit(&w->sink, (long)(x & 1), memory_order_relaxed);
}

// Microseconds a job, by the clock and of CPU time.
static double jobs(struct thread_pool *p, struct work *w, int n_items, int n_jobs, long pause_us,
                   double *cpu_us)
{
    double wall[SAMPLES], cpu[SAMPLES];
    for (int s = 0; s < SAMPLES; s++) {
        double c = timing_s(true), slept = 0, t = clock_s();
        for (int i = 0; i < n_jobs; i++) {
            thread_pool_run(p, compute, w, n_items);
            double before = clock_s();
            if (pause_us)
                (void)nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
            slept += clock_s() - before;
        }
        wall[s] = (clock_s() - t - slept) * 1e6 / n_jobs;
        cpu[s] = (timing_s(true) - c) * 1e6 / n_jobs;
    }
    *cpu_us = median(cpu);
    return median(wall);
}

static void scaling(struct thread_pool *one, struct thread_pool *all, struct work *w, int us)
{
    double cpu_one, cpu_all;
    int n = thread_pool_size(all), n_items = 8 * n;
    w->rounds = 1000;
    (void)jobs(one, w, 64, 50, 0, &cpu_one);
    w->rounds = (long)(1000.0 * us / (cpu_one / 64) / n_items) + 1;
    double t1 = jobs(one, w, n_items, 20000 / us + 1, 0, &cpu_one);
    double tn = jobs(all, w, n_items, 20000 / us + 1, 0, &cpu_all);
    (void)printf(
        "jobs of %4d us    1 thread %7.1f us, %d threads %7.1f us: %.2f x, CPU time %.2f x\n", us,
        t1, n, tn, t1 / tn, cpu_all / cpu_one);
}

static void idle(void)
{
    double c = timing_s(true);
    (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    (void)printf("idle              %.3f ms of CPU time in a second\n", (timing_s(true) - c) * 1e3);
}

static void gaps(struct thread_pool *one, struct thread_pool *all, struct work *w, long pause_us)
{
    double cpu_one, cpu_all;
    w->rounds = 4000;
    (void)jobs(one, w, 16, 50, pause_us, &cpu_one);
    (void)jobs(all, w, 16, 50, pause_us, &cpu_all);
    (void)printf("gaps of %4ld us   work %.1f us, beside it %.1f us of CPU time a job\n", pause_us,
                 cpu_one, cpu_all - cpu_one);
}

int main(int argc, char **argv)
{
    static struct cores cores;
    enum pin pin = PIN_AUTO;
    struct error err = {0};
    struct work w = {0};
    cores_find(&cores);
    int n = cores.n_threads;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0)
            n = (int)strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--pin") == 0 && !pin_from_name(argv[i + 1], &pin, &err))
            return 2;
    }
    struct thread_pool *one = thread_pool_new(1, NULL);
    struct thread_pool *all = thread_pool_new_on(&cores, pin, n, NULL);
    double cpu;
    double us = jobs(all, &w, 4 * thread_pool_size(all), 2000, 0, &cpu);
    (void)printf("meeting           %.2f us with %d threads\n", us, thread_pool_size(all));
    for (int size = 10; size <= 1000; size *= 10)
        scaling(one, all, &w, size);
    idle();
    gaps(one, all, &w, 20);
    gaps(one, all, &w, 1000);
    thread_pool_free(one);
    thread_pool_free(all);
    return 0;
}
