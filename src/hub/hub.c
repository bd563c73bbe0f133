// hub.c - asks a hub: about a repository, and for a few bytes of its files.
#include "hub/hub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "hub/access.h"
#include "hub/digest.h"
#include "hub/hub_impl.h"
#include "hub/names.h"
#include "local/formats/shown.h"
#include "net/retry.h"

enum { LISTING_MAX_BYTES = 32 << 20, TRIES_MAX = 5, STEP_MS = 100 };

struct hub *hub_open(hub_go_on go_on, void *self, struct error *err)
{
    if (access_is_offline()) {
        error_set(err, ERR_UNSUPPORTED, "HF_HUB_OFFLINE is set: no hub is asked for anything");
        return NULL;
    }
    struct hub *h = memory_array(struct hub, 1);
    struct http_options o = {.stall_s = access_stall_s(), .ca_file = access_ca_file()};
    *h = (struct hub){.go_on = go_on, .go_on_self = self};
    if (access_endpoint(&h->endpoint, err) && access_token(&h->token, err) &&
        (h->http = http_new(&o, err)) != NULL)
        return h;
    hub_close(h);
    return NULL;
}

void hub_close(struct hub *h)
{
    if (!h)
        return;
    http_free(h->http);
    url_release(&h->endpoint);
    if (h->token)
        explicit_bzero(h->token, strlen(h->token));
    free(h->token);
    free(h);
}

bool hub_goes_on(const struct hub *h, struct error *err)
{
    return !h->go_on || h->go_on(h->go_on_self) || error_set(err, ERR_CANCELLED, "interrupted");
}

// What follows `prefix` and a slash in text, without case; NULL if text does not begin so.
static const char *after(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncasecmp(text, prefix, n) == 0 && text[n] == '/' ? text + n + 1 : NULL;
}

bool hub_reference_read(const struct hub *h, const char *text, struct hub_reference *out,
                        struct error *err)
{
    const char *const prefixes[] = {h->endpoint.text, "https://huggingface.co", "https://hf.co",
                                    "huggingface.co", "hf.co"};
    const char *rest = text;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && rest == text; i++)
        rest = after(text, prefixes[i]) ? after(text, prefixes[i]) : text;
    size_t n = strcspn(rest, ":");
    const char *quant = rest[n] ? rest + n + 1 : "";
    if (n > 0 && rest[n - 1] == '/' && rest[n] == 0)
        n--;  // copied from a browser
    *out = (struct hub_reference){0};
    if (n < sizeof out->repo)
        memcpy(out->repo, rest, n);
    if (!name_is_repo(out->repo))
        return error_set(err, ERR_USAGE, "'%s' is no repository: owner/name[:QUANT]",
                         shown_name(slice_str(text)).text);
    if (!name_is_quant(quant) || (rest[strcspn(rest, ":")] && !quant[0]))
        return error_set(err, ERR_USAGE, "'%s': what follows the colon is no quantization",
                         shown_name(slice_str(text)).text);
    (void)snprintf(out->quant, sizeof out->quant, "%s", quant);
    return true;
}

void hub_file_url(const struct hub *h, const struct hub_repo *r, const struct hub_file *f,
                  struct buf *out)
{
    buf_printf(out, "%s/%s/resolve/%s/", h->endpoint.text, r->repo, r->commit);
    url_encode(out, f->path, "/");
}

// Who asks may not have it, or there is nothing to have: a hub does not say which.
static bool refused_error(const struct hub *h, const char *repo, const char *what,
                          const struct http_head *head, struct error *err)
{
    bool gated = head->status == 403 || strcmp(head->error_code, "GatedRepo") == 0;
    if (gated)
        return error_set(err, ERR_IO,
                         "%s: refused (%d): it is gated or private; ask for access (accept its "
                         "terms) at %s/%s and set HF_TOKEN%s",
                         what, head->status, h->endpoint.origin, repo,
                         h->token ? " to a token that has it" : "");
    if (h->token)
        return error_set(err, ERR_IO,
                         "%s: refused (%d): there is no such repository, or the token in HF_TOKEN "
                         "may not read it or has expired",
                         what, head->status);
    return error_set(err, ERR_IO,
                     "%s: refused (%d): there is no such repository, or it is private or gated: "
                     "accept its terms at %s/%s and set HF_TOKEN",
                     what, head->status, h->endpoint.origin, repo);
}

