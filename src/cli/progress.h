// progress.h - a bar on standard error, only where that is a terminal (and not with --quiet).
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown, active;
    int64_t last_ns, started_ns;
    double first_done;  // where it began: what was there before says nothing about speed
    double rate, rate_done;
    int64_t rate_ns;
    const char *what;
};
void progress_init(struct progress *p, bool quiet);
// Draws at most ten times a second; unit "" prints a percentage, else "done/total unit".
void progress_show(struct progress *p, const char *what, double done, double total,
                   const char *unit);
// The same for bytes, with the rate of the last seconds and the time left at that rate.
void progress_bytes(struct progress *p, const char *what, uint64_t done, uint64_t total);
// A line without a bar, for a wait whose end nobody knows.
void progress_wait(struct progress *p, const char *what);
void progress_clear(struct progress *p);  // before anything else is printed
