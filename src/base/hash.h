// hash.h - a fast 64-bit hash for tables and page chains. Not for secrets, and not proof
// against an enemy: whoever shares something by it compares the contents too.
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed);

// Whether bytes are still what they were: notices torn, cut, swapped and flipped ones, at about the
// speed of memory. The same on machines of one byte order only; for what does not leave this one.
uint64_t checksum_bytes(const void *bytes, size_t len);

// One round of mixing; also the counter-based generator's core (sampling/).
// Source: the finalizer of SplitMix64, Steele et al., OOPSLA 2014.
static inline uint64_t hash_mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}
