// lookup.h - guesses what comes next from what stood before: the continuation of the longest
// earlier place that ends like the text does now.
//
// An index over prompt and answer as LZ77 compressors keep one: for each place the last place with
// the same LOOKUP_LEAST tokens before it. A fixed number of places is looked at, beside the one
// that the last guess came from, so that a long copy is followed for as long as it goes on. Reading
// a token and guessing cost O(1) each; memory is 8 to 12 bytes for each token of the longest text.
// Threads: the engine's.
// Source: prompt lookup decoding, github.com/apoorvumang/prompt-lookup-decoding; LZ77.
#pragma once
#include <stdint.h>

enum { LOOKUP_LEAST = 2, LOOKUP_MOST = 32 };  // tokens that must agree; that are compared

struct lookup {
    int32_t *head;    // [1 << bits] the last place whose tokens before it hash so; -1: none
    int32_t *before;  // [longest] the place before with the same hash
    int bits;
    int n_read;          // places below are in the index
    int32_t from, at;    // the last guess took what stands at `from` for what comes at `at`
    int32_t guess_from;  // the same of the guess that is being made
};

void lookup_init(struct lookup *l, int longest);
void lookup_release(struct lookup *l);

// Reads tokens [n_tokens] on from where it stopped; what was read may not have changed. Returns
// how many tokens before the best place agree with the last ones (LOOKUP_LEAST to LOOKUP_MOST), or
// 0 if there is none; lookup_guess then continues it.
int lookup_find(struct lookup *l, const int32_t *tokens, int n_tokens);
// Writes n guesses after tokens [n_tokens]. A continuation that reaches the end goes on with
// itself.
void lookup_guess(struct lookup *l, int32_t *tokens, int n_tokens, int n);
