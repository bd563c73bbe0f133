// vocab.h - a tokenizer's tokens as a tree of bytes, for walking a grammar over all of them at
// once.
//
// Nodes lie in depth-first order, children by byte: what follows a node before `skip` is below it,
// and its tokens lie in the same order. Control tokens, tokens without bytes and such that text
// shows otherwise (unknown) are in no tree: no grammar takes them, but for marks: control tokens
// that grammars of calls name, which stand in the tree as GRAMMAR_MARK and their number, two bytes
// that no text has. Threads: immutable.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct tokenizer;

enum { VOCAB_TOKEN_BYTES_MAX = 255 };  // longer tokens are never allowed
enum { GRAMMAR_MARK = 0xFF };          // no byte of UTF-8
struct grammar_mark {
    int32_t token;
    uint8_t number;
};

struct vocab_node {
    uint32_t skip;    // the next node that is not below this one
    uint32_t token;   // its first token in `tokens`; they end where the next node's begin
    uint32_t parent;  // node
    uint8_t byte, depth;
};
struct vocab_tree {
    struct vocab_node *nodes;  // [n + 1]; [0] is the root, [n] only ends the list
    int32_t *tokens;
    size_t n, n_tokens;
};
struct grammar_vocab {
    int32_t n_tokens;
    struct vocab_tree tree;
    // At the beginning of a text, where some tokenizers' texts lose a space (n = 0: no difference).
    struct vocab_tree first;
    uint32_t *offsets, *first_offsets;  // [n_tokens + 1] into bytes; empty: no tree has it
    char *bytes, *first_bytes;
    int longest;  // bytes of a token
};

struct grammar_vocab *grammar_vocab_new(const struct tokenizer *t, const struct grammar_mark *marks,
                                        size_t n_marks);
// From texts by id (tests); an empty one is a control token. first may be NULL.
struct grammar_vocab *grammar_vocab_of(const struct slice *texts, const struct slice *first,
                                       int32_t n);
void grammar_vocab_free(struct grammar_vocab *v);
size_t grammar_vocab_bytes(const struct grammar_vocab *v);

// What a token adds to a text, at its beginning or further on.
static inline struct slice grammar_vocab_token(const struct grammar_vocab *v, int32_t id,
                                               bool first)
{
    first = first && v->first.n;
    const uint32_t *offsets = first ? v->first_offsets : v->offsets;
    const char *bytes = first ? v->first_bytes : v->bytes;
    return slice_of(bytes + offsets[id], offsets[id + 1] - offsets[id]);
}
