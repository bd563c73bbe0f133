// fuzz_tokenizer.h - what the three tokenizer targets do with a tokenizer, once one opens.
//
// Encodes with and without special tokens, with a value in the middle; decodes, streams, and
// checks what must hold for any tokenizer: streamed text is whole characters, ids are in range.
#pragma once
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"
#include "local/tokenizer/tokenizer.h"

static inline void need(bool ok)
{
    if (!ok)
        abort();
}

static inline void try_tokenizer(const struct tokenizer *t, struct slice text)
{
    struct tokens ids = {0};
    struct error err = {0};
    struct buf whole = {0}, streamed = {0};
    struct text_span value = {text.len / 3, text.len / 2};
    (void)tokenizer_encode(t, text, TOKENIZE_PLAIN, &ids, &err);
    (void)tokenizer_encode(t, text, TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL, &ids, &err);
    (void)tokenizer_encode_marked(t, text, TOKENIZE_PARSE_SPECIAL, &value, 1, &ids, &err);
    struct detokenizer d;
    detokenizer_init(&d, t, true);
    bool in_range = true;
    for (size_t i = 0; i < ids.n; i++) {
        in_range &= ids.ids[i] >= 0 && ids.ids[i] < tokenizer_n_tokens(t);
        detokenizer_push(&d, ids.ids[i], &streamed);
    }
    detokenizer_finish(&d, &streamed);
    need(utf8_valid(buf_text(&streamed), streamed.len));
    need(tokenizer_decode(t, ids.ids, ids.n, false, &whole, &err) || err.code != ERR_NONE);
    for (int32_t id = 0; id < 4; id++)
        tokenizer_bytes(t, id, &whole);
    size_t n;
    (void)tokenizer_ends(t, &n);
    (void)tokenizer_find(t, slice_str("a"));
    tokens_release(&ids);
    buf_release(&whole);
    buf_release(&streamed);
    need(in_range);
}
