// digest.c - SHA-256 and git blob ids over EVP.
#include "hub/digest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "base/memory.h"

struct digest {
    EVP_MD_CTX *sha256, *git;  // git NULL: not wanted
};

// Both algorithms are in libcrypto's default provider, so that a failure is a broken installation.
static EVP_MD_CTX *begin(const EVP_MD *type)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int ok = c ? EVP_DigestInit_ex(c, type, NULL) : 0;
    assert(ok == 1);
    return c;
}

static void add(EVP_MD_CTX *c, const void *bytes, size_t len)
{
    int ok = EVP_DigestUpdate(c, bytes, len);
    assert(ok == 1);
}

static void end(EVP_MD_CTX *c, char *hex)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int ok = EVP_DigestFinal_ex(c, hash, &n);
    assert(ok == 1);
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(hex + (size_t)i * 2, 3, "%02x", hash[i]);
}

struct digest *digest_new(uint64_t bytes, bool with_git)
{
    struct digest *d = memory_array(struct digest, 1);
    d->sha256 = begin(EVP_sha256());
    if (with_git) {
        char head[32];
        int n = snprintf(head, sizeof head, "blob %" PRIu64, bytes);
        d->git = begin(EVP_sha1());
        add(d->git, head, (size_t)n + 1);  // with its NUL
    }
    return d;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->sha256);
    EVP_MD_CTX_free(d->git);
    free(d);
}

void digest_add(struct digest *d, struct slice bytes)
{
    add(d->sha256, bytes.ptr, bytes.len);
    if (d->git)
        add(d->git, bytes.ptr, bytes.len);
}

void digest_end(struct digest *d, char sha256[65], char git[41])
{
    git[0] = 0;
    end(d->sha256, sha256);
    if (d->git)
        end(d->git, git);
}
