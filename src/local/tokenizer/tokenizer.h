// tokenizer.h - text to token ids and back, exactly as the libraries the models were made with.
//
// Built from GGUF keys, tokenizer.json, tokenizer.model or vocab.json + merges.txt. Time is
// linear in the text for every input. Threads: immutable after open; each call keeps its own
// state.
// Source: Hugging Face tokenizers (pipeline: normalizer, pre-tokenizer, model, post-processor);
// SentencePiece; llama.cpp's tokenizer.ggml.* keys.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct error;
struct model_file;
struct tokenizer;

struct tokens {  // a vector of ids; zeroed is empty
    int32_t *ids;
    size_t n, capacity;
};
void tokens_add(struct tokens *t, int32_t id);
void tokens_release(struct tokens *t);

// NULL with err, naming file and field.
struct tokenizer *tokenizer_open(const struct model_file *file, struct error *err);
// The same from the bytes of one tokenizer.json or tokenizer.model, or from GGUF keys alone.
struct gguf;
struct tokenizer *tokenizer_open_json(struct slice json, struct error *err);
struct tokenizer *tokenizer_open_spm(struct slice model, struct error *err);
struct tokenizer *tokenizer_open_gguf(const struct gguf *g, struct error *err);
void tokenizer_close(struct tokenizer *t);  // NULL is fine

enum tokenize_flags {
    TOKENIZE_PLAIN = 0,
    TOKENIZE_ADD_SPECIAL = 1,    // what the post-processor adds: BOS, EOS, [CLS] ...
    TOKENIZE_PARSE_SPECIAL = 2,  // texts of special tokens become those tokens
};
// A run of bytes that came from a value (a message), where special tokens are never parsed.
struct text_span {
    size_t start, end;
};
// Appends the ids of text. Any bytes are accepted: what is not UTF-8 is read as U+FFFD, as
// Python's decoding with errors="replace" does. False only on err (ERR_LIMIT, ERR_UNSUPPORTED).
bool tokenizer_encode(const struct tokenizer *t, struct slice text, unsigned flags,
                      struct tokens *out, struct error *err);
// The same with TOKENIZE_PARSE_SPECIAL outside of the untrusted spans (ascending, disjoint) only.
bool tokenizer_encode_marked(const struct tokenizer *t, struct slice text, unsigned flags,
                             const struct text_span *untrusted, size_t n_untrusted,
                             struct tokens *out, struct error *err);
// Appends the text of ids, as the library's decode does; ids out of range are an error.
bool tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                      struct buf *out, struct error *err);

int32_t tokenizer_n_tokens(const struct tokenizer *t);  // ids are 0 .. n-1
// Token as it is written in the vocabulary (with U+2581 or byte-level letters); empty if a hole.
struct slice tokenizer_piece(const struct tokenizer *t, int32_t id);
// The bytes a token stands for inside a text (control tokens: their text). Appended to out.
void tokenizer_bytes(const struct tokenizer *t, int32_t id, struct buf *out);
int32_t tokenizer_find(const struct tokenizer *t,
                       struct slice piece);  // id of a piece or added token, -1
bool tokenizer_is_control(const struct tokenizer *t, int32_t id);
int32_t tokenizer_bos(const struct tokenizer *t);  // -1 if none
int32_t tokenizer_eos(const struct tokenizer *t);
int32_t tokenizer_unk(const struct tokenizer *t);
int32_t tokenizer_pad(const struct tokenizer *t);
// All tokens that end a turn, from every place that names them: eos, eot and eom keys,
// generation_config.json, and well-known control tokens (<|im_end|>, <|eot_id|>, <end_of_turn>
// ...).
const int32_t *tokenizer_ends(const struct tokenizer *t, size_t *n);

// Streaming: gives text as soon as it is whole, never half a UTF-8 character. Zero it to start.
struct detokenizer {
    const struct tokenizer *t;
    bool started, skip_special;
    bool stripping;   // still at the white space in front of the text
    bool in_bytes;    // `held` is a run of byte-fallback tokens
    int32_t n_strip;  // characters that may still be stripped there
    int32_t waiting;  // id of a token that is shown when the next one comes; -1: none
    size_t n_held;
    char held[256];  // bytes of an unfinished character, and what byte fallback has begun
};
void detokenizer_init(struct detokenizer *d, const struct tokenizer *t, bool skip_special);
void detokenizer_push(struct detokenizer *d, int32_t id, struct buf *out);
void detokenizer_finish(struct detokenizer *d, struct buf *out);  // held bytes come out as U+FFFD
