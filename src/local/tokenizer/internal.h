// internal.h - what a tokenizer is made of; for the files of this folder only.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "local/tokenizer/added.h"
#include "local/tokenizer/bpe.h"
#include "local/tokenizer/decoder.h"
#include "local/tokenizer/normalizer.h"
#include "local/tokenizer/pattern.h"
#include "local/tokenizer/tokenizer.h"
#include "local/tokenizer/trie.h"
#include "local/tokenizer/vocab.h"

struct error;

enum split_behavior {
    SPLIT_ISOLATED,
    SPLIT_REMOVED,
    SPLIT_CONTIGUOUS,
    SPLIT_WITH_PREVIOUS,
    SPLIT_WITH_NEXT,
};
enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };
enum pretokenizer_kind { PRE_SPLIT, PRE_BYTE_LEVEL, PRE_METASPACE, PRE_FIXED_LENGTH };
struct pretokenizer {
    enum pretokenizer_kind kind;
    struct pattern *pattern;  // of a split, or of the words of ByteLevel (NULL: none)
    enum split_behavior behavior;
    bool invert;
    bool prefix_space;  // ByteLevel
    bool raw;           // ByteLevel, last, and the model takes bytes: the letters are left out
    char meta[8];       // Metaspace
    size_t meta_len;
    enum prepend_scheme scheme;
    bool split;
    size_t length;  // FixedLength, characters
};
enum { PRETOKENIZERS_MAX = 32 };

enum model_kind { MODEL_BPE, MODEL_UNIGRAM, MODEL_WORDPIECE, MODEL_WORDLEVEL };
struct model {
    enum model_kind kind;
    int32_t unk;  // -1 if none
    bool byte_fallback;
    int32_t byte_ids[256];  // of "<0x41>" (byte fallback) or of the letters (raw bytes); -1
    // BPE
    struct bpe_merges merges;
    bool raw_bytes;          // words are bytes, not letters
    int32_t ascii_ids[128];  // symbols of one byte, where there is no prefix or suffix; -1
    bool fuse_unk, ignore_merges;
    char *prefix, *suffix;  // of later and of last symbols, or NULL; WordPiece: prefix
    struct vocab raw;       // pieces by their bytes, where words are looked up whole
    bool at_meta;           // words may be cut before U+2581: no piece reaches over that
    bool fuse_bytes;        // SentencePiece: unknown runs are one token
    bool sentencepiece;
    struct vocab extra;  // characters that only merges know (SentencePiece): ids from vocab.n on
    struct trie user;    // SentencePiece: user-defined pieces, never merged
    // Unigram and WordPiece
    struct trie pieces, later;  // WordPiece: later ones without their prefix
    double *scores;
    double unk_score, max_score;
    bool float_scores;
    int64_t max_word_chars;
};

struct tokenizer {
    struct vocab vocab;
    struct added_tokens added;
    struct normalizers normalizers;
    struct pretokenizer pre[PRETOKENIZERS_MAX];
    int n_pre;
    struct model model;
    struct decoders decoders;
    struct tokens before, after;  // what the post-processor adds
    bool frame_decided;           // by the file itself: add_bos_token has no say
    int32_t bos, eos, unk, pad;
    struct tokens ends;
    uint16_t *classes;
};

// One call of encode.
struct encoder {
    const struct tokenizer *t;
    struct tokens *out;
    struct error *err;
    struct matcher matcher;
    struct bpe_work bpe;
    struct buf stage[PRETOKENIZERS_MAX];
    struct buf symbol;         // prefix + character + suffix
    struct word_cache *cache;  // NULL until the first word
    struct path_node *path;    // Unigram
    size_t path_capacity;
    struct tokens path_ids;
    bool after_unk;  // the last token out is an unknown one that the next may join
};

// Runs the pre-tokenizers from `stage` on over a piece, then the model over what comes out.
// `first`: it begins where the whole text begins.
bool pretokenize(struct encoder *e, int stage, struct slice piece, bool first);
// The ids of one word (not empty).
bool model_encode(struct encoder *e, struct slice word);
int32_t model_symbol(const struct tokenizer *t, struct slice s);
bool unigram_encode(struct encoder *e, struct slice word);
bool wordpiece_encode(struct encoder *e, struct slice word);
void word_cache_free(struct word_cache *c);
void model_release(struct model *m);
void pretokenizer_release(struct pretokenizer *p);

// The readers fill a zeroed tokenizer; `file` is for errors. False with err.
struct json_t;
struct gguf;
bool read_tokenizer_json(struct tokenizer *t, const struct json_t *json, struct error *err);
bool read_tokenizer_gguf(struct tokenizer *t, const struct gguf *g, struct error *err);
bool read_tokenizer_spm(struct tokenizer *t, struct slice file, const struct json_t *config,
                        struct error *err);
bool read_tokenizer_vocab(struct tokenizer *t, const struct json_t *vocab, struct slice merges,
                          const struct json_t *config, struct error *err);

// Shared by the readers.
void tokenizer_init(struct tokenizer *t);
void tokenizer_release(struct tokenizer *t);
// After the vocabulary is whole: tables of bytes, tries, which shortcuts hold. False with err.
bool model_finish(struct tokenizer *t, struct error *err);
// After all: added tokens get their normalized form and their tries.
bool tokenizer_finish(struct tokenizer *t, struct error *err);
// All merges of two pieces into a third, ranked by its score (SentencePiece).
bool merges_from_scores(struct tokenizer *t, struct error *err);
// Unigram's scores from the vocabulary's (SentencePiece). Always true.
bool unigram_scores(struct tokenizer *t);
