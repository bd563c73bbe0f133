// random_dialect.h - what the tests of round trips through the vendors' formats draw at random.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "dialects/client.h"

// Whose words; an index of `clients`.
enum words { OPENAI, ANTHROPIC, GEMINI };

static const struct dialect_client *const clients[] = {&client_openai, &client_anthropic,
                                                       &client_gemini};

struct random {
    uint64_t state;
};

static inline unsigned below(struct random *r, unsigned n)
{
    r->state = hash_mix(r->state + 1);
    return (unsigned)(r->state >> 33) % n;
}

static inline bool often(struct random *r)
{
    return below(r, 2) == 0;
}

static const char *const texts[] = {"hi",
                                    "two\nlines",
                                    "Gr\u00fc\u00dfe \U0001F600",
                                    "\"q\\\"",
                                    "a b c",
                                    "{\"a\": 1}",
                                    "line\u2028end",
                                    "<think>no",
                                    "0"};
static inline const char *text(struct random *r)
{
    return texts[below(r, sizeof texts / sizeof *texts)];
}

// Up to max, in tenths.
static inline float tenth(struct random *r, unsigned max)
{
    return (float)below(r, max * 10 + 1) / 10.0f;
}