bool hub_status_error(const struct hub *h, const struct hub_repo *r, const char *file,
                      const struct http_head *head, struct error *err)
{
    struct buf what = {0};
    buf_text_add(&what, r->repo);
    if (file)
        buf_printf(&what, ": '%s'", file);
    const char *text = buf_text(&what);
    switch (head->status) {
    case 401:
    case 403: refused_error(h, r->repo, text, head, err); break;
    case 404:
        if (file)
            error_set(err, ERR_NOT_FOUND, "%s: the hub has no such file (404)", text);
        else if (strcmp(head->error_code, "RevisionNotFound") == 0)
            error_set(err, ERR_NOT_FOUND, "%s has no revision '%s' (404)", text, r->revision);
        else
            error_set(err, ERR_NOT_FOUND,
                      "%s: there is no such repository, or no revision '%s' of it (404)", text,
                      r->revision);
        break;
    case 407: error_set(err, ERR_IO, "%s: the proxy wants to know who asks (407)", text); break;
    case 429:
        error_set(err, ERR_IO, "%s: the hub says: too many requests (429); try later", text);
        break;
    default: error_set(err, ERR_IO, "%s: the hub answers with status %d", text, head->status);
    }
    buf_release(&what);
    return false;
}

// One GET and what became of it.
struct fetch {
    struct buf *out;
    size_t begin;  // where in out this answer begins
    uint64_t wanted, max_bytes;
    bool whole;  // enough came: the rest is not wanted
    bool ended;
    struct http_end end;
};

static bool on_bytes(void *self, struct slice bytes, struct error *err)
{
    struct fetch *f = self;
    uint64_t have = f->out->len - f->begin;
    if (f->wanted && bytes.len >= f->wanted - have) {
        buf_slice(f->out, slice_sub(bytes, 0, f->wanted - have));
        f->whole = true;
        return have + bytes.len == f->wanted || error_set(err, ERR_LIMIT, "enough");
    }
    if (have + bytes.len > f->max_bytes)
        return error_set(err, ERR_LIMIT, "the hub's answer is larger than %" PRIu64 " bytes",
                         f->max_bytes);
    buf_slice(f->out, bytes);
    return true;
}

static void on_end(void *self, const struct http_end *end)
{
    struct fetch *f = self;
    f->end = *end;
    f->ended = true;
}

static bool wait_ms(const struct hub *h, int64_t ms, struct error *err)
{
    for (int64_t until = clock_ns() + ms * 1000000; clock_ns() < until;) {
        if (!hub_goes_on(h, err))
            return false;
        http_step(h->http, STEP_MS);
    }
    return true;
}

// One try. False with err only if it could not begin, or was interrupted.
static bool fetch_once(struct hub *h, const char *url, struct fetch *f, struct error *err)
{
    struct http_request q = {.url = url,
                             .token = h->token,
                             .token_origin = &h->endpoint,
                             .n_bytes = f->wanted,
                             .on_body = on_bytes,
                             .on_end = on_end,
                             .self = f};
    f->ended = f->whole = false;
    f->out->len = f->begin;
    struct http_transfer *t = http_start(h->http, &q, err);
    if (!t)
        return false;
    while (!f->ended) {
        if (!hub_goes_on(h, err)) {
            http_cancel(t);
            return false;
        }
        http_step(h->http, STEP_MS);
    }
    return true;
}

// Tries until the answer is there or final. A status that is no success is left to the caller.
static bool fetch(struct hub *h, const char *url, struct fetch *f, struct error *err)
{
    f->begin = f->out->len;
    for (int n = 1;; n++) {
        if (!fetch_once(h, url, f, err))
            return false;
        const struct http_head *head = &f->end.head;
        if (f->end.outcome == HTTP_DONE || f->whole)
            return true;
        bool later = f->end.outcome == HTTP_LOST ||
                     (f->end.outcome == HTTP_STATUS && retry_status(head->status));
        int64_t asked = f->end.outcome == HTTP_STATUS ? head->retry_after_s : -1;
        if (!later || n == TRIES_MAX || asked > RETRY_AFTER_MAX_S) {
            if (f->end.outcome != HTTP_STATUS && err)
                *err = f->end.err;
            return f->end.outcome == HTTP_STATUS;
        }
        if (!wait_ms(h, retry_wait_ms(n, asked, (uint64_t)clock_ns()), err))
            return false;
    }
}

