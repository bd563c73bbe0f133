// url.h - addresses of the web: their origin, where a redirect may lead, and what is shown of them.
//
// Parsed and resolved by libcurl's own URL parser, so that what is checked here is what is asked.
// An address may carry a signature in its query: only `origin` may appear in messages.
// Threads: a struct url belongs to one thread.
#pragma once
#include <stdbool.h>

struct buf;
struct error;

enum { URL_MAX_BYTES = 16384 };

struct url {
    char *text;    // the whole address, without a fragment
    char *origin;  // scheme://host, in lower case, and :port unless it is the scheme's own
};

// http and https only; no user name or password in it, no control characters. False with err
// (ERR_USAGE), and *out is empty.
bool url_parse(const char *text, struct url *out, struct error *err);
// Where `location`, which may be relative, leads from `from`; from https never to http.
// False with err (ERR_FORMAT), which does not quote it.
bool url_redirect(const struct url *from, const char *location, struct url *out, struct error *err);
void url_release(struct url *u);
bool url_same_origin(const struct url *a, const struct url *b);
// Appends text with every byte but letters, digits, "-._~" and those of `keep` percent-encoded.
void url_encode(struct buf *out, const char *text, const char *keep);
