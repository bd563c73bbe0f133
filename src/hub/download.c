// download.c - the loop of a download: hands pieces to idle connections until every file is a blob.
#include "hub/download.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "hub/download_impl.h"

enum { DEFAULT_CONNECTIONS = 4, STEP_MS = 100 };

static bool init(struct download *d, struct download_file *files, size_t n)
{
    int wanted = d->options->n_connections;
    d->items = memory_array(struct item, n);
    d->n_items = n;
    d->n_slots = wanted < 1 ? DEFAULT_CONNECTIONS : wanted > SLOTS_MAX ? SLOTS_MAX : wanted;
    for (size_t i = 0; i < n; i++)
        d->items[i] = (struct item){.wanted = &files[i], .part = {.fd = -1}};
    for (int i = 0; i < d->n_slots; i++)
        d->slots[i].download = d;
    return n > 0;
}

// A file that has something to fetch for an idle connection; files are begun one after the other,
// as connections become free. False if there is nothing to do now, or the download failed.
static bool find_work(struct download *d, struct item **item, struct range *piece)
{
    int64_t now = clock_ns();
    if (now < d->not_before_ns)
        return false;
    for (size_t i = 0; i < d->n_items && !d->failed; i++) {
        struct item *it = &d->items[i];
        if (now < it->not_before_ns)
            continue;
        if (it->state == ITEM_WAITS && !item_open(d, it))
            return false;
        if (item_next_piece(d, it, piece)) {
            *item = it;
            return true;
        }
    }
    return false;
}

static void start_idle(struct download *d)
{
    for (int i = 0; i < d->n_slots && !d->failed; i++) {
        struct item *it;
        struct range piece;
        if (d->slots[i].item)
            continue;
        if (!find_work(d, &it, &piece) || !slot_start(&d->slots[i], it, piece))
            return;
    }
}

// True if something was hashed, so that there may be more to do at once.
static bool verify_some(struct download *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (item_verify(d, &d->items[i]))
            return true;
    return false;
}

static void record_all(struct download *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i].state == ITEM_OPEN)
            part_record(&d->items[i].part, false);
}

static bool all_done(const struct download *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i].state != ITEM_DONE)
            return false;
    return true;
}

static struct download_progress measure(const struct download *d)
{
    uint64_t n_total = 0, n_come = 0, n_hashed = 0;
    bool busy = false;
    for (size_t i = 0; i < d->n_items; i++) {
        const struct item *it = &d->items[i];
        uint64_t bytes = it->wanted->file->bytes;
        n_total += bytes;
        n_come += it->state == ITEM_DONE   ? bytes
                  : it->state == ITEM_OPEN ? ranges_bytes(&it->part.done)
                                           : 0;
        n_hashed += it->state == ITEM_DONE ? bytes : it->state == ITEM_OPEN ? it->part.n_hashed : 0;
        busy = busy || it->busy;
    }
    bool active = false;
    for (int i = 0; i < d->n_slots; i++)
        active = active || d->slots[i].item;
    enum download_stage stage = n_come == n_total ? DOWNLOAD_VERIFYING
                                : busy && !active ? DOWNLOAD_WAITING
                                                  : DOWNLOAD_FETCHING;
    return (struct download_progress){stage, stage == DOWNLOAD_VERIFYING ? n_hashed : n_come,
                                      n_total};
}

static void tell(struct download *d)
{
    struct error err = {0};
    struct download_progress p = measure(d);
    if (d->options->progress && !d->options->progress(d->options->progress_self, &p)) {
        error_set(&err, ERR_CANCELLED, "interrupted");
        download_fail(d, NULL, &err);
    } else if (!hub_goes_on(d->hub, &err)) {
        download_fail(d, NULL, &err);
    }
}

static void release(struct download *d)
{
    for (int i = 0; i < d->n_slots; i++)
        slot_stop(&d->slots[i]);
    for (size_t i = 0; i < d->n_items; i++)
        item_release(&d->items[i]);
    free(d->items);
}

bool download_run(struct hub *h, const struct store *s, const struct hub_repo *r,
                  struct download_file *files, size_t n, const struct download_options *o,
                  uint64_t *n_received, struct error *err)
{
    struct download d = {.hub = h, .store = s, .repo = r, .options = o};
    if (!init(&d, files, n))
        return true;
    while (!d.failed && !all_done(&d)) {
        start_idle(&d);
        bool hashed = verify_some(&d);
        http_step(h->http, hashed ? 0 : STEP_MS);
        record_all(&d);
        tell(&d);
    }
    release(&d);
    *n_received += d.n_received;
    if (d.failed && err)
        *err = d.err;
    return !d.failed;
}
