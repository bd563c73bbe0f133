#include "local/engine/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

enum { LOOKED_AT = 16 };  // places with the same hash, the latest first

void lookup_init(struct lookup *l, int longest)
{
    *l = (struct lookup){.bits = 4, .n_read = LOOKUP_LEAST, .from = -1};
    while (l->bits < 30 && 1 << l->bits < longest)
        l->bits++;
    l->head = memory_array(int32_t, (size_t)1 << l->bits);
    memset(l->head, 0xff, sizeof *l->head << l->bits);
    l->before = memory_array(int32_t, (size_t)longest + 1);
}

void lookup_release(struct lookup *l)
{
    free(l->head);
    free(l->before);
    *l = (struct lookup){0};
}

// Of the LOOKUP_LEAST tokens before place `at`.
static uint64_t bucket(const struct lookup *l, const int32_t *tokens, int at)
{
    uint64_t hash = 0;
    for (int i = 1; i <= LOOKUP_LEAST; i++)
        hash = hash_mix(hash ^ (uint32_t)tokens[at - i]);
    return hash >> (64 - l->bits);
}

// A place is where something follows: it enters the index once its own token is known.
static void read_on(struct lookup *l, const int32_t *tokens, int n_tokens)
{
    for (; l->n_read < n_tokens; l->n_read++) {
        int32_t *head = &l->head[bucket(l, tokens, l->n_read)];
        l->before[l->n_read] = *head;
        *head = l->n_read;
    }
}

// How many tokens before two places are equal, as far as that is of interest.
static int agreement(const int32_t *tokens, int a, int b)
{
    int most = a < LOOKUP_MOST ? a : LOOKUP_MOST, n = 0;
    while (n < most && tokens[a - 1 - n] == tokens[b - 1 - n])
        n++;
    return n;
}

int lookup_find(struct lookup *l, const int32_t *tokens, int n_tokens)
{
    read_on(l, tokens, n_tokens);
    l->guess_from = -1;
    if (n_tokens < LOOKUP_LEAST)
        return 0;
    int best = 0;
    if (l->from >= 0) {
        l->guess_from = l->from + n_tokens - l->at;
        best = agreement(tokens, l->guess_from, n_tokens);
    }
    int32_t place = l->head[bucket(l, tokens, n_tokens)];
    for (int i = 0; i < LOOKED_AT && place >= 0 && best < LOOKUP_MOST; i++) {
        int n = agreement(tokens, place, n_tokens);
        if (n > best) {
            best = n;
            l->guess_from = place;
        }
        place = l->before[place];
    }
    return best >= LOOKUP_LEAST ? best : 0;
}

void lookup_guess(struct lookup *l, int32_t *tokens, int n_tokens, int n)
{
    l->from = l->guess_from;
    l->at = n_tokens;
    for (int i = 0; i < n; i++)
        tokens[n_tokens + i] = tokens[l->from + i];
}
