// normalizer.h - the steps that rewrite a text before it is split.
//
// Each step reads one buffer and writes the next. With `tainted` every byte carries whether it
// came from a value, so that special tokens can be refused there after any rewriting.
// Threads: immutable; the buffers belong to a call.
// Source: tokenizers (normalizers/), sentencepiece (normalizer.cc).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "local/tokenizer/charsmap.h"
#include "local/tokenizer/pattern.h"
#include "local/tokenizer/trie.h"

struct error;

enum normalizer_kind {
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_REPLACE,  // pattern by text
    NORMALIZE_PREPEND,  // text, unless empty
    NORMALIZE_LOWERCASE,
    NORMALIZE_STRIP_ACCENTS,
    NORMALIZE_STRIP,  // left, right
    NORMALIZE_NMT,
    NORMALIZE_BERT_CLEAN,
    NORMALIZE_BERT_CHINESE,
    NORMALIZE_BERT_MARKS,
    NORMALIZE_CHARSMAP,  // as tokenizers does it: by grapheme
    NORMALIZE_BYTE_LETTERS,
    NORMALIZE_SENTENCEPIECE,  // all of SentencePiece's rules in one
};
struct normalizer {
    enum normalizer_kind kind;
    struct pattern *pattern;
    char *text;
    size_t text_len;
    bool left, right;
    char *blob;  // of the charsmap
    struct charsmap map;
    // SentencePiece:
    bool add_prefix, remove_extra, escape, prefix_first_only, suffix;
    struct trie kept;  // user-defined pieces pass unchanged
};
enum { NORMALIZERS_MAX = 64 };
struct normalizers {
    struct normalizer items[NORMALIZERS_MAX];
    int n;
};

struct normal_text {
    struct buf text;
    uint8_t *tainted;  // NULL if nobody asks
    size_t taint_capacity;
    bool marked;
    bool first;      // holds the beginning of the whole text
    bool lead_gone;  // what was the first character is not the first any more
};
void normal_text_release(struct normal_text *t);
void normal_text_clear(struct normal_text *t);
// Appends bytes that stand for from[a, b).
void normal_text_add(struct normal_text *t, const struct normal_text *from, size_t a, size_t b,
                     struct slice bytes);

// Runs all steps over `text`; the result is *result, one of the two. False with err.
bool normalizers_run(const struct normalizers *n, struct matcher *m, struct normal_text *text,
                     struct normal_text *other, struct normal_text **result, struct error *err);
void normalizers_release(struct normalizers *n);
