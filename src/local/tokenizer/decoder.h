// decoder.h - the steps from pieces back to text.
//
// Steps work on a list of strings, one per token at first, as the library's do; the result is
// their concatenation. Threads: immutable.
// Source: tokenizers, decoders/; sentencepiece, SentencePieceProcessor::Decode.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct error;
struct matcher;
struct pattern;

enum decoder_kind {
    DECODE_BYTE_LEVEL,
    DECODE_METASPACE,
    DECODE_BYTE_FALLBACK,
    DECODE_FUSE,
    DECODE_REPLACE,
    DECODE_STRIP,
    DECODE_WORDPIECE,
    DECODE_BPE,
    DECODE_CTC,
};
struct decoder {
    enum decoder_kind kind;
    struct pattern *pattern;
    char *text;  // replacement, prefix, suffix, Metaspace's or Strip's character, CTC's delimiter
    size_t text_len;
    char *pad;  // CTC
    int64_t start, stop;
    bool cleanup, strips_first;  // Metaspace without prepend_scheme "never"
};
enum { DECODERS_MAX = 32 };
struct decoders {
    struct decoder items[DECODERS_MAX];
    int n;
    bool none;                     // no decoder at all: pieces are joined by spaces
    bool sentencepiece;            // instead of the steps
    bool strip_prefix, strip_all;  // of SentencePiece: its dummy prefix; any white space in front
};

struct strings {
    struct buf text;
    size_t *ends;
    size_t n, capacity;
};
struct slice strings_at(const struct strings *s, size_t i);
void strings_end(struct strings *s);  // what was added to s->text since is the next string
void strings_clear(struct strings *s);
void strings_release(struct strings *s);

// Runs the steps; *result is one of the two. `first` and `last`: these tokens are the beginning,
// the end of the whole. False with err (ERR_LIMIT of a pattern).
bool decoders_run(const struct decoders *d, int from, int to, struct matcher *m,
                  struct strings *strings, struct strings *other, struct strings **result,
                  bool first, bool last, struct error *err);
// The bytes behind a string of ByteLevel's letters; any other string stands for itself.
void decode_letters(struct slice s, struct buf *out);
void decoders_release(struct decoders *d);
