#include "base/hash.h"

#include <string.h>

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t h = hash_mix(seed ^ len * UINT64_C(0x9FB21C651E98DF25));
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = hash_mix(h ^ word);
        p += 8;
        len -= 8;
    }
    if (len) {
        uint64_t word = 0;
        memcpy(&word, p, len);
        h = hash_mix(h ^ word);
    }
    return h;
}
