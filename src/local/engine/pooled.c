#include "local/engine/pooled.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

void pooled_release(struct pooled *p)
{
    free(p->sum);
    *p = (struct pooled){0};
}

void pooled_add(struct pooled *p, int position, const float *row, int n)
{
    if (position < p->next)
        return;
    p->next = position + 1;
    if (!p->sum)
        p->sum = memory_array(double, (size_t)n);
    for (int i = 0; i < n; i++)
        p->sum[i] += (double)row[i];
}

bool pooled_finish(const struct pooled *p, float *out, int n)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += p->sum[i] * p->sum[i];
    if (!isfinite(squares))
        return false;
    double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (int i = 0; i < n; i++)
        out[i] = (float)(p->sum[i] * scale);
    return true;
}
