// fuzz_grammar.c - any bytes as a JSON Schema, a regular expression or a GBNF grammar (the first
// byte says which: s, r, g), or as the schema of a tool that must be called (A and on: the format),
// compiled or refused, then followed along tokens of its own masks.
//
// Every token of a mask must be accepted, a token that is not in it must not, and where a text can
// not end, something must be allowed.
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "local/sampling/grammar/gbnf.h"
#include "local/sampling/grammar/grammar.h"
#include "local/sampling/grammar/regex.h"
#include "local/sampling/grammar/schema.h"
#include "local/sampling/grammar/vocab.h"
#include "providers/answer_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_TOKENS = 300, N_WORDS = (N_TOKENS + 31) / 32, STEPS = 12, SPACE_BYTES = 1 << 20 };

static void check(bool good)
{
    if (!good)
        abort();
}

static const struct grammar_vocab *vocab(void)
{
    static const char *const more[] = {"\"a",  "\":", "{\"",  "\"}",   "],", "ab",
                                       "aaaa", "12",  "true", "\\u00", "  ", "é\""};
    static struct grammar_vocab *v;
    static char bytes[256];
    struct slice texts[N_TOKENS];
    for (int i = 0; i < N_TOKENS; i++) {
        bytes[i % 256] = (char)i;
        texts[i] = i < 256 ? slice_of(&bytes[i], 1) : slice_str(i < 268 ? more[i - 256] : "");
    }
    if (!v)
        v = grammar_vocab_of(texts, NULL, N_TOKENS);
    return v;
}

static struct program *compile_call(int format, json_t *schema, struct error *err)
{
    json_t *tools = json_pack("[{s{sssO}}]", "function", "name", "f", "parameters", schema);
    struct answer_grammar g = {.shape = {.format = (enum answer_format)format,
                                         .thinking = format % 2 ? THINKING_THINK : THINKING_NONE},
                               .tools = tools,
                               .must_call = true};
    struct program *p = answer_grammar_compile(&g, err);
    json_decref(tools);
    return p;
}

static struct program *compile(char kind, struct slice text, struct error *err)
{
    if (kind == 'r')
        return regex_compile(text, err);
    if (kind == 'g')
        return gbnf_compile(text, err);
    json_t *schema = json_parse(text, err);
    bool call = kind >= 'A' && kind < 'A' + ANSWER_FORMATS;
    struct program *p = !schema ? NULL
                        : call  ? compile_call(kind - 'A', schema, err)
                                : schema_compile(schema, err);
    json_decref(schema);
    return p;
}

static void follow(struct grammar *g, uint64_t seed)
{
    struct place m = {0};
    struct error err = {0};
    uint32_t mask[N_WORDS];
    bool ok = place_init(&m, g, &err);
    for (int i = 0; ok && i < STEPS; i++) {
        if (!place_mask(&m, mask, N_WORDS, &err))
            break;
        int n = 0;
        for (int w = 0; w < N_WORDS; w++)
            n += __builtin_popcount(mask[w]);
        check(n > 0 || place_can_end(&m));
        check(n > 0 || place_must_end(&m));
        if (n == 0)
            break;
        int left = (int)(hash_mix(seed + (uint64_t)i) % (unsigned)n) + 1;
        int32_t token = 0;
        for (; left; token++)
            left -= mask[token / 32] >> (token % 32) & 1;
        int32_t other = (int32_t)(hash_mix(seed * 3 + (uint64_t)i) % N_TOKENS);
        bool fits = place_fits(&m, &other, 1) == 1;
        check(fits == (bool)(mask[other / 32] >> (other % 32) & 1) ||
              !place_mask(&m, mask, N_WORDS, &err));
        ok = place_accept(&m, token - 1, &err);
        check(ok || err.code == ERR_LIMIT);
    }
    place_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    if (size < 1 || size > 1 << 14)
        return 0;
    struct slice text = slice_of((const char *)data + 1, size - 1);
    struct program *p = compile((char)data[0], text, &err);
    if (!p) {
        check(err.code != ERR_NONE && err.text[0]);
        return 0;
    }
    struct grammar *g = grammar_new(p, vocab(), SPACE_BYTES);
    follow(g, hash_bytes(data, size, 1));
    grammar_release(g);
    return 0;
}