bool hub_repo_resolve(struct hub *h, const char *repo, const char *revision, struct hub_repo *out,
                      struct error *err)
{
    struct buf url = {0}, answer = {0};
    struct fetch f = {.out = &answer, .max_bytes = LISTING_MAX_BYTES};
    revision = revision && revision[0] ? revision : "main";
    *out = (struct hub_repo){0};
    if (!name_is_repo(repo))
        return error_set(err, ERR_USAGE, "'%s' is no repository: owner/name",
                         shown_name(slice_str(repo)).text);
    if (!name_is_revision(revision))
        return error_set(err, ERR_USAGE, "'%s' is no revision",
                         shown_name(slice_str(revision)).text);
    (void)snprintf(out->repo, sizeof out->repo, "%s", repo);
    (void)snprintf(out->revision, sizeof out->revision, "%s", revision);
    buf_printf(&url, "%s/api/models/%s/revision/", h->endpoint.text, repo);
    url_encode(&url, revision, "");
    buf_text_add(&url, "?blobs=true");
    bool ok = fetch(h, buf_text(&url), &f, err);
    if (ok && f.end.outcome != HTTP_DONE)
        ok = hub_status_error(h, out, NULL, &f.end.head, err);
    else if (ok)
        ok = hub_listing_read(buf_view(&answer), out, err) ||
             error_wrap(err, "%s: the hub's answer", repo);
    else if (err && err->code != ERR_CANCELLED)
        error_wrap(err, "%s", repo);
    buf_release(&url);
    buf_release(&answer);
    return ok;
}

void hub_repo_release(struct hub_repo *r)
{
    arena_release(&r->memory);
    *r = (struct hub_repo){0};
}

static bool fetch_file(struct hub *h, const struct hub_repo *r, const struct hub_file *file,
                       struct fetch *f, struct error *err)
{
    struct buf url = {0};
    hub_file_url(h, r, file, &url);
    bool ok = fetch(h, buf_text(&url), f, err);
    if (ok && f->end.outcome != HTTP_DONE && !f->whole)
        ok = hub_status_error(h, r, file->path, &f->end.head, err);
    else if (!ok && err && err->code != ERR_CANCELLED)
        error_wrap(err, "%s: '%s'", r->repo, file->path);
    buf_release(&url);
    return ok;
}

bool hub_fetch_start(struct hub *h, const struct hub_repo *r, const struct hub_file *file,
                     uint64_t n_bytes, struct buf *out, struct error *err)
{
    uint64_t n = n_bytes < file->bytes ? n_bytes : file->bytes;
    struct fetch f = {.out = out, .wanted = n, .max_bytes = n};
    if (n == 0)
        return true;
    size_t before = out->len;
    if (!fetch_file(h, r, file, &f, err))
        return false;
    if (f.end.head.has_range && f.end.head.first != 0)
        return error_set(err, ERR_FORMAT, "%s: '%s': the hub sent another part than was asked for",
                         r->repo, file->path);
    return out->len - before == n ||
           error_set(err, ERR_FORMAT, "%s: '%s': the hub sent %zu bytes of %" PRIu64, r->repo,
                     file->path, out->len - before, n);
}

bool hub_fetch_whole(struct hub *h, const struct hub_repo *r, const struct hub_file *file,
                     uint64_t max_bytes, struct buf *out, struct error *err)
{
    struct fetch f = {.out = out, .max_bytes = file->bytes};
    char sha256[65], git[41];
    size_t before = out->len;
    if (file->bytes > max_bytes)
        return error_set(err, ERR_LIMIT, "%s: '%s' has %" PRIu64 " bytes, at most %" PRIu64,
                         r->repo, file->path, file->bytes, max_bytes);
    if (!fetch_file(h, r, file, &f, err))
        return false;
    struct digest *d = digest_new(file->bytes, file->git[0]);
    digest_add(d, slice_of(out->ptr ? out->ptr + before : "", out->len - before));
    digest_end(d, sha256, git);
    digest_free(d);
    if (strcmp(file->git[0] ? git : sha256, file->git[0] ? file->git : file->sha256) == 0)
        return true;
    return error_set(err, ERR_FORMAT, "%s: '%s': the hash is not the one that the hub states",
                     r->repo, file->path);
}
