// web_page.c - GET / and the files that belong to it: a chat and a live view of the engine.
//
// They come from the binary and ask nobody but this server; the policy below has the browser see to
// it. Whoever has a file already asks with its ETag and gets 304.
// Source: w3.org/TR/CSP3; RFC 9110, 13.1.2.
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "server/impl.h"
#include "server/web_page_files.h"

// Trusted types: markup that is made from text cannot become elements, even by mistake.
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

static const struct web_file *find(const char *path)
{
    for (size_t i = 0; i < n_web_page_files; i++)
        if (strcmp(web_page_files[i].path, path) == 0)
            return &web_page_files[i];
    return NULL;
}

static const struct reply_header *page_headers(struct exchange *x, const char *etag)
{
    const struct reply_header all[] = {
        {"etag", etag},
        {"cache-control", "no-cache"},
        {"content-security-policy", policy},
        {"referrer-policy", "no-referrer"},
        {"cross-origin-opener-policy", "same-origin"},
        {"cross-origin-resource-policy", "same-origin"},
        {NULL, NULL},
    };
    struct reply_header *h = arena_new(&x->arena, struct reply_header, sizeof all / sizeof *all);
    memcpy(h, all, sizeof all);
    return h;
}

static void answer(struct exchange *x)
{
    const struct web_file *f = find(x->path);
    size_t n = (size_t)(f->end - f->begin);
    char *etag = arena_printf(&x->arena, "\"%016" PRIx64 "\"", checksum_bytes(f->begin, n));
    const char *known =
        MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "if-none-match");
    x->headers = page_headers(x, etag);
    if (known && strstr(known, etag))
        exchange_reply(x, 304, f->type, (struct slice){0});
    else
        exchange_reply(x, 200, f->type, (struct slice){f->begin, n});
}

const struct own_route *web_page_route(const char *path)
{
    static const struct own_route route = {"GET", "/page", ROUTE_AT_ONCE, ACCESS_OPEN, answer};
    return find(path) ? &route : NULL;
}
