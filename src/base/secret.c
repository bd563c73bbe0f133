#include "base/secret.h"

#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/memory.h"

// Shorter beginnings are what many keys have in common ("sk-proj-"), and no secret.
enum { TELLING_BYTES = 12 };

struct secret {
    size_t mapped;
    size_t key;  // where in the text it begins
    char text[];
};

static bool visible(char c)
{
    return c > 0x20 && c < 0x7F;
}

bool secret_check(const char *what, const char *text, struct error *err)
{
    size_t n = text ? strlen(text) : 0;
    if (n == 0)
        return error_set(err, ERR_USAGE, "%s: the key is empty", what);
    if (n > SECRET_MAX_BYTES)
        return error_set(err, ERR_USAGE, "%s: the key is too long to be one", what);
    for (size_t i = 0; i < n; i++)
        if (!visible(text[i]))
            return error_set(err, ERR_USAGE, "%s: the key holds a character that no key has", what);
    return true;
}

struct secret *secret_new(const char *before, const char *key, struct error *err)
{
    size_t n_before = before ? strlen(before) : 0, n = strlen(key);
    size_t bytes = sizeof(struct secret) + n_before + n + 1;
    struct secret *s = memory_big_new(bytes);
    if (!s) {
        error_set(err, ERR_MEMORY, "there is no memory for a key");
        return NULL;
    }
    // Neither is sure to be allowed (RLIMIT_MEMLOCK), and a key serves without.
    (void)mlock(s, bytes);
    (void)madvise(s, bytes, MADV_DONTDUMP);
    s->mapped = bytes;
    s->key = n_before;
    if (n_before)
        memcpy(s->text, before, n_before);
    memcpy(s->text + n_before, key, n + 1);
    return s;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    size_t bytes = s->mapped;
    explicit_bzero(s, bytes);
    memory_big_free(s, bytes);
}

char *secret_text(struct secret *s)
{
    return s->text;
}

void secret_hide(const struct secret *s, char *text)
{
    const char *key = s->text + s->key;
    size_t n = strlen(key), telling = n < TELLING_BYTES ? n : TELLING_BYTES;
    for (char *p = text; *p; p++) {
        if (strncmp(p, key, telling) != 0)
            continue;
        for (size_t i = 0; i < n && p[i] == key[i]; i++)
            p[i] = '*';
    }
}
