// access.c - HF_ENDPOINT, HF_TOKEN and the other variables that huggingface_hub reads.
#include "hub/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "net/url.h"

enum { TOKEN_FILE_MAX = 8192 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

bool access_endpoint(struct url *out, struct error *err)
{
    const char *given = variable("HF_ENDPOINT");
    if (!url_parse(given ? given : "https://huggingface.co", out, err))
        return error_wrap(err, "HF_ENDPOINT");
    size_t n = strlen(out->text);
    while (n && out->text[n - 1] == '/')
        out->text[--n] = 0;
    if (!strpbrk(out->text, "?#"))
        return true;
    url_release(out);
    return error_set(err, ERR_USAGE, "HF_ENDPOINT: an address with a query is no hub's");
}

static bool token_of_file(const char *path, char **token, struct error *err)
{
    struct buf text = {.max_bytes = TOKEN_FILE_MAX};
    bool ok = file_read(path, TOKEN_FILE_MAX, &text, err);
    if (ok) {
        const char *white = " \t\r\n", *start = buf_text(&text) + strspn(buf_text(&text), white);
        size_t n = strcspn(start, white);
        *token = n ? memory_text_n(start, n) : NULL;
        ok = start[n + strspn(start + n, white)] == 0 ||
             error_set(err, ERR_FORMAT, "token file '%s': more than one word", path);
    }
    if (text.ptr)
        explicit_bzero(text.ptr, text.len);
    buf_release(&text);
    if (!ok) {
        free(*token);
        *token = NULL;
    }
    return ok;
}

// Where `hf auth login` leaves it, as huggingface_hub finds it.
static bool default_token_file(struct buf *path)
{
    const char *hf = variable("HF_HOME"), *cache = variable("XDG_CACHE_HOME");
    const char *home = variable("HOME");
    if (hf)
        buf_printf(path, "%s/token", hf);
    else if (cache)
        buf_printf(path, "%s/huggingface/token", cache);
    else if (home)
        buf_printf(path, "%s/.cache/huggingface/token", home);
    return path->len > 0 && file_exists(path->ptr);
}

bool access_token(char **token, struct error *err)
{
    const char *given = variable("HF_TOKEN"), *named = variable("HF_TOKEN_PATH");
    struct buf path = {0};
    bool ok = true;
    *token = NULL;
    if (given)
        *token = memory_text(given);
    else if (named)
        ok = token_of_file(named, token, err);
    else if (default_token_file(&path))
        ok = token_of_file(path.ptr, token, err);
    buf_release(&path);
    return ok;
}

bool access_is_offline(void)
{
    const char *value = variable("HF_HUB_OFFLINE");
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0 ||
                     strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0);
}

const char *access_ca_file(void)
{
    return variable("SSL_CERT_FILE");
}

int access_stall_s(void)
{
    const char *value = variable("HF_HUB_DOWNLOAD_TIMEOUT");
    char *end;
    long seconds = value ? strtol(value, &end, 10) : 0;
    return value && *end == 0 && seconds >= 1 && seconds <= 3600 ? (int)seconds : 0;
}
