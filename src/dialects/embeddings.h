// embeddings.h - what the vendors' requests for embeddings share.
#pragma once
#include <stddef.h>

#include "dialects/dialect.h"

struct buf;

enum {
    EMBED_INPUTS_MAX = 2048,
    EMBED_TOKENS_MAX = 1 << 22,  // that come as ids, of all inputs
    EMBED_DIMENSIONS_MAX = 1 << 20
};

// Room for n inputs (1 to EMBED_INPUTS_MAX) in the request, which asks for their embeddings. NULL
// with err, which names `member`, if there are too many or none.
struct chat_embed_input *embed_inputs_new(struct dialect_call *c, size_t n, const char *member,
                                          struct dialect_error *err);
// An array of numbers, each as short as its float allows.
void embed_write_floats(const float *values, size_t n, struct buf *out);
