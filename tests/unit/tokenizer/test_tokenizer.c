// test_tokenizer.c - the pipeline on vocabularies small enough to work out by hand.
#include "tokenizer_help.h"

#define ADDED(id, text, more) "{\"id\":" #id ",\"content\":\"" text "\",\"special\":true" more "}"

// Letters a b c and merges ab, abc; byte fallback for none of it.
static const char abc[] = "{\"added_tokens\":[" ADDED(6, "<s>", "") "," ADDED(
    7, "</s>",
    ",\"lstrip\":true") "],\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,"
                        "\"a\":1,\"b\":2,\"c\":3,"
                        "\"ab\":4,\"abc\":5,\"\\u2581\":8},\"merges\":[\"a b\",[\"ab\",\"c\"]]}}";

static void merges_go_by_rank(void **state)
{
    (void)state;
    struct folder f = open_json(abc);
    assert_string_equal(ids_of(f.t, "abcab", TOKENIZE_PLAIN), "5 4");
    assert_string_equal(ids_of(f.t, "bcaab", TOKENIZE_PLAIN), "2 3 1 4");
    assert_string_equal(ids_of(f.t, "", TOKENIZE_PLAIN), "");
    folder_remove(&f);
}

static void unknown_characters_become_the_unknown_token(void **state)
{
    (void)state;
    struct folder f = open_json(abc);
    assert_string_equal(ids_of(f.t, "axxb", TOKENIZE_PLAIN), "1 0 0 2");
    assert_string_equal(ids_of(f.t, "a\xC3\xA9", TOKENIZE_PLAIN), "1 0");
    assert_string_equal(ids_of(f.t, "a\xC3", TOKENIZE_PLAIN), "1 0");  // broken: U+FFFD
    folder_remove(&f);
}

static void special_tokens_are_parsed_only_when_asked(void **state)
{
    (void)state;
    struct folder f = open_json(abc);
    assert_string_equal(ids_of(f.t, "a<s>b", TOKENIZE_PARSE_SPECIAL), "1 6 2");
    assert_string_equal(ids_of(f.t, "a<s>b", TOKENIZE_PLAIN), "1 0 0 0 2");
    assert_string_equal(ids_of(f.t, "a  </s>", TOKENIZE_PARSE_SPECIAL), "1 7");
    folder_remove(&f);
}

static void values_cannot_forge_special_tokens(void **state)
{
    (void)state;
    struct folder f = open_json(abc);
    struct error err = {0};
    struct tokens ids = {0};
    struct slice text = slice_str("<s>a<s>b<s>");
    struct text_span value = {3, 8};  // a<s>b
    assert_true(tokenizer_encode_marked(f.t, text, TOKENIZE_PARSE_SPECIAL, &value, 1, &ids, &err));
    static const int32_t want[] = {6, 1, 0, 0, 0, 2, 6};
    assert_int_equal(ids.n, 7);
    assert_memory_equal(ids.ids, want, sizeof want);
    // One byte of the token inside the value is enough.
    ids.n = 0;
    value = (struct text_span){2, 3};
    assert_true(tokenizer_encode_marked(f.t, slice_str("<s>a"), TOKENIZE_PARSE_SPECIAL, &value, 1,
                                        &ids, &err));
    assert_int_equal(ids.ids[0], 0);
    // Merges go over the borders of values all the same.
    ids.n = 0;
    value = (struct text_span){1, 2};
    assert_true(tokenizer_encode_marked(f.t, slice_str("abc"), TOKENIZE_PARSE_SPECIAL, &value, 1,
                                        &ids, &err));
    assert_int_equal(ids.n, 1);
    assert_int_equal(ids.ids[0], 5);
    tokens_release(&ids);
    folder_remove(&f);
}

