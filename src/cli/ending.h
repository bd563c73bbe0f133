// ending.h - waits for an answer's end on the main thread, and cancels it on Ctrl-C.
//
// The sink calls ending_set on DONE or ERROR, from whatever thread it is pushed to.
#pragma once
#include <pthread.h>
#include <stdbool.h>

struct gateway_answer;

struct ending {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};
void ending_init(struct ending *e);
void ending_release(struct ending *e);
void ending_set(struct ending *e);
// Returns when the answer ended; looks for Ctrl-C, and for a reader who closed standard output,
// twenty times a second.
void ending_wait(struct ending *e, struct gateway_answer *a);
