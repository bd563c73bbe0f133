// packed_file.h - the form of a file of packed weights: its sizes, its tail, its checksums.
//
// One after another, in this machine's byte order, since the file never leaves it:
//   data   the weights as the backend lays them out, each at a multiple of PACKED_ALIGN
//   u64    checksum of each PACKED_CHUNK bytes of data (the last may be shorter)
//   tail   char[8] "HEARTHPK", u32 version (1), u32 0, u64 key[2], u64 data_bytes, u64 checksum of
//          the checksums, u64 checksum of the tail so far
// Data come first, so that they lie on huge pages, and the tail last, so that a file that was cut
// has none. Nothing in it is trusted: what lies where follows from the model (packed_plan), the
// file only proves that it is the one that was written for it.
// Threads: pure functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum { PACKED_ALIGN = 256, PACKED_CHUNK = 2 << 20 };

// What a file must be.
struct packed_shape {
    uint64_t key[2];      // of the model's contents, the layout and the options
    uint64_t data_bytes;  // at least 1
};

static inline uint64_t packed_n_chunks(uint64_t data_bytes)
{
    return data_bytes / PACKED_CHUNK + (data_bytes % PACKED_CHUNK != 0);
}

uint64_t packed_end_bytes(const struct packed_shape *s);   // of checksums and tail
uint64_t packed_file_bytes(const struct packed_shape *s);  // of the whole file

// Writes all that follows the data: packed_end_bytes() at out.
void packed_end_write(const struct packed_shape *s, const uint64_t *sums, void *out);
// Reads it: sums [packed_n_chunks]. False with err (ERR_FORMAT) if `end` is not the end of a whole
// file of that shape.
bool packed_end_read(const struct packed_shape *s, const void *end, size_t len, uint64_t *sums,
                     struct error *err);
