// fuzz_hub.c - any bytes as a hub's listing, a manifest of the store, the record of a download, and
// header fields: read or refused, and whatever is read keeps its promises.
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "hub/hub_impl.h"
#include "hub/manifest.h"
#include "hub/names.h"
#include "hub/part.h"
#include "net/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void choose_all(const struct hub_repo *r)
{
    struct hub_choice *all;
    size_t n = hub_choices(r, &all);
    for (size_t i = 0; i < n; i++) {
        struct hub_choice again;
        check(all[i].gguf && all[i].n_files > 0 && name_is_quant(all[i].quant));
        if (hub_choose(r, all[i].quant, &again, NULL))
            check(again.n_files > 0 && name_is_quant(again.quant));
        hub_choice_release(&again);
    }
    hub_choices_free(all, n);
}

static void listing(struct slice text)
{
    struct hub_repo r = {.repo = "owner/name"};
    struct hub_choice c;
    struct error err = {0};
    if (!hub_listing_read(text, &r, &err)) {
        check(err.code && err.text[0]);
        hub_repo_release(&r);
        return;
    }
    for (size_t i = 0; i < r.n_files; i++) {
        check(name_is_path(r.files[i].path, strlen(r.files[i].path)));
        check(r.files[i].sha256[0] ? name_is_hex(r.files[i].sha256, 64)
                                   : name_is_hex(r.files[i].git, 40));
        check(i == 0 || strcmp(r.files[i - 1].path, r.files[i].path) < 0);
    }
    if (hub_choose(&r, NULL, &c, &err))
        check(c.n_files > 0 && name_is_quant(c.quant));
    else
        check(err.code && err.text[0]);
    hub_choice_release(&c);
    choose_all(&r);
    hub_repo_release(&r);
}

static void manifest(struct slice text)
{
    struct manifest m = {.name = "m"}, again = {.name = "m"};
    struct error err = {0};
    struct buf out = {0};
    if (manifest_read(&m, text, &err)) {
        for (size_t i = 0; i < m.n_files; i++)
            check(name_is_path(m.files[i].path, strlen(m.files[i].path)));
        manifest_write(&m, &out);
        check(manifest_read(&again, buf_view(&out), &err) && manifest_same(&m, &again));
    } else {
        check(err.code && err.text[0]);
    }
    manifest_release(&m);
    manifest_release(&again);
    buf_release(&out);
}

static void record(struct slice text)
{
    struct ranges done;
    struct range gap;
    if (part_read_record(text, 1000, &done))
        check(ranges_bytes(&done) <= 1000 &&
              ranges_gap(&done, 1000, &gap) == (ranges_bytes(&done) < 1000));
    ranges_release(&done);
}

static void fields(struct slice text)
{
    struct http_head head = {.total = -1};
    char *line = strndup(text.ptr, text.len);
    if (http_head_range(&head, line))
        check(head.first >= 0 && head.last >= head.first &&
              (head.total < 0 || head.last < head.total));
    check(http_head_retry_after(line, 1000) >= -1);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    listing(text);
    manifest(text);
    record(text);
    fields(text);
    return 0;
}
