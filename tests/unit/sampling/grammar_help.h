// grammar_help.h - for the tests of grammars: whether a program takes a text.
#pragma once
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "local/sampling/grammar/grammar.h"
#include "local/sampling/grammar/program.h"
#include "local/sampling/grammar/vocab.h"

enum taken { NOT_TAKEN, BEGINS, TAKEN };  // BEGINS: a text that is taken begins so

static inline enum taken taken(struct grammar *g, struct slice text)
{
    struct place m = {0};
    struct error err = {0};
    enum taken result = NOT_TAKEN;
    if (place_init(&m, g, &err) && place_accept_bytes(&m, text, &err))
        result = place_can_end(&m) ? TAKEN : BEGINS;
    place_release(&m);
    return result;
}

static inline struct grammar *grammar_of(struct program *p, const struct grammar_vocab *v)
{
    return p ? grammar_new(p, v, 0) : NULL;
}
