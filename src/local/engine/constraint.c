#include "local/engine/constraint.h"

#include <stdlib.h>

#include "base/memory.h"

void constraint_begin(struct constraint *c, struct grammar *g, int n_vocab)
{
    *c = (struct constraint){0};
    if (!g)
        return;
    c->n_words = ((size_t)n_vocab + 31) / 32;
    c->mask = memory_array(uint32_t, c->n_words);
    (void)place_init(&c->place, g, &c->error);
}

void constraint_release(struct constraint *c)
{
    place_release(&c->place);
    free(c->mask);
    *c = (struct constraint){0};
}

static void add_ends(struct constraint *c, const int32_t *ends, size_t n_ends)
{
    for (size_t i = 0; i < n_ends; i++)
        if (ends[i] >= 0 && (size_t)ends[i] / 32 < c->n_words)
            c->mask[ends[i] / 32] |= UINT32_C(1) << ends[i] % 32;
}

static bool mask_at(struct constraint *c, struct place *m, const int32_t *ends, size_t n_ends,
                    struct error *err)
{
    if (!place_mask(m, c->mask, c->n_words, err))
        return false;
    if (place_can_end(m))
        add_ends(c, ends, n_ends);
    return true;
}

static bool any_bit(const struct constraint *c)
{
    for (size_t i = 0; i < c->n_words; i++)
        if (c->mask[i])
            return true;
    return false;
}

bool constraint_mask(struct constraint *c, const int32_t *ends, size_t n_ends,
                     const uint32_t **mask, struct error *err)
{
    *mask = NULL;
    if (!c->mask)
        return true;
    if (!c->place.grammar) {
        *err = c->error;
        return false;
    }
    if (!mask_at(c, &c->place, ends, n_ends, err))
        return false;
    if (!any_bit(c))
        return error_set(err, ERR_UNSUPPORTED,
                         "no token of the model can continue the text as the grammar wants it");
    *mask = c->mask;
    return true;
}

const uint32_t *constraint_mask_after(struct constraint *c, const int32_t *tokens, int n,
                                      const int32_t *ends, size_t n_ends)
{
    struct place m = {0};
    struct error err;
    if (!c->place.grammar)
        return NULL;
    place_copy(&m, &c->place);
    bool ok = true;
    for (int i = 0; ok && i < n; i++)
        ok = place_accept(&m, tokens[i], &err);
    ok = ok && mask_at(c, &m, ends, n_ends, &err) && any_bit(c);
    place_release(&m);
    return ok ? c->mask : NULL;
}

bool constraint_accept(struct constraint *c, int32_t token, struct error *err)
{
    return !c->place.grammar || place_accept(&c->place, token, err);
}

bool constraint_must_end(struct constraint *c)
{
    return c->place.grammar && place_must_end(&c->place);
}

int constraint_fits(struct constraint *c, const int32_t *tokens, int n)
{
    return c->place.grammar ? (int)place_fits(&c->place, tokens, (size_t)n) : n;
}
