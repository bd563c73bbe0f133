// vocab.h - pieces of a tokenizer by id and back.
//
// Ids come from files: they are bounded (VOCAB_MAX) before anything is allocated for them.
// Threads: immutable once the tokenizer is open.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

struct error;

enum {
    VOCAB_MAX = 1 << 21,         // ids at or above it are refused; the largest known has 262,208
    PIECE_MAX_BYTES = 1 << 16,   // of one piece
    SCANNED_MAX_BYTES = 1 << 10  // of a piece that tries walk for: bounds the time per character
};

enum token_kind {  // the numbers of SentencePiece and of tokenizer.ggml.token_type
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

struct vocab {
    struct arena text;
    struct slice *pieces;  // by id; ptr is NULL for a hole
    struct slice *bytes;   // raw bytes of byte-level pieces; NULL array if not byte-level
    uint8_t *kinds;        // enum token_kind
    float *scores;         // NULL if there are none
    bool any_bytes;        // pieces need not be UTF-8 (a table of raw bytes of our own)
    int32_t n;
    size_t capacity;
    int32_t *slots;  // open addressing by piece: id + 1, 0 is free
    size_t n_slots, n_used;
};

// Makes ids 0 .. n-1 exist (holes where nothing is set). n <= VOCAB_MAX.
void vocab_reserve(struct vocab *v, int32_t n);
// Sets the piece of an id; the text is copied. A piece that exists already under another id is
// found by the new one from then on. False with err: id out of bounds, taken by another piece,
// or the piece is too long. `field` names the place for err.
bool vocab_set(struct vocab *v, int64_t id, struct slice piece, enum token_kind kind,
               const char *field, struct error *err);
int32_t vocab_find(const struct vocab *v, struct slice piece);  // -1 if absent
// Byte-level vocabularies: works out the raw bytes behind the letters of every piece.
void vocab_make_bytes(struct vocab *v);
void vocab_release(struct vocab *v);

// The byte-level alphabet of GPT-2: every byte as a printable letter.
uint32_t byte_letter(uint8_t byte);
int byte_of_letter(uint32_t letter);  // -1 if it is none
// Appends the letters of some bytes.
struct buf;
void byte_letters(struct slice bytes, struct buf *out);
// Value of "<0x41>"; -1 if the piece is not of that form.
int byte_piece(struct slice piece);
