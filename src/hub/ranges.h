// ranges.h - which bytes of a file are there: ranges that are sorted and neither touch nor overlap.
//
// A zeroed struct ranges is empty. Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct buf;
struct range {
    uint64_t from, to;  // to is the first byte that is not in it
};
struct ranges {
    struct range *items;
    size_t n, capacity;
};

void ranges_add(struct ranges *r, uint64_t from, uint64_t to);  // from <= to; overlaps are fine
void ranges_copy(struct ranges *to, const struct ranges *from);
void ranges_release(struct ranges *r);
uint64_t ranges_bytes(const struct ranges *r);
uint64_t ranges_prefix(const struct ranges *r);  // how many bytes are there from 0 without a gap
// The first run of bytes below `bytes` that is missing; false if there is none.
bool ranges_gap(const struct ranges *r, uint64_t bytes, struct range *gap);

// [[0,100],[200,300]]. Reading takes nothing that does not keep to the order above, or reaches
// past `bytes`: then false, and *r is empty.
void ranges_write(const struct ranges *r, struct buf *out);
bool ranges_read(const json_t *list, uint64_t bytes, struct ranges *r);
