// hub_impl.h - what the files of hub/ share about a hub: its address, who asks, how it answers.
// Threads: as hub.h.
#pragma once
#include "hub/hub.h"
#include "net/http.h"

struct hub {
    struct url endpoint;  // without a slash at its end
    char *token;          // NULL: none
    struct http *http;
    hub_go_on go_on;
    void *go_on_self;
};

bool hub_goes_on(const struct hub *h, struct error *err);  // false: ERR_CANCELLED

// The address of a file at the repository's commit, appended to out.
void hub_file_url(const struct hub *h, const struct hub_repo *r, const struct hub_file *f,
                  struct buf *out);
// One line for a status that is no success; `file` may be NULL. False.
bool hub_status_error(const struct hub *h, const struct hub_repo *r, const char *file,
                      const struct http_head *head, struct error *err);

// Reads the answer of /api/models; bytes of any kind. False with err; the repository's memory is
// the caller's to release in either case.
bool hub_listing_read(struct slice json, struct hub_repo *out, struct error *err);