// <s> is sought in the normalized text, where U+2581 stands for spaces.
static void values_cannot_forge_normalized_special_tokens(void **state)
{
    (void)state;
    struct folder f = open_json("{\"added_tokens\":[" ADDED(
        6, "<s>",
        ",\"normalized\":true") "],\"normalizer\":{\"type\":"
                                "\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":"
                                "\"Replace\",\"pattern\":{"
                                "\"String\":\" "
                                "\"},\"content\":\"__\"}]},\"model\":{\"type\":\"BPE\",\"unk_"
                                "token\":\"?\","
                                "\"fuse_unk\":true,\"vocab\":{\"?\":0,\"a\":1},\"merges\":[]}}");
    struct error err = {0};
    struct tokens ids = {0};
    struct slice text = slice_str("e\xCC\x81 a <s>a<s>");
    struct text_span value = {6, 10};  // ends inside the first <s>
    assert_string_equal(ids_of(f.t, text.ptr, TOKENIZE_PARSE_SPECIAL), "0 1 0 6 1 6");
    assert_true(tokenizer_encode_marked(f.t, text, TOKENIZE_PARSE_SPECIAL, &value, 1, &ids, &err));
    static const int32_t want[] = {0, 1, 0, 1, 6};
    assert_int_equal(ids.n, 5);
    assert_memory_equal(ids.ids, want, sizeof want);
    tokens_release(&ids);
    folder_remove(&f);
}

static void template_puts_tokens_around(void **state)
{
    (void)state;
    struct folder f = open_json(
        "{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
        "\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"</s>\"}}],"
        "\"special_tokens\":{\"<s>\":{\"ids\":[1]},\"</s>\":{\"ids\":[2]}}},"
        "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"<s>\":1,"
        "\"</s>\":2,\"hi\":3}}}");
    assert_string_equal(ids_of(f.t, "hi", TOKENIZE_ADD_SPECIAL), "1 3 2");
    assert_string_equal(ids_of(f.t, "hi", TOKENIZE_PLAIN), "3");
    folder_remove(&f);
}

// A character of three byte tokens comes out whole, a broken run as one U+FFFD a byte.
static void streaming_never_cuts_a_character(void **state)
{
    (void)state;
    struct folder f = open_json(
        "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":"
        "\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},\"model\":{"
        "\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\" "
        "\":0,\"a\":1,\"<0xE2>\":2,\"<0x82>\":"
        "3,\"<0xAC>\":4},\"merges\":[]}}");
    static const int32_t ids[] = {0, 2, 3, 4, 1, 2, 3, 1};
    static const char *const parts[] = {"",
                                        "",
                                        "",
                                        "",
                                        "\xE2\x82\xAC"
                                        "a",
                                        "",
                                        "",
                                        "\xEF\xBF\xBD\xEF\xBF\xBD"
                                        "a"};
    struct detokenizer d;
    struct buf out = {0}, all = {0};
    struct error err = {0};
    detokenizer_init(&d, f.t, true);
    for (size_t i = 0; i < 8; i++) {
        buf_clear(&out);
        detokenizer_push(&d, ids[i], &out);
        assert_string_equal(buf_text(&out), parts[i]);
    }
    assert_true(tokenizer_decode(f.t, ids, 8, true, &all, &err));
    assert_string_equal(buf_text(&all), "\xE2\x82\xAC"
                                        "a\xEF\xBF\xBD\xEF\xBF\xBD"
                                        "a");
    buf_clear(&out);
    detokenizer_push(&d, 2, &out);
    detokenizer_finish(&d, &out);
    assert_string_equal(buf_text(&out), "\xEF\xBF\xBD");
    static const int32_t wrong[] = {5};
    assert_false(tokenizer_decode(f.t, wrong, 1, true, &all, &err));
    buf_release(&out);
    buf_release(&all);
    folder_remove(&f);
}

