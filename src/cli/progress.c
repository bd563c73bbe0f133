#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/shown_bytes.h"
#include "base/clock.h"

enum { BAR = 24 };
static const double rate_seconds = 3;  // over which a rate is smoothed

void progress_init(struct progress *p, bool quiet)
{
    *p = (struct progress){.shown = !quiet && isatty(STDERR_FILENO)};
}

static void print_time(double s)
{
    if (s >= 3600)
        (void)fprintf(stderr, "  %d:%02d:%02d left", (int)(s / 3600), (int)(s / 60) % 60,
                      (int)s % 60);
    else
        (void)fprintf(stderr, "  %d:%02d left", (int)(s / 60), (int)s % 60);
}

static void print_left(const struct progress *p, double done, double total, int64_t now)
{
    double s = (double)(now - p->started_ns) * 1e-9, came = done - p->first_done;
    if (came <= 0 || s < 1)
        return;
    double left = p->rate > 0 ? (total - done) / p->rate : s * (total - done) / came;
    if (left < 360000)
        print_time(left);
}

// True if it is time to draw; a new thing to do starts a new clock.
static bool is_due(struct progress *p, const char *what, double done, double total, int64_t now)
{
    if (!p->shown || total <= 0)
        return false;
    if (!p->what || strcmp(p->what, what) != 0) {
        p->what = what;
        p->started_ns = p->rate_ns = now;
        p->first_done = p->rate_done = done;
        p->rate = 0;
        p->last_ns = 0;
    }
    if (now - p->last_ns < 100000000 && done < total)
        return false;
    p->last_ns = now;
    p->active = true;
    return true;
}

static void print_bar(const char *what, double done, double total)
{
    int filled = (int)(done / total * BAR);
    (void)fprintf(stderr, "\r\x1b[K%s [", what);
    for (int i = 0; i < BAR; i++)
        (void)fputc(i < filled ? '#' : '.', stderr);
}

void progress_show(struct progress *p, const char *what, double done, double total,
                   const char *unit)
{
    int64_t now = clock_ns();
    if (!is_due(p, what, done, total, now))
        return;
    print_bar(what, done, total);
    if (*unit)
        (void)fprintf(stderr, "] %.0f/%.0f %s", done, total, unit);
    else
        (void)fprintf(stderr, "] %3.0f %%", done / total * 100);
    print_left(p, done, total, now);
    (void)fflush(stderr);
}

// An average in which the last seconds count most; the first second is a plain average.
static void measure_rate(struct progress *p, double done, int64_t now)
{
    double s = (double)(now - p->rate_ns) * 1e-9;
    if (s < 0.5)
        return;
    double rate = done > p->rate_done ? (done - p->rate_done) / s : 0;
    double weight = p->rate > 0 ? s / (s + rate_seconds) : 1;
    p->rate += (rate - p->rate) * weight;
    p->rate_done = done;
    p->rate_ns = now;
}

void progress_bytes(struct progress *p, const char *what, uint64_t done, uint64_t total)
{
    int64_t now = clock_ns();
    if (!is_due(p, what, (double)done, (double)total, now))
        return;
    measure_rate(p, (double)done, now);
    print_bar(what, (double)done, (double)total);
    (void)fprintf(stderr, "] %3.0f %%  %s of %s", (double)done / (double)total * 100,
                  shown_bytes((double)done).text, shown_bytes((double)total).text);
    if (p->rate > 0)
        (void)fprintf(stderr, "  %s/s", shown_bytes(p->rate).text);
    print_left(p, (double)done, (double)total, now);
    (void)fflush(stderr);
}

void progress_wait(struct progress *p, const char *what)
{
    if (is_due(p, what, 0, 1, clock_ns())) {
        (void)fprintf(stderr, "\r\x1b[K%s", what);
        (void)fflush(stderr);
    }
}

void progress_clear(struct progress *p)
{
    if (p->active)
        (void)fprintf(stderr, "\r\x1b[K");
    p->active = false;
    p->what = NULL;
}
