// progress.h - a bar on standard error, only where that is a terminal (and not with --quiet).
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown, active;
    int64_t last_ns, started_ns;
    const char *what;
};
void progress_init(struct progress *p, bool quiet);
// Draws at most ten times a second; unit "" prints a percentage, else "done/total unit".
void progress_show(struct progress *p, const char *what, double done, double total,
                   const char *unit);
void progress_clear(struct progress *p);  // before anything else is printed
