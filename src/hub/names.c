// names.c - words that become parts of paths and addresses.
#include "hub/names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-ABCDEFGHIJKLMNOPQRSTUVWXYZ";

// n bytes of the usual letters, neither hidden nor an option, nor on their way up.
static bool is_word(const char *text, size_t n, size_t max)
{
    return n > 0 && n < max && strspn(text, letters) >= n && text[0] != '.' && text[0] != '-' &&
           memmem(text, n, "..", 2) == NULL;
}

bool name_is_repo(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash && !strchr(slash + 1, '/') && is_word(text, (size_t)(slash - text), NAME_BYTES) &&
           is_word(slash + 1, strlen(slash + 1), NAME_BYTES);
}

bool name_is_revision(const char *text)
{
    size_t total = strlen(text);
    if (total == 0 || total > 150)
        return false;
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, "/");
        if (!is_word(p, n, NAME_BYTES))
            return false;
        p += n;
        if (*p == 0)
            return true;
    }
}

bool name_is_quant(const char *text)
{
    return text[0] == 0 || is_word(text, strlen(text), 48);
}

bool name_is_stored(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            return false;
    return is_word(text, strlen(text), NAME_BYTES);
}

static bool is_component(const char *text, size_t n)
{
    if (n == 0 || n > 255 || (n == 1 && text[0] == '.') || (n == 2 && memcmp(text, "..", 2) == 0))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F || text[i] == '\\')
            return false;
    return true;
}

bool name_is_path(const char *text, size_t len)
{
    enum { DEPTH_MAX = 8 };
    const char *end = text + len;
    if (len == 0 || len >= FILE_PATH_BYTES || !utf8_valid(text, len))
        return false;
    for (int depth = 1; depth <= DEPTH_MAX; depth++) {
        const char *slash = memchr(text, '/', (size_t)(end - text));
        if (!is_component(text, (size_t)((slash ? slash : end) - text)))
            return false;
        if (!slash)
            return true;
        text = slash + 1;
    }
    return false;
}

bool name_is_hex(const char *text, size_t n_digits)
{
    return strlen(text) == n_digits && strspn(text, "0123456789abcdef") == n_digits;
}

void name_lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text + 32);
}

void name_of_repo(const char *repo, char name[NAME_BYTES])
{
    const char *slash = strchr(repo, '/');
    (void)snprintf(name, NAME_BYTES, "%s", slash ? slash + 1 : repo);
    name_lower(name);
    size_t n = strlen(name);
    if (n > 5 && strcmp(name + n - 5, "-gguf") == 0)
        name[n - 5] = 0;
}
