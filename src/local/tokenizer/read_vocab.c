// read_vocab.c - vocab.json + merges.txt: GPT-2's byte-level BPE before tokenizer.json.
#include "base/error.h"
#include "base/json.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/read_pipeline.h"

static bool read_merges(struct tokenizer *t, struct slice text, struct error *err)
{
    uint32_t rank = 0;
    for (size_t i = 0, line = 1; i < text.len; line++) {
        const char *end = memchr(text.ptr + i, '\n', text.len - i);
        size_t n = end ? (size_t)(end - text.ptr) - i : text.len - i;
        struct slice s = slice_sub(text, i, n);
        i += n + 1;
        if (s.len && s.ptr[s.len - 1] == '\r')
            s.len--;
        if (s.len == 0 || slice_starts(s, slice_str("#version")))
            continue;
        const char *space = memchr(s.ptr, ' ', s.len);
        if (!space || memchr(space + 1, ' ', s.len - (size_t)(space - s.ptr) - 1))
            return error_set(err, ERR_FORMAT, "merges.txt, line %zu: not two pieces", line);
        size_t cut = (size_t)(space - s.ptr);
        if (!add_merge(t, slice_sub(s, 0, cut), slice_sub(s, cut + 1, s.len), rank++, err))
            return error_wrap(err, "merges.txt, line %zu", line);
    }
    return true;
}

bool read_tokenizer_vocab(struct tokenizer *t, const json_t *vocab, struct slice merges,
                          const json_t *config, struct error *err)
{
    const char *key;
    json_t *value;
    bool prefix_space = false;
    if (!json_is_object(vocab) || json_object_size(vocab) > VOCAB_MAX)
        return error_set(err, ERR_FORMAT, "not an object of at most %d pieces", VOCAB_MAX);
    json_object_foreach((json_t *)vocab, key, value)
    {
        if (!json_is_integer(value))
            return error_set(err, ERR_FORMAT, "the id of '%.40s' is not an integer", key);
        if (!vocab_set(&t->vocab, json_integer_value(value), slice_str(key), TOKEN_NORMAL,
                       "vocab.json", err))
            return false;
    }
    (void)json_get_bool(config, "add_prefix_space", &prefix_space);
    t->model.kind = MODEL_BPE;
    t->decoders.items[0].kind = DECODE_BYTE_LEVEL;
    t->decoders.n = 1;
    int32_t end = vocab_find(&t->vocab, slice_str("<|endoftext|>"));
    if (end >= 0) {
        struct added_token token = {.text = slice_str("<|endoftext|>"), .id = end, .special = true};
        t->bos = t->eos = end;
        if (!added_set(&t->added, token, "vocab.json", err))
            return false;
    }
    return read_merges(t, merges, err) &&
           add_byte_level(t, prefix_space, true, "vocab.json", err) && model_finish(t, err);
}
