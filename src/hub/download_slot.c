// download_slot.c - one connection of a download: asks for a piece, checks what comes, writes it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "hub/download_impl.h"
#include "net/retry.h"

// The answer is about another content than the answers before it.
static bool has_changed(struct item *it, const struct http_head *head)
{
    if (!head->etag[0])
        return false;
    if (!it->etag[0])
        (void)snprintf(it->etag, sizeof it->etag, "%s", head->etag);
    return strcmp(it->etag, head->etag) != 0;
}

static bool start_over(struct slot *s, struct error *err)
{
    s->verdict = SLOT_START_OVER;
    return error_set(err, ERR_FORMAT, "it begins again");
}

static bool check_size(const struct slot *s, int64_t stated, struct error *err)
{
    uint64_t bytes = s->item->part.bytes;
    if (stated < 0 || (uint64_t)stated == bytes)
        return true;
    return error_set(err, ERR_FORMAT,
                     "it has %" PRId64 " bytes, not the %" PRIu64 " that the hub states", stated,
                     bytes);
}

static bool on_head(void *self, const struct http_head *head, struct error *err)
{
    struct slot *s = self;
    struct item *it = s->item;
    if (has_changed(it, head)) {
        if (++it->n_changes > 1)
            return error_set(err, ERR_FORMAT,
                             "it changes while it is fetched (its ETag does); "
                             "--connections 1 may help");
        log_debug("'%s': its ETag changed: begun again", it->wanted->file->path);
        return start_over(s, err);
    }
    if (head->status == 200) {
        if (s->whole)
            return check_size(s, head->length, err);
        it->no_ranges = true;
        return start_over(s, err);
    }
    if (head->status != 206 || !head->has_range)
        return error_set(err, ERR_FORMAT, "status %d instead of the range that was asked for",
                         head->status);
    if ((uint64_t)head->first != s->at || (uint64_t)head->last >= s->to)
        return error_set(err, ERR_FORMAT,
                         "bytes %" PRId64 " to %" PRId64 " came where others were asked for",
                         head->first, head->last);
    return check_size(s, head->total, err);
}

static bool on_body(void *self, struct slice bytes, struct error *err)
{
    struct slot *s = self;
    if (bytes.len > s->to - s->at)
        return error_set(err, ERR_FORMAT, "more bytes came than were asked for");
    if (!part_write(&s->item->part, s->at, bytes, err))
        return false;
    s->at += bytes.len;
    s->came = true;
    s->download->n_received += bytes.len;
    if (!s->item->no_ranges)  // else a cut loses all of it, and a loop must have an end
        s->item->n_failures = 0;
    return true;
}

// Something that may be better later. Too often in a row, or too late, and it is the download's
// end.
// Connections that broke together count once: only what began after the last failure is a new try.
static void retry(struct slot *s, struct item *it, const struct http_end *end)
{
    struct download *d = s->download;
    struct error err = end->err;
    if (!err.code)
        error_set(&err, ERR_IO, "%s: the answer ended too early", end->url->origin);
    bool answered = end->outcome == HTTP_STATUS;
    int64_t asked = answered ? end->head.retry_after_s : -1;
    if (answered)
        (void)hub_status_error(d->hub, d->repo, it->wanted->file->path, &end->head, &err);
    if (asked > RETRY_AFTER_MAX_S) {
        error_set(&err, ERR_IO,
                  "the hub asks to come back in %" PRId64
                  " s: pull again then, it goes on where it stopped",
                  asked);
        download_fail(d, it, &err);
        return;
    }
    if (s->started_ns < it->failed_ns)
        return;
    it->failed_ns = clock_ns();
    if (++it->n_failures >= TRIES_MAX) {
        if (!answered)
            error_wrap(&err, "given up after %d tries", TRIES_MAX);
        download_fail(d, answered ? NULL : it, &err);
        return;
    }
    int64_t ms = retry_wait_ms(it->n_failures, asked, (uint64_t)clock_ns());
    log_debug("'%s': %s: again in %" PRId64 " ms", it->wanted->file->path, err.text, ms);
    it->not_before_ns = it->failed_ns + ms * 1000000;
    if (answered && end->head.status == 429)
        d->not_before_ns = it->not_before_ns;
}

