// download_item.c - one file of a download: opened, cut into pieces, verified, made a blob.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "hub/download_impl.h"
#include "hub/store_impl.h"

enum { BUSY_WAIT_NS = 200000000, HASH_STEP = 8 << 20 };
static const uint64_t piece_min = UINT64_C(4) << 20, piece_max = UINT64_C(256) << 20;

void download_fail(struct download *d, const struct item *it, const struct error *why)
{
    if (d->failed)
        return;
    d->failed = true;
    d->err = *why;
    if (it && why->code != ERR_CANCELLED)
        error_wrap(&d->err, "%s: '%s'", d->repo->repo, it->wanted->file->path);
}

// Whether the content is in the store; then wanted->sha256 names it.
static bool find_blob(const struct store *s, struct download_file *w)
{
    const struct hub_file *f = w->file;
    if (f->git[0])
        return store_find_git(s, f->git, f->bytes, w->sha256);
    if (!store_has_blob(s, f->sha256, f->bytes))
        return false;
    memcpy(w->sha256, f->sha256, sizeof w->sha256);
    return true;
}

static void part_id(const struct hub_file *f, char id[PART_ID_BYTES])
{
    (void)snprintf(id, PART_ID_BYTES, "%s-%s", f->git[0] ? "git" : "sha256",
                   f->git[0] ? f->git : f->sha256);
}

uint64_t download_missing(const struct store *s, struct download_file *files, size_t n)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < n; i++)
        if (!find_blob(s, &files[i]))
            missing += files[i].file->bytes;
    return missing;
}

uint64_t download_space(const struct store *s, const struct download_file *files, size_t n)
{
    uint64_t space = 0;
    for (size_t i = 0; i < n; i++) {
        char id[PART_ID_BYTES];
        part_id(files[i].file, id);
        if (!files[i].sha256[0])
            space += files[i].file->bytes - part_allocated(s, id, files[i].file->bytes);
    }
    return space;
}

bool item_open(struct download *d, struct item *it)
{
    struct error err = {0};
    const struct hub_file *f = it->wanted->file;
    it->busy = false;
    if (find_blob(d->store, it->wanted)) {
        it->state = ITEM_DONE;
        return true;
    }
    part_id(f, it->id);
    switch (part_open(&it->part, d->store, it->id, f->bytes, f->git[0], &err)) {
    case PART_OPEN: it->state = ITEM_OPEN; break;
    case PART_BUSY:
        it->busy = true;
        it->not_before_ns = clock_ns() + BUSY_WAIT_NS;
        return true;
    case PART_FAILED: download_fail(d, it, &err); return false;
    }
    if (find_blob(d->store, it->wanted)) {  // finished by another between the look and the lock
        part_discard(&it->part);
        it->state = ITEM_DONE;
    }
    return true;
}

void item_start_over(struct download *d, struct item *it)
{
    struct error err = {0};
    for (int i = 0; i < d->n_slots; i++)
        if (d->slots[i].item == it)
            slot_stop(&d->slots[i]);
    free(it->location);
    it->location = NULL;
    it->etag[0] = 0;
    if (!part_restart(&it->part, &err))
        download_fail(d, it, &err);
}

void item_release(struct item *it)
{
    part_close(&it->part);
    free(it->location);
    it->location = NULL;
}

static void mismatch(struct download *d, struct item *it, const char *found)
{
    const struct hub_file *f = it->wanted->file;
    struct error err = {0};
    if (++it->n_mismatches == 1) {
        log_info("%s: '%s': what came has another hash than the hub states: fetched once more",
                 d->repo->repo, f->path);
        item_start_over(d, it);
        return;
    }
    part_discard(&it->part);
    it->state = ITEM_WAITS;
    error_set(&err, ERR_FORMAT, "its %s should be %s and is %s",
              f->git[0] ? "git blob id" : "SHA-256", f->git[0] ? f->git : f->sha256, found);
    download_fail(d, it, &err);
}

static void finish(struct download *d, struct item *it)
{
    char sha256[65], git[41];
    struct error err = {0};
    const struct hub_file *f = it->wanted->file;
    part_hashes(&it->part, sha256, git);
    if (strcmp(f->git[0] ? git : sha256, f->git[0] ? f->git : f->sha256) != 0) {
        mismatch(d, it, f->git[0] ? git : sha256);
        return;
    }
    if (f->git[0])  // before the blob: who waits for the part's lock must find it by this
        store_name_git(d->store, git, sha256);
    if (!part_finish(&it->part, sha256, &err)) {
        download_fail(d, it, &err);
        return;
    }
    memcpy(it->wanted->sha256, sha256, sizeof sha256);
    it->state = ITEM_DONE;
}

bool item_verify(struct download *d, struct item *it)
{
    struct error err = {0};
    if (it->state != ITEM_OPEN)
        return false;
    bool hashed = part_hash(&it->part, HASH_STEP, &err);
    if (err.code)
        download_fail(d, it, &err);
    else if (part_is_whole(&it->part) && it->part.n_hashed == it->part.bytes && it->n_slots == 0)
        finish(d, it);
    else
        return hashed;
    return true;
}

// Large pieces while much is left, so that requests are few; small ones towards the end, so that
// all connections end together.
static uint64_t piece_bytes(const struct download *d, uint64_t left)
{
    uint64_t share = d->n_slots > 1 ? left / (uint64_t)(2 * d->n_slots) : left;
    if (d->n_slots > 1 && share > piece_max)
        share = piece_max;
    return share < piece_min ? piece_min : share;
}

bool item_next_piece(const struct download *d, const struct item *it, struct range *piece)
{
    struct ranges taken = {0};
    uint64_t bytes = it->part.bytes;
    if (it->state != ITEM_OPEN || (it->no_ranges && it->n_slots > 0))
        return false;
    ranges_copy(&taken, &it->part.done);
    for (int i = 0; i < d->n_slots; i++)
        if (d->slots[i].item == it)
            ranges_add(&taken, d->slots[i].at, d->slots[i].to);
    bool found = ranges_gap(&taken, bytes, piece);
    uint64_t most = piece_bytes(d, bytes - ranges_bytes(&taken));
    if (found && !it->no_ranges && piece->to - piece->from > most)
        piece->to = piece->from + most;
    ranges_release(&taken);
    return found;
}
