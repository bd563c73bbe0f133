// packed_move.c - from the page cache's small pages to huge pages of our own, where that pays.
//
// Not every kernel and file system keep a file on huge pages. On small ones decoding is a tenth
// slower or more (docs/performance.md), but fresh memory costs time too. So weights move once the
// time that small pages have lost would have paid for it, piece by piece beside the work: a piece
// is copied, then takes the old one's place in one step, at the same addresses with the same bytes.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/system.h"
#include "local/models/packed_impl.h"

enum { PIECE = 16 * PACKED_CHUNK };

static const double share_lost = 0.1, moved_bytes_per_s = 0.5e9;

bool packed_move_pays(double used_s, uint64_t bytes)
{
    return used_s * share_lost > (double)bytes / moved_bytes_per_s;
}

// What of the mapping at `data` the kernel has on huge pages, as a share; 1 if nobody says.
static double share_on_huge_pages(const void *data, size_t bytes)
{
    char line[512];
    uint64_t start, end, kib, huge = UINT64_MAX;
    bool ours = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
            ours = start == (uintptr_t)data;
        else if (ours && sscanf(line, "FilePmdMapped: %" SCNu64, &kib) == 1)
            huge = kib * 1024;
    }
    if (f)
        (void)fclose(f);
    return huge == UINT64_MAX ? 1 : (double)huge / (double)bytes;
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
    while (at < whole && !atomic_load(stop)) {
        size_t len = whole - at < PIECE ? whole - at : PIECE;
        if (!move_piece(data + at, len))
            break;
        at += len;
    }
    return at;
}

void packed_move_if_small(unsigned char *data, size_t bytes, const atomic_bool *stop)
{
    if (share_on_huge_pages(data, bytes) > 0.5 || system_memory_available() / 5 * 4 < bytes)
        return;
    size_t moved = packed_move(data, bytes, stop);
    log_debug("packed weights: moved %zu of %zu bytes to huge pages", moved, bytes);
}
