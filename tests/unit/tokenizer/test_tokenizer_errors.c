// test_tokenizer_errors.c - files that must be refused, each with one line that names the field.
#include "tokenizer_help.h"

#define WORDS "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0}}"

static void refused(const char *json, const char *part)
{
    const char *text = refusal(json);
    if (!strstr(text, part) || !strstr(text, "test_tokenizer.") || strchr(text, '\n')) {
        print_error("'%s' does not name '%s'\n", text, part);
        fail();
    }
}

static void vocabularies(void **state)
{
    (void)state;
#define BPE(vocab, merges)                                                                         \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}}"
    refused(BPE("\"a\":0,\"b\":0", ""), "model.vocab: id 0");
    refused(BPE("\"a\":-1", ""), "model.vocab: id -1");
    refused(BPE("\"a\":4000000000", ""), "model.vocab: id 4000000000");
    refused(BPE("\"a\":\"x\"", ""), "model.vocab: the id of 'a'");
    refused(BPE("", ""), "the vocabulary is empty");
    refused(BPE("\"a\":0", "\"a z\""), "merges[0]: 'a' and 'z'");
    refused(BPE("\"a\":0", "5"), "model.merges[0]");
    refused("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"x\"]]}}", "model.vocab[0]");
    refused("{\"model\":{\"type\":\"Unigram\",\"unk_id\":7,\"vocab\":[[\"a\",0]]}}",
            "model.unk_id");
    refused("{\"model\":{\"type\":\"Magic\"}}", "model.type: 'Magic'");
    refused("[]", "not a JSON object");
    refused("{", "JSON, line 1");
}

static void steps(void **state)
{
    (void)state;
#define PRE(step) "{\"pre_tokenizer\":" step "," WORDS "}"
    refused(PRE("{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(\"}}"),
            "pre_tokenizer.pattern: the expression does not compile");
    refused(PRE("{\"type\":\"Split\",\"behavior\":\"Odd\",\"pattern\":{\"Regex\":\"a\"}}"),
            "pre_tokenizer.behavior");
    refused(
        PRE("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},{\"type\":\"X\"}]}"),
        "pre_tokenizer.pretokenizers[1].type: 'X'");
    refused("{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"//8A\"}," WORDS
            "}",
            "normalizer");
    refused("{\"decoder\":{\"type\":\"Strip\"}," WORDS "}", "decoder.content");
    refused("{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
            "\"id\":\"x\"}}],\"special_tokens\":{\"x\":{\"ids\":[99]}}}," WORDS "}",
            "post_processor: id 99");
    refused("{\"added_tokens\":[{\"content\":\"x\",\"id\":-5}]," WORDS "}", "added_tokens[0].id");
}

static void deep_sequences(void **state)
{
    (void)state;
    struct buf json = {0};
    buf_text_add(&json, "{\"normalizer\":");
    for (int i = 0; i < 100; i++)
        buf_text_add(&json, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 100; i++)
        buf_text_add(&json, "]}");
    buf_text_add(&json, "," WORDS "}");
    refused(buf_text(&json), "nested more than 8 deep");
    buf_release(&json);
}

// An expression that backtracks without end stops with an error that names it.
static void catastrophic_expressions_end(void **state)
{
    (void)state;
    struct folder f = open_json(PRE("{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{"
                                    "\"Regex\":\"(x+x+)+[yz]\"}}"));
    struct error err = {0};
    struct tokens ids = {0};
    struct buf text = {0};
    for (int i = 0; i < 5000; i++)
        buf_char(&text, 'x');
    assert_false(tokenizer_encode(f.t, buf_view(&text), TOKENIZE_PLAIN, &ids, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, "pre_tokenizer.pattern"));
    assert_int_equal(ids.n, 0);
    buf_release(&text);
    tokens_release(&ids);
    folder_remove(&f);
}

// A rule that multiplies the text is stopped before memory is.
static void growing_normalizers_end(void **state)
{
    (void)state;
#define GROW                                                                                       \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"xxxxxxxxxxxxxxxx\"}"
    struct folder f =
        open_json("{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[" GROW "," GROW "," GROW
                  "," GROW "," GROW "," GROW "," GROW "," GROW "]}," WORDS "}");
    struct error err = {0};
    struct tokens ids = {0};
    assert_false(tokenizer_encode(f.t, slice_str("xxxxx"), TOKENIZE_PLAIN, &ids, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, "normalizer"));
    tokens_release(&ids);
    folder_remove(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(vocabularies),
    cmocka_unit_test(steps),
    cmocka_unit_test(deep_sequences),
    cmocka_unit_test(catastrophic_expressions_end),
    cmocka_unit_test(growing_normalizers_end),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
