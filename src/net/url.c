// url.c - addresses, over libcurl's CURLU.
#include "net/url.h"

#include <ctype.h>
#include <string.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"

// A part of the address in our own memory; NULL if it has none.
static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
    char *text = NULL, *copy;
    if (curl_url_get(u, what, &text, flags) != CURLUE_OK)
        return NULL;
    copy = memory_text(text);
    curl_free(text);
    return copy;
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

// The address as parsed goes out as it is; false for what is not to be asked at all.
static bool read_parts(CURLU *u, struct url *out)
{
    char *scheme = part(u, CURLUPART_SCHEME, 0), *host = part(u, CURLUPART_HOST, 0);
    char *port = part(u, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
    bool ok =
        scheme && host && host[0] && (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
    if (ok) {
        struct buf origin = {0};
        lower(host);
        buf_printf(&origin, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "");
        out->origin = memory_text(buf_text(&origin));
        out->text = part(u, CURLUPART_URL, 0);
        buf_release(&origin);
        ok = out->text != NULL;
    }
    free(scheme);
    free(host);
    free(port);
    if (!ok)
        url_release(out);
    return ok;
}

// libcurl's parser lets a few bytes pass that have no business in a request line.
static bool plain(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7F)
            return false;
    return n > 0 && n < URL_MAX_BYTES;
}

static bool resolve(const char *base, const char *text, struct url *out)
{
    CURLU *u = curl_url();
    bool ok = u != NULL && plain(text);
    *out = (struct url){0};
    if (ok && base)
        ok = curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK;
    ok = ok && curl_url_set(u, CURLUPART_URL, text, CURLU_DISALLOW_USER) == CURLUE_OK;
    if (ok)
        (void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    ok = ok && read_parts(u, out);
    curl_url_cleanup(u);
    return ok;
}

bool url_parse(const char *text, struct url *out, struct error *err)
{
    if (resolve(NULL, text, out))
        return true;
    return error_set(err, ERR_USAGE, "not an http or https address that can be asked");
}

bool url_redirect(const struct url *from, const char *location, struct url *out, struct error *err)
{
    if (!resolve(from->text, location, out))
        return error_set(err, ERR_FORMAT, "%s redirects to an address that cannot be asked",
                         from->origin);
    if (strncmp(from->origin, "https:", 6) == 0 && strncmp(out->origin, "https:", 6) != 0) {
        error_set(err, ERR_FORMAT, "%s redirects from https to http (%s), which is not followed",
                  from->origin, out->origin);
        url_release(out);
        return false;
    }
    return true;
}

void url_release(struct url *u)
{
    free(u->text);
    free(u->origin);
    *u = (struct url){0};
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return strcmp(a->origin, b->origin) == 0;
}

void url_encode(struct buf *out, const char *text, const char *keep)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) || strchr(keep, c))
            buf_char(out, *p);
        else
            buf_printf(out, "%%%02X", c);
    }
}
