#include "local/sampling/grammar/charset.h"

#include <stdlib.h>

#include "base/memory.h"

void charset_add(struct charset *s, uint32_t low, uint32_t high)
{
    memory_grow(s->ranges, s->capacity, s->n + 1);
    s->ranges[s->n++] = (struct code_range){low, high};
}

void charset_add_all(struct charset *s, const struct code_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        charset_add(s, ranges[i].low, ranges[i].high);
}

static int compare(const void *a, const void *b)
{
    const struct code_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

void charset_sort(struct charset *s)
{
    size_t kept = 0;
    if (s->n > 1)
        qsort(s->ranges, s->n, sizeof *s->ranges, compare);
    for (size_t i = 0; i < s->n; i++) {
        struct code_range r = s->ranges[i];
        if (kept && r.low <= s->ranges[kept - 1].high + 1) {
            if (r.high > s->ranges[kept - 1].high)
                s->ranges[kept - 1].high = r.high;
        } else {
            s->ranges[kept++] = r;
        }
    }
    s->n = kept;
}

void charset_negate(struct charset *s)
{
    struct charset out = {0};
    uint32_t from = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->ranges[i].low > from)
            charset_add(&out, from, s->ranges[i].low - 1);
        from = s->ranges[i].high + 1;
    }
    if (from <= CODE_MAX)
        charset_add(&out, from, CODE_MAX);
    charset_release(s);
    *s = out;
}

void charset_release(struct charset *s)
{
    free(s->ranges);
    *s = (struct charset){0};
}
