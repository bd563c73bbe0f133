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

enum { LANES = 8 };

// Each step can be undone, so that a single changed word always changes its lane; the rotation
// keeps changes of high bits, which a product only carries upwards, from cancelling out.
static inline uint64_t absorb(uint64_t lane, uint64_t word)
{
    lane ^= word;
    return (lane << 27 | lane >> 37) * UINT64_C(0x9E3779B97F4A7C15);
}

uint64_t checksum_bytes(const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    uint64_t lane[LANES], sum = hash_mix(len);
    for (int i = 0; i < LANES; i++)
        lane[i] = hash_mix((uint64_t)i);
    for (; len >= LANES * 8; p += LANES * 8, len -= LANES * 8) {
        for (int i = 0; i < LANES; i++) {
            uint64_t word;
            memcpy(&word, p + i * 8, 8);
            lane[i] = absorb(lane[i], word);
        }
    }
    for (int i = 0; i < LANES; i++)
        sum = hash_mix(sum ^ lane[i]);
    return hash_bytes(p, len, sum);
}
