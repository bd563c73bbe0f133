// breaker.h - an endpoint that keeps failing is left alone for a while, then asked by one only.
//
// Closed: all may ask. After so many failures in a row it opens: nobody may. When its rest is over
// it is half open: one may ask, the probe; when that is answered it closes, when that fails it
// rests again, twice as long each time, up to eight times. A part of each rest that `seed` decides
// is added, so that many clients do not return at once. Pure: the time is handed in. Threads: one
// at a time.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum breaker_pass {
    BREAKER_NO,
    BREAKER_YES,
    BREAKER_PROBE,
};
enum breaker_outcome {
    BREAKER_WORKS,   // it answered, be it with a refusal of its own
    BREAKER_FAILED,  // it did not, or what is no answer
    BREAKER_UNKNOWN  // we left before one could say
};
struct breaker {
    int failures_max;  // in a row
    int64_t rest_ns;
    uint64_t seed;
    // inside
    int failures, n_rests;
    bool open, probing;
    int64_t until_ns;  // open: when the rest is over
};
// Whether one may ask now. What is not BREAKER_NO must be given back with breaker_ended.
enum breaker_pass breaker_ask(struct breaker *b, int64_t now_ns);
void breaker_ended(struct breaker *b, enum breaker_pass pass, enum breaker_outcome outcome,
                   int64_t now_ns);
// Whether nobody may ask now; and for how long from now, at least 0.
bool breaker_rests(const struct breaker *b, int64_t now_ns);
int64_t breaker_left_ns(const struct breaker *b, int64_t now_ns);
