// packed_move.c - from the page cache to huge pages of our own, where that pays.
//
// What the page cache holds may be slow to read: on small pages, or on huge ones that a virtual
// machine's host keeps in small pieces, which no number of the kernel's shows. Fresh memory is
// often better, but costs time too (docs/performance/starting.md). So a sample is copied and both
// are timed; if it pays, weights move piece by piece beside the work: a piece is copied, then takes
// the old one's place in one step, at the same addresses with the same bytes.
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/doubles.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/system.h"
#include "local/models/packed_impl.h"

// A sample is a few chunks from all over the data; it is read in steps, old and new in turn.
enum {
    PIECE = 16 * PACKED_CHUNK,
    SAMPLE_CHUNKS = 16,
    STEP = 64 << 10,
    STEPS = PACKED_CHUNK / STEP
};

static const double least_gain = 0.05;  // of the time to read; less is within the noise

static double read_s(const unsigned char *at, size_t len)
{
    uint64_t sum = 0;
    double start = clock_s();
    for (size_t i = 0; i < len; i += 64) {
        uint64_t x;
        memcpy(&x, at + i, sizeof x);
        sum += x;
    }
    __asm__ volatile("" : : "r"(sum));
    return clock_s() - start;
}

static struct packed_trial time_sample(const unsigned char *data, size_t apart, size_t n,
                                       unsigned char *fresh)
{
    double old_s[SAMPLE_CHUNKS * STEPS] = {0}, fresh_s[SAMPLE_CHUNKS * STEPS] = {0};
    double start = clock_s();
    for (size_t i = 0; i < n; i++)
        memcpy(fresh + i * PACKED_CHUNK, data + i * apart, PACKED_CHUNK);
    double copy_s = (clock_s() - start) / (double)n / STEPS;
    for (size_t i = 0; i < n * STEPS; i++) {
        size_t chunk = i / STEPS, at = i % STEPS * STEP;
        old_s[i] = read_s(data + chunk * apart + at, STEP);
        fresh_s[i] = read_s(fresh + chunk * PACKED_CHUNK + at, STEP);
    }
    return (struct packed_trial){.copy_s = copy_s,
                                 .old_s = doubles_median(old_s, n * STEPS),
                                 .fresh_s = doubles_median(fresh_s, n * STEPS)};
}

bool packed_try(const unsigned char *data, size_t bytes, struct packed_trial *t)
{
    size_t chunks = bytes / PACKED_CHUNK, n = chunks < SAMPLE_CHUNKS ? chunks : SAMPLE_CHUNKS;
    unsigned char *fresh = n ? memory_big_new(n * PACKED_CHUNK) : NULL;
    if (!fresh)
        return false;
    *t = time_sample(data, chunks / n * PACKED_CHUNK, n, fresh);
    memory_big_free(fresh, n * PACKED_CHUNK);
    log_debug("packed weights: read at %.1f GB/s, from fresh memory at %.1f; copied at %.1f",
              STEP / t->old_s * 1e-9, STEP / t->fresh_s * 1e-9, STEP / t->copy_s * 1e-9);
    return true;
}

long packed_uses_to_move(const struct packed_trial *t)
{
    double gain_s = t->old_s - t->fresh_s;
    return gain_s > least_gain * t->old_s ? (long)(t->copy_s / gain_s + 0.5) : LONG_MAX;
}

static bool move_piece(unsigned char *at, size_t len)
{
    void *fresh = memory_big_new(len);
    if (!fresh)
        return false;
    memcpy(fresh, at, len);
    if (mprotect(fresh, len, PROT_READ) == 0 &&
        mremap(fresh, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != MAP_FAILED)
        return true;
    memory_big_free(fresh, len);
    return false;
}

size_t packed_move(unsigned char *data, size_t bytes, const atomic_bool *stop)
{
    size_t whole = bytes / PACKED_CHUNK * PACKED_CHUNK, at = 0;
    if (system_memory_available() / 5 * 4 < whole)
        return 0;
    while (at < whole && !atomic_load(stop)) {
        size_t len = whole - at < PIECE ? whole - at : PIECE;
        if (!move_piece(data + at, len))
            break;
        at += len;
    }
    log_debug("packed weights: moved %zu of %zu bytes to fresh memory", at, bytes);
    return at;
}