// An answer that makes no sense: another may, but not for ever.
static void odd_answer(struct slot *s, struct item *it, const struct error *why)
{
    enum { ODD_MAX = 3 };
    if (s->started_ns < it->failed_ns)
        return;
    it->failed_ns = clock_ns();
    if (++it->n_odd == ODD_MAX)
        download_fail(s->download, it, why);
    else
        log_debug("'%s': %s: asked again", it->wanted->file->path, why->text);
}

// A redirect's address is kept for further ranges of the file; it may expire, then the hub is
// asked again.
static void keep_location(struct item *it, const struct http_end *end, const char *asked)
{
    if (it->location || strcmp(end->url->text, asked) == 0)
        return;
    it->location = memory_text(end->url->text);
}

static void on_status(struct slot *s, struct item *it, const struct http_end *end)
{
    struct download *d = s->download;
    int status = end->head.status;
    struct error err = {0};
    bool expired = it->location && (status == 400 || status == 401 || status == 403 ||
                                    status == 404 || status == 410);
    if (it->location) {
        free(it->location);
        it->location = NULL;
    }
    if (expired || retry_status(status)) {
        retry(s, it, end);
        return;
    }
    if (status == 416) {
        error_set(&err, ERR_FORMAT, "it has fewer bytes than the hub states");
        download_fail(d, it, &err);
        return;
    }
    (void)hub_status_error(d->hub, d->repo, it->wanted->file->path, &end->head, &err);
    download_fail(d, NULL, &err);
}

static char *address(const struct download *d, const struct item *it)
{
    struct buf url = {0};
    if (it->location)
        buf_text_add(&url, it->location);
    else
        hub_file_url(d->hub, d->repo, it->wanted->file, &url);
    return url.ptr;
}

static void on_end(void *self, const struct http_end *end)
{
    struct slot *s = self;
    struct download *d = s->download;
    struct item *it = s->item;
    bool short_of = s->at < s->to;
    s->item = NULL;
    s->transfer = NULL;
    it->n_slots--;
    if (end->outcome == HTTP_STOPPED && s->verdict == SLOT_START_OVER) {
        item_start_over(d, it);
        return;
    }
    if (it->no_ranges && short_of)
        item_start_over(d, it);
    switch (end->outcome) {
    case HTTP_DONE: {
        char *asked = address(d, it);
        keep_location(it, end, asked);
        free(asked);
        if (short_of && (it->no_ranges || !s->came))
            retry(s, it, end);
        break;
    }
    case HTTP_STATUS: on_status(s, it, end); break;
    case HTTP_LOST:
        free(it->location);
        it->location = NULL;
        retry(s, it, end);
        break;
    case HTTP_STOPPED:
        if (end->err.code == ERR_FORMAT)
            odd_answer(s, it, &end->err);
        else
            download_fail(d, it, &end->err);
        break;
    case HTTP_REFUSED: download_fail(d, it, &end->err); break;
    }
}

bool slot_start(struct slot *s, struct item *it, struct range piece)
{
    struct download *d = s->download;
    struct error err = {0};
    s->at = piece.from;
    s->to = piece.to;
    s->whole = piece.from == 0 && piece.to == it->part.bytes;
    s->verdict = SLOT_FINE;
    s->came = false;
    s->started_ns = clock_ns();
    char *url = address(d, it);
    struct http_request q = {.url = url,
                             .token = d->hub->token,
                             .token_origin = &d->hub->endpoint,
                             .first = piece.from,
                             .n_bytes = s->whole ? 0 : piece.to - piece.from,
                             .on_head = on_head,
                             .on_body = on_body,
                             .on_end = on_end,
                             .self = s};
    s->transfer = http_start(d->hub->http, &q, &err);
    free(url);
    if (!s->transfer) {
        download_fail(d, it, &err);
        return false;
    }
    s->item = it;
    it->n_slots++;
    return true;
}

void slot_stop(struct slot *s)
{
    if (!s->item)
        return;
    http_cancel(s->transfer);
    s->item->n_slots--;
    s->item = NULL;
    s->transfer = NULL;
}
