// digest.h - the hashes by which a hub names content: SHA-256, and git's blob id (SHA-1 of
// "blob SIZE\0" and the content). Over OpenSSL's libcrypto. Threads: one at a time for a digest.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct digest;

// The size is part of a git blob id. with_git false leaves it out, which halves the work.
struct digest *digest_new(uint64_t bytes, bool with_git);
void digest_free(struct digest *d);  // NULL is fine
void digest_add(struct digest *d, struct slice bytes);
// In lower case hexadecimal; git is left "" if it was not asked for. Once, at the end.
void digest_end(struct digest *d, char sha256[65], char git[41]);
