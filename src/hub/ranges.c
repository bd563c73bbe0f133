// ranges.c - the bookkeeping of a download in pieces.
#include "hub/ranges.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"

enum { RANGES_MAX = 65536 };

void ranges_add(struct ranges *r, uint64_t from, uint64_t to)
{
    assert(from <= to);
    if (from == to)
        return;
    size_t first = 0, after;
    while (first < r->n && r->items[first].to < from)
        first++;
    for (after = first; after < r->n && r->items[after].from <= to; after++) {
        from = r->items[after].from < from ? r->items[after].from : from;
        to = r->items[after].to > to ? r->items[after].to : to;
    }
    memory_grow(r->items, r->capacity, r->n + 1);
    memmove(&r->items[first + 1], &r->items[after], (r->n - after) * sizeof *r->items);
    r->items[first] = (struct range){from, to};
    r->n = r->n - (after - first) + 1;
}

void ranges_copy(struct ranges *to, const struct ranges *from)
{
    memory_grow(to->items, to->capacity, from->n + 1);
    if (from->n)
        memcpy(to->items, from->items, from->n * sizeof *from->items);
    to->n = from->n;
}

void ranges_release(struct ranges *r)
{
    free(r->items);
    *r = (struct ranges){0};
}

uint64_t ranges_bytes(const struct ranges *r)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->items[i].to - r->items[i].from;
    return sum;
}

uint64_t ranges_prefix(const struct ranges *r)
{
    return r->n && r->items[0].from == 0 ? r->items[0].to : 0;
}

bool ranges_gap(const struct ranges *r, uint64_t bytes, struct range *gap)
{
    uint64_t from = ranges_prefix(r);
    size_t next = from ? 1 : 0;
    *gap = (struct range){from, next < r->n ? r->items[next].from : bytes};
    return gap->from < gap->to;
}

void ranges_write(const struct ranges *r, struct buf *out)
{
    buf_char(out, '[');
    for (size_t i = 0; i < r->n; i++)
        buf_printf(out, "%s[%" PRIu64 ",%" PRIu64 "]", i ? "," : "", r->items[i].from,
                   r->items[i].to);
    buf_char(out, ']');
}

bool ranges_read(const json_t *list, uint64_t bytes, struct ranges *r)
{
    size_t n = json_array_size(list);
    uint64_t least = 0;
    *r = (struct ranges){0};
    bool ok = json_is_array(list) && n <= RANGES_MAX;
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *pair = json_array_get(list, i);
        const json_t *a = json_array_get(pair, 0), *b = json_array_get(pair, 1);
        json_int_t from = json_integer_value(a), to = json_integer_value(b);
        ok = json_array_size(pair) == 2 && json_is_integer(a) && json_is_integer(b) && from >= 0 &&
             to > from && (uint64_t)from >= least && (uint64_t)to <= bytes;
        if (!ok)
            break;
        least = (uint64_t)to + 1;  // ranges that touch would be one
        memory_grow(r->items, r->capacity, r->n + 1);
        r->items[r->n++] = (struct range){(uint64_t)from, (uint64_t)to};
    }
    if (!ok)
        ranges_release(r);
    return ok;
}