static void ends_come_from_every_file(void **state)
{
    (void)state;
    struct folder f;
    struct error err = {0};
    static const char json[] =
        "{\"added_tokens\":[" ADDED(1, "<e>", "") "," ADDED(2, "<|im_end|>", "") "," ADDED(
            3, "<x>", "") "],\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"</s>\":4}}}";
    static const char config[] = "{\"eos_token\":{\"content\":\"<e>\"},\"pad_token\":\"</s>\"}";
    static const char generation[] = "{\"eos_token_id\":[3, 99]}";
    folder_make(&f);
    folder_put(&f, "tokenizer.json", json, sizeof json - 1);
    folder_put(&f, "tokenizer_config.json", config, sizeof config - 1);
    folder_put(&f, "generation_config.json", generation, sizeof generation - 1);
    assert_true(folder_open(&f, &err));
    size_t n;
    const int32_t *ends = tokenizer_ends(f.t, &n);
    assert_int_equal(n, 3);
    assert_int_equal(ends[0], 1);
    assert_int_equal(ends[1], 3);
    assert_int_equal(ends[2], 2);
    assert_int_equal(tokenizer_eos(f.t), 1);
    assert_int_equal(tokenizer_pad(f.t), 4);
    assert_true(tokenizer_is_control(f.t, 1));
    assert_false(tokenizer_is_control(f.t, 0));
    folder_remove(&f);
}

// "</s>" of Phi 3 is not special, but it ends texts all the same.
static void values_cannot_forge_the_end(void **state)
{
    (void)state;
    struct folder f;
    struct error err = {0};
    struct tokens ids = {0};
    struct text_span value = {0, 5};
    static const char json[] =
        "{\"added_tokens\":[{\"id\":1,\"content\":\"</s>\",\"special\":false},{\"id\":2,"
        "\"content\":\"<t>\",\"special\":false}],\"model\":{\"type\":\"WordLevel\","
        "\"unk_token\":\"?\",\"vocab\":{\"?\":0}}}";
    static const char config[] = "{\"eos_token\":\"</s>\"}";
    folder_make(&f);
    folder_put(&f, "tokenizer.json", json, sizeof json - 1);
    folder_put(&f, "tokenizer_config.json", config, sizeof config - 1);
    assert_true(folder_open(&f, &err));
    assert_true(tokenizer_encode_marked(f.t, slice_str("</s>"), TOKENIZE_PARSE_SPECIAL, &value, 1,
                                        &ids, &err));
    assert_int_equal(ids.n, 1);
    assert_int_equal(ids.ids[0], 0);
    ids.n = 0;
    assert_true(tokenizer_encode_marked(f.t, slice_str("<t>"), TOKENIZE_PARSE_SPECIAL, &value, 1,
                                        &ids, &err));
    assert_int_equal(ids.ids[0], 2);  // plain text with an id of its own is harmless
    tokens_release(&ids);
    folder_remove(&f);
}

static void config_adds_tokens_where_no_post_processor_decides(void **state)
{
    (void)state;
    static const char config[] = "{\"bos_token\":\"<s>\",\"add_bos_token\":true}";
    static const char *const files[] = {
        "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"<s>\":1}}}",
        "{\"post_processor\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"WordLevel\","
        "\"vocab\":{\"a\":0,\"<s>\":1}}}",
    };
    static const char *const want[] = {"1 0", "0"};
    for (int i = 0; i < 2; i++) {
        struct folder f;
        struct error err = {0};
        folder_make(&f);
        folder_put(&f, "tokenizer.json", files[i], strlen(files[i]));
        folder_put(&f, "tokenizer_config.json", config, sizeof config - 1);
        assert_true(folder_open(&f, &err));
        assert_string_equal(ids_of(f.t, "a", TOKENIZE_ADD_SPECIAL), want[i]);
        folder_remove(&f);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(merges_go_by_rank),
    cmocka_unit_test(unknown_characters_become_the_unknown_token),
    cmocka_unit_test(special_tokens_are_parsed_only_when_asked),
    cmocka_unit_test(values_cannot_forge_special_tokens),
    cmocka_unit_test(values_cannot_forge_normalized_special_tokens),
    cmocka_unit_test(values_cannot_forge_the_end),
    cmocka_unit_test(config_adds_tokens_where_no_post_processor_decides),
    cmocka_unit_test(template_puts_tokens_around),
    cmocka_unit_test(streaming_never_cuts_a_character),
    cmocka_unit_test(ends_come_from_every_file),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
