// test_embeddings.c - requests for embeddings in OpenAI's and Gemini's words, and their answers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/dialect_call.h"

static const struct chat_embed_input *input(const struct dialect_case *d, size_t i)
{
    assert_true(i < d->call.request.n_inputs);
    return &d->call.request.inputs[i];
}

static void begin(struct dialect_case *d, const char *path, const char *json)
{
    dialect_case_begin(d, "POST", path, json);
    if (!d->read)
        fail_msg("%s: %s", json, d->err.text);
    assert_int_equal(d->call.request.input, INPUT_EMBED);
    assert_int_equal(d->call.request.sampling.n_choices, d->call.request.n_inputs);
    assert_false(d->call.request.stream);
}

static void refused(const char *path, const char *json, const char *member)
{
    struct dialect_case d;
    dialect_case_begin(&d, "POST", path, json);
    assert_false(d.read);
    assert_string_equal(d.err.member, member);
    dialect_case_end(&d);
}

static void give(struct dialect_case *d, int choice, const float *values, size_t n)
{
    struct chat_event e = {
        .kind = CHAT_EMBEDDING, .choice = choice, .embedding = values, .n_embedding = n};
    dialect_case_event(d, &e);
}

static void openai_inputs_have_four_forms(void **state)
{
    (void)state;
    struct dialect_case d;
    begin(&d, "/v1/embeddings", "{\"model\":\"m\",\"input\":\"one\",\"dimensions\":5}");
    assert_int_equal(d.call.request.n_inputs, 1);
    assert_true(slice_is(input(&d, 0)->text, "one") && !input(&d, 0)->tokens);
    assert_int_equal(d.call.request.dimensions, 5);
    dialect_case_end(&d);
    begin(&d, "/v1/embeddings", "{\"input\":[\"one\",[7,8],\"three\"]}");
    assert_int_equal(d.call.request.n_inputs, 3);
    assert_true(slice_is(input(&d, 2)->text, "three"));
    assert_int_equal(input(&d, 1)->n_tokens, 2);
    assert_int_equal(input(&d, 1)->tokens[1], 8);
    dialect_case_end(&d);
    begin(&d, "/v1/embeddings", "{\"input\":[7,8,9]}");
    assert_int_equal(d.call.request.n_inputs, 1);
    assert_int_equal(input(&d, 0)->n_tokens, 3);
    dialect_case_end(&d);
}

static void openai_answers_are_floats_or_base64(void **state)
{
    (void)state;
    static const float first[] = {0.6f, -0.8f}, second[] = {1, 0};
    struct dialect_case d;
    begin(&d, "/v1/embeddings", "{\"input\":[\"a\",\"b\"]}");
    give(&d, 1, second, 2);
    give(&d, 0, first, 2);
    assert_string_equal(dialect_case_finish(&d, CHAT_STOP, NULL),
                        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
                        "\"embedding\":[0.600000024,-0.800000012]},{\"object\":\"embedding\","
                        "\"index\":1,\"embedding\":[1,0]}],\"model\":\"m\",\"usage\":{"
                        "\"prompt_tokens\":10,\"total_tokens\":10}}");
    dialect_case_end(&d);
    begin(&d, "/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"base64\"}");
    give(&d, 0, second, 2);
    assert_non_null(
        strstr(dialect_case_finish(&d, CHAT_STOP, NULL), "\"embedding\":\"AACAPwAAAAA=\""));
    dialect_case_end(&d);
}

static void openai_refusals_name_the_member(void **state)
{
    (void)state;
    static const char path[] = "/v1/embeddings";
    refused(path, "{}", "input");
    refused(path, "{\"input\":null}", "input");
    refused(path, "{\"input\":[]}", "input");
    refused(path, "{\"input\":{}}", "input");
    refused(path, "{\"input\":[\"a\",7]}", "input[1]");
    refused(path, "{\"input\":[7,\"a\"]}", "input");
    refused(path, "{\"input\":[[]]}", "input[0]");
    refused(path, "{\"input\":[[1.5]]}", "input[0]");
    refused(path, "{\"input\":[[3000000000]]}", "input[0]");
    refused(path, "{\"input\":\"a\",\"dimensions\":-1}", "dimensions");
    refused(path, "{\"input\":\"a\",\"encoding_format\":\"x\"}", "encoding_format");
    refused(path, "{\"input\":\"a\",\"model\":5}", "model");
}

static void gemini_contents_are_texts(void **state)
{
    (void)state;
    static const float values[] = {0, 1};
    struct dialect_case d;
    begin(&d, "/v1beta/models/x:embedContent",
          "{\"content\":{\"parts\":[{\"text\":\"one\"},{\"text\":\"two\"}]},"
          "\"output_dimensionality\":2,\"taskType\":\"RETRIEVAL_QUERY\"}");
    assert_true(slice_is(input(&d, 0)->text, "one\ntwo"));
    assert_string_equal(d.call.request.model, "x");
    assert_int_equal(d.call.request.dimensions, 2);
    give(&d, 0, values, 2);
    assert_string_equal(dialect_case_finish(&d, CHAT_STOP, NULL),
                        "{\"embedding\":{\"values\":[0,1]}}");
    dialect_case_end(&d);
    begin(&d, "/v1beta/models/x:batchEmbedContents",
          "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}},{\"content\":{\"parts\":[{"
          "\"text\":\"b\"}]}}]}");
    give(&d, 0, values, 2);
    give(&d, 1, values, 1);
    assert_string_equal(dialect_case_finish(&d, CHAT_STOP, NULL),
                        "{\"embeddings\":[{\"values\":[0,1]},{\"values\":[0]}]}");
    dialect_case_end(&d);
    refused("/v1beta/models/x:embedContent", "{\"content\":\"a\"}", "content");
    refused("/v1beta/models/x:embedContent", "{\"content\":{\"parts\":[{}]}}", "content.parts[0]");
    refused("/v1beta/models/x:batchEmbedContents", "{}", "requests");
    refused("/v1beta/models/x:batchEmbedContents", "{\"requests\":[5]}", "requests[0].content");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(openai_inputs_have_four_forms),
        cmocka_unit_test(openai_answers_are_floats_or_base64),
        cmocka_unit_test(openai_refusals_name_the_member),
        cmocka_unit_test(gemini_contents_are_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
