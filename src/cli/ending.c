#include "cli/ending.h"

#include <stdio.h>
#include <time.h>

#include "cli/command.h"
#include "gateway/gateway.h"

void ending_init(struct ending *e)
{
    *e = (struct ending){0};
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
}

void ending_release(struct ending *e)
{
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->changed);
}

void ending_set(struct ending *e)
{
    pthread_mutex_lock(&e->lock);
    e->done = true;
    pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

void ending_wait(struct ending *e, struct gateway_answer *a)
{
    pthread_mutex_lock(&e->lock);
    while (!e->done) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&e->changed, &e->lock, &until);
        if (!e->done && (interrupted() || ferror(stdout))) {
            pthread_mutex_unlock(&e->lock);
            gateway_cancel(a);  // safe at any time; may push events itself
            pthread_mutex_lock(&e->lock);
        }
    }
    pthread_mutex_unlock(&e->lock);
    gateway_wait(a);
}
