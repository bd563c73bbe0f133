#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR = 24 };

void progress_init(struct progress *p, bool quiet)
{
    *p = (struct progress){.shown = !quiet && isatty(STDERR_FILENO)};
}

static void print_left(double done, double total, int64_t elapsed_ns)
{
    double s = (double)elapsed_ns * 1e-9;
    if (done <= 0 || s < 1)
        return;
    double left = s * (total - done) / done;
    (void)fprintf(stderr, "  %d:%02d left", (int)(left / 60), (int)left % 60);
}

void progress_show(struct progress *p, const char *what, double done, double total,
                   const char *unit)
{
    int64_t now = clock_ns();
    if (!p->shown || total <= 0)
        return;
    if (!p->what || strcmp(p->what, what) != 0) {
        p->what = what;
        p->started_ns = now;
        p->last_ns = 0;
    }
    if (now - p->last_ns < 100000000 && done < total)
        return;
    p->last_ns = now;
    p->active = true;
    int filled = (int)(done / total * BAR);
    (void)fprintf(stderr, "\r\x1b[K%s [", what);
    for (int i = 0; i < BAR; i++)
        (void)fputc(i < filled ? '#' : '.', stderr);
    if (*unit)
        (void)fprintf(stderr, "] %.0f/%.0f %s", done, total, unit);
    else
        (void)fprintf(stderr, "] %3.0f %%", done / total * 100);
    print_left(done, total, now - p->started_ns);
    (void)fflush(stderr);
}

void progress_clear(struct progress *p)
{
    if (p->active)
        (void)fprintf(stderr, "\r\x1b[K");
    p->active = false;
    p->what = NULL;
}
