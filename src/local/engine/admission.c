#include "local/engine/admission.h"

#include <assert.h>
#include <math.h>

#include "base/error.h"

enum { RETRY_MOST_S = 600 };

void admission_init(struct admission *a, int most, int max_seqs)
{
    *a = (struct admission){.most = most, .jobs_most = 2 * most + max_seqs};
}

int admission_retry_after(const struct admission *a, int64_t now_ns)
{
    double since = (double)(now_ns - a->mark_ns) * 1e-9;
    double each = a->start_s > since || !a->n_waiting ? a->start_s : since;
    double wait = ceil(each * a->n_waiting / 2);
    return wait < 1 ? 1 : wait > RETRY_MOST_S ? RETRY_MOST_S : (int)wait;
}

bool admission_enter(struct admission *a, int64_t now_ns, struct error *err)
{
    if (a->n_waiting >= a->most || a->n_jobs >= a->jobs_most) {
        a->refused++;
        int seconds = admission_retry_after(a, now_ns);
        error_set(err, ERR_BUSY, "%d requests are waiting already: try again in %d s", a->n_waiting,
                  seconds);
        if (err)
            err->retry_after_s = seconds;
        return false;
    }
    if (!a->n_waiting)
        a->mark_ns = now_ns;
    a->n_waiting++;
    a->n_jobs++;
    return true;
}

void admission_start(struct admission *a, int n, int64_t now_ns)
{
    if (n <= 0)
        return;
    assert(n <= a->n_waiting);
    double each = (double)(now_ns - a->mark_ns) * 1e-9 / n;
    a->start_s = a->start_s > 0 ? a->start_s + (each - a->start_s) / 8 : each;
    a->mark_ns = now_ns;
    a->n_waiting -= n;
}

void admission_leave(struct admission *a, bool waited)
{
    assert(a->n_jobs > 0 && (!waited || a->n_waiting > 0));
    a->n_jobs--;
    a->n_waiting -= waited;
}
