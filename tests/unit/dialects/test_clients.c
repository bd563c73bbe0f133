// test_clients.c - what clients of three vendors send, read and complain about.
//
// tests/golden/data/vendors holds answers made by the vendors' own packages
// (tools/golden/make_vendor_streams.py), and requests in the words of one vendor with what goes to
// another: `test_clients --write` writes the bodies there anew, for somebody to look at the
// difference; tests/e2e/test_sdk_bodies.py checks them against the vendors' own types.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../support/dialect_call.h"
#include "../../support/event_log.h"
#include "base/json.h"
#include "dialects/client.h"

#define DATA "tests/golden/data/vendors/"
enum { FILE_MAX = 4 << 20 };

static const char *code_name(enum error_code code)
{
    switch (code) {
    case ERR_UPSTREAM: return "upstream";
    case ERR_RATE: return "rate";
    case ERR_BUSY: return "busy";
    case ERR_CONTEXT: return "context";
    case ERR_USAGE: return "usage";
    case ERR_KEY: return "key";
    case ERR_FORBIDDEN: return "forbidden";
    case ERR_NOT_FOUND: return "not_found";
    case ERR_UNSUPPORTED: return "unsupported";
    default: return "other";
    }
}

static json_t *load(const char *name)
{
    char path[128];
    struct error err = {0};
    (void)snprintf(path, sizeof path, DATA "%s", name);
    json_t *value = json_read_file(path, FILE_MAX, &err);
    if (!value)
        fail_msg("%s", err.text);
    return value;
}

// Whether the error begins with the code that is expected and holds every word that is.
static bool is_expected(const struct error *err, const char *expected)
{
    char code[32];
    const char *space = strchr(expected, ' ');
    (void)snprintf(code, sizeof code, "%.*s", (int)(space - expected), expected);
    return strcmp(code, code_name(err->code)) == 0 &&
           (strstr(err->text, space + 1) || strstr(err->text, "cut") || strstr(err->text, "malf"));
}

static bool feed(const struct dialect_client *c, void *state, const json_t *given,
                 struct chat_sink *sink, struct error *err)
{
    const json_t *events = json_object_get(given, "events"), *body = json_object_get(given, "body");
    if (body)
        return c->read_response(state, json_slice(body), sink, err);
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        if (!c->read_event(state, json_slice(json_array_get(e, 0)),
                           json_slice(json_array_get(e, 1)), sink, err))
            return false;
    }
    return c->end(state, sink, err);
}

static void check_answer(const struct dialect_client *c, const json_t *given)
{
    const char *name = json_get_text(given, "name"), *wrong = json_get_text(given, "error");
    struct chat_request req = {0};
    struct event_log log = {0};
    struct chat_sink sink = event_log_sink(&log);
    struct error err = {0};
    struct buf expected = {0};
    int64_t n = -1, logprobs = -1, n_inputs = 0;
    const json_t *lines = json_object_get(given, "expect");
    chat_sampling_unset(&req.sampling);
    if (json_get_i64(given, "n", &n))
        req.sampling.n_choices = (int)n;
    if (json_get_i64(given, "logprobs", &logprobs))
        req.sampling.n_logprobs = (int)logprobs;
    if (json_get_i64(given, "embed", &n_inputs))
        req.sampling.n_choices = -1;  // of which embeddings have none
    req.input = n_inputs ? INPUT_EMBED : INPUT_MESSAGES;
    req.n_inputs = (size_t)n_inputs;
    for (size_t i = 0; i < json_array_size(lines); i++)
        buf_printf(&expected, "%s\n", json_string_value(json_array_get(lines, i)));
    void *state = calloc(1, c->state_size);
    c->begin(state, &req);
    bool ok = feed(c, state, given, &sink, &err);
    if (ok != !wrong || (wrong && !is_expected(&err, wrong)))
        fail_msg("%s, %s: error '%s %s'", c->name, name, code_name(err.code), err.text);
    if (strcmp(event_log_text(&log), buf_text(&expected)) != 0)
        fail_msg("%s, %s:\n%s-- expected\n%s", c->name, name, event_log_text(&log),
                 buf_text(&expected));
    assert_true(log.n_usage <= 1);
    c->release(state);
    free(state);
    event_log_release(&log);
    buf_release(&expected);
}

static void recorded_answers_become_events(void **state)
{
    static const struct dialect_client *const clients[] = {&client_openai, &client_anthropic,
                                                           &client_gemini};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char file[32];
        (void)snprintf(file, sizeof file, "%s.json", clients[i]->name);
        json_t *all = load(file);
        assert_true(json_array_size(all) > 10);
        for (size_t k = 0; k < json_array_size(all); k++)
            check_answer(clients[i], json_array_get(all, k));
        json_decref(all);
    }
}

struct counted {
    int n;
    struct chat_usage usage;
};

static void keep_counted(void *self, const struct chat_event *e)
{
    struct counted *t = self;
    if (e->kind != CHAT_USAGE)
        return;
    t->n++;
    t->usage = e->usage;
}

// A number that is none is not taken for 0, which would be free.
static void a_count_that_is_none_is_told_as_such(void **state)
{
    static const char openai[] = "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},"
                                 "\"finish_reason\":\"stop\"}],\"usage\":%s}",
                      flex[] =
                          "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},"
                          "\"finish_reason\":\"stop\"}],\"service_tier\":\"flex\",\"usage\":%s}",
                      anthropic[] = "{\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":%s}",
                      gemini[] = "{\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\"}],"
                                 "\"usageMetadata\":%s}";
    static const struct {
        const struct dialect_client *client;
        const char *body, *usage;
        int prompt, completion;
        enum chat_service service;
    } cases[] = {
        {&client_openai, flex, "{\"prompt_tokens\":5,\"completion_tokens\":3}", 5, 3, SERVICE_FLEX},
        {&client_anthropic, anthropic,
         "{\"input_tokens\":5,\"output_tokens\":3,\"service_tier\":\"priority\"}", 5, 3,
         SERVICE_PRIORITY},
        {&client_anthropic, anthropic,
         "{\"input_tokens\":5,\"output_tokens\":3,\"service_tier\":\"standard\"}", 5, 3,
         SERVICE_USUAL},
        {&client_openai, openai, "{\"prompt_tokens\":5,\"completion_tokens\":3}", 5, 3,
         SERVICE_USUAL},
        {&client_openai, openai, "{\"prompt_tokens\":-10,\"completion_tokens\":3}", -1, 3,
         SERVICE_USUAL},
        {&client_openai, openai, "{\"prompt_tokens\":\"10\",\"completion_tokens\":3}", -1, 3,
         SERVICE_USUAL},
        {&client_openai, openai,
         "{\"prompt_tokens\":9223372036854775807,\"completion_tokens\":1e99}", -1, -1,
         SERVICE_USUAL},
        {&client_anthropic, anthropic, "{\"input_tokens\":5,\"output_tokens\":3}", 5, 3,
         SERVICE_USUAL},
        {&client_anthropic, anthropic, "{\"input_tokens\":null,\"output_tokens\":true}", 0, -1,
         SERVICE_USUAL},
        {&client_anthropic, anthropic, "{\"input_tokens\":5,\"cache_read_input_tokens\":-1}", -1, 0,
         SERVICE_USUAL},
        {&client_gemini, gemini, "{\"promptTokenCount\":5,\"thoughtsTokenCount\":3}", 5, 3,
         SERVICE_USUAL},
        {&client_gemini, gemini, "{\"promptTokenCount\":[5],\"thoughtsTokenCount\":-3}", -1, -1,
         SERVICE_USUAL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct dialect_client *c = cases[i].client;
        struct chat_request req = {0};
        struct counted counted = {0};
        struct chat_sink sink = {.push = keep_counted, .self = &counted};
        struct error err = {0};
        struct buf body = {0};
        const char *mark = strstr(cases[i].body, "%s");
        buf_printf(&body, "%.*s%s%s", (int)(mark - cases[i].body), cases[i].body, cases[i].usage,
                   mark + 2);
        chat_sampling_unset(&req.sampling);
        void *s = calloc(1, c->state_size);
        c->begin(s, &req);
        if (!c->read_response(s, buf_view(&body), &sink, &err))
            fail_msg("%s: %s", buf_text(&body), err.text);
        assert_int_equal(counted.n, 1);
        assert_int_equal(counted.usage.prompt_tokens, cases[i].prompt);
        assert_int_equal(counted.usage.completion_tokens, cases[i].completion);
        assert_int_equal(counted.usage.service, cases[i].service);
        c->release(s);
        free(s);
        buf_release(&body);
    }
}

// What the client makes of a request: {"path", "body"}, or {"error"}.
static json_t *written(const json_t *given)
{
    struct dialect_case d;
    struct client_request out = {0};
    struct error err = {0};
    struct buf body = {0};
    json_t *made = json_object();
    const char *name = json_get_text(given, "client");
    json_write(&body, json_object_get(given, "from"), JSON_STYLE_COMPACT);
    dialect_case_begin(&d, "POST", json_get_text(given, "route"), buf_text(&body));
    if (!d.read)
        fail_msg("%s: %s", json_get_text(given, "name"), d.err.text);
    if (json_is_true(json_object_get(given, "made_here")))
        d.call.request.wire = NULL;
    if (dialect_client_find(name)->write_request(&d.call.request, json_get_text(given, "model"),
                                                 &out, &err)) {
        json_object_set_new(made, "path", json_string(buf_text(&out.path)));
        json_object_set_new(made, "body", json_parse(buf_view(&out.body), NULL));
    } else {
        char text[300];
        (void)snprintf(text, sizeof text, "%s %s", code_name(err.code), err.text);
        json_object_set_new(made, "error", json_string(text));
    }
    dialect_case_end(&d);
    buf_release(&out.path);
    buf_release(&out.body);
    buf_release(&body);
    return made;
}

static void requests_are_written_in_each_vendors_words(void **state)
{
    json_t *all = load("requests.json");
    (void)state;
    assert_true(json_array_size(all) > 20);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *given = json_array_get(all, i);
        json_t *made = written(given);
        if (!json_equal(made, json_object_get(given, "to")))
            fail_msg("%s: %s", json_get_text(given, "name"), json_dumps(made, JSON_COMPACT));
        json_decref(made);
    }
    json_decref(all);
}

static void write_anew(void)
{
    json_t *all = load("requests.json");
    struct buf out = {0};
    buf_text_add(&out, "[\n");
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *given = json_array_get(all, i);
        json_object_set_new(given, "to", written(given));
        json_write(&out, given, JSON_STYLE_SPACED);
        buf_text_add(&out, i + 1 < json_array_size(all) ? ",\n" : "\n]\n");
    }
    FILE *f = fopen(DATA "requests.json", "w");
    if (f) {
        (void)fwrite(out.ptr, 1, out.len, f);
        (void)fclose(f);
    }
    buf_release(&out);
    json_decref(all);
}

static void errors_have_their_code(void **state)
{
    static const struct {
        const struct dialect_client *client;
        int status;
        const char *body;
        enum error_code code;
        bool again;
        int after_s;
        const char *text;
    } rows[] = {
        {&client_openai, 400, "{\"error\":{\"message\":\"Unknown parameter\"}}", ERR_USAGE, false,
         0, "Unknown parameter (400)"},
        {&client_openai, 400,
         "{\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"}}", ERR_CONTEXT,
         false, 0, "too long (400 context_length_exceeded)"},
        {&client_openai, 401,
         "{\"error\":{\"message\":\"Incorrect API key provided: sk-abc*123\","
         "\"code\":\"invalid_api_key\"}}",
         ERR_KEY, false, 0, "the vendor refused the key (401 invalid_api_key)"},
        {&client_openai, 403, "{}", ERR_FORBIDDEN, false, 0, "the vendor failed (403)"},
        {&client_openai, 404, "<html>Not\n\tFound</html>", ERR_NOT_FOUND, false, 0,
         "the vendor failed (404)"},
        {&client_openai, 429, "{\"error\":{\"message\":\"slow\",\"code\":\"rate_limit_exceeded\"}}",
         ERR_RATE, true, 0, "slow (429 rate_limit_exceeded)"},
        {&client_openai, 429,
         "{\"error\":{\"message\":\"broke\",\"type\":\"insufficient_quota\",\"code\":"
         "\"insufficient_quota\"}}",
         ERR_RATE, false, 0, "broke (429 insufficient_quota)"},
        {&client_openai, 500, "", ERR_UPSTREAM, true, 0, "the vendor failed (500)"},
        {&client_openai, 501, "", ERR_UPSTREAM, false, 0, "the vendor failed (501)"},
        {&client_openai, 503, "{\"error\":\"loading\\nthe \\u001b[1mmodel\"}", ERR_BUSY, true, 0,
         "loading the"},
        {&client_openai, 422, "{\"detail\":\"no field\"}", ERR_USAGE, false, 0, "no field (422)"},
        {&client_openai, 400,
         "{\"error\":{\"message\":\"key 'sk-proj-abcdef0123' and "
         "0123456789abcdef0123456789abcdef are bad\"}}",
         ERR_USAGE, false, 0, "key [...] and [...] are bad (400)"},
        {&client_anthropic, 529, "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"o\"}}",
         ERR_BUSY, true, 0, "o (529 overloaded_error)"},
        {&client_anthropic, 402, "{\"error\":{\"type\":\"billing_error\",\"message\":\"pay\"}}",
         ERR_UPSTREAM, false, 0, "pay (402 billing_error)"},
        {&client_anthropic, 413,
         "{\"error\":{\"type\":\"request_too_large\",\"message\":\"32 MB\"}}", ERR_USAGE, false, 0,
         "32 MB (413 request_too_large)"},
        {&client_gemini, 429,
         "{\"error\":{\"code\":429,\"message\":\"q\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":"
         "[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{"
         "\"quotaId\":\"RequestsPerMinute\"}]},{\"@type\":\"type.googleapis.com/google.rpc."
         "RetryInfo\",\"retryDelay\":\"34.07s\"}]}}",
         ERR_RATE, true, 35, "q (429 RESOURCE_EXHAUSTED)"},
        {&client_gemini, 429,
         "[{\"error\":{\"message\":\"q\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc."
         "QuotaFailure\",\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProject\"}]}]}}]",
         ERR_RATE, false, 0, "q (429)"},
        {&client_gemini, 400,
         "{\"error\":{\"message\":\"API key not valid: AIzaSy1\",\"details\":[{\"reason\":"
         "\"API_KEY_INVALID\"}]}}",
         ERR_KEY, false, 0, "the vendor refused the key (400)"},
        {&client_gemini, 400,
         "{\"error\":{\"message\":\"The input token count (5) exceeds the maximum number of tokens "
         "allowed (4).\",\"status\":\"INVALID_ARGUMENT\"}}",
         ERR_CONTEXT, false, 0, "The input token count"},
        {&client_gemini, 503, "{\"error\":{\"message\":\"o\",\"status\":\"UNAVAILABLE\"}}",
         ERR_BUSY, true, 0, "o (503 UNAVAILABLE)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        bool again = !rows[i].again;
        rows[i].client->read_error(rows[i].status, slice_str(rows[i].body), &err, &again);
        if (err.code != rows[i].code || again != rows[i].again ||
            err.retry_after_s != rows[i].after_s || !strstr(err.text, rows[i].text))
            fail_msg("row %zu: %s %s %d %d", i, code_name(err.code), err.text, again,
                     err.retry_after_s);
        assert_null(strpbrk(err.text, "\n\t\x1b"));
    }
}

// What a vendor calls a failure is kept word for word, but for what may be a key or a host, and
// for what it says of the key that it was asked with.
static void errors_keep_the_vendors_names(void **state)
{
    static const struct {
        const struct dialect_client *client;
        int status;
        const char *body, *names;
    } rows[] = {
        {&client_openai, 400,
         "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"param\":"
         "\"messages[0].content\",\"code\":\"unsupported_value\"}}",
         "openai invalid_request_error unsupported_value messages[0].content"},
        {&client_openai, 429,
         "{\"error\":{\"message\":\"m\",\"type\":\"tokens\",\"param\":null,\"code\":429}}",
         "openai tokens - -"},
        {&client_openai, 400,
         "{\"error\":{\"message\":\"m\",\"type\":\"a b\",\"param\":\"tools.sk-abc.x\",\"code\":"
         "\"AIzaSy0123\"}}",
         "openai - - -"},
        {&client_openai, 500,
         "{\"error\":{\"message\":\"m\",\"type\":\"gpu-7.example.org\",\"param\":\"a/b\",\"code\":"
         "\"a_code_that_is_much_longer_than_any_code_that_a_vendor_has\"}}",
         "openai - - -"},
        {&client_openai, 401,
         "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":\"invalid_api_key\"}}", "- - - -"},
        {&client_openai, 403, "{\"error\":{\"message\":\"m\",\"code\":\"country\"}}", "- - - -"},
        {&client_anthropic, 504, "{\"error\":{\"type\":\"timeout_error\",\"message\":\"m\"}}",
         "anthropic timeout_error - -"},
        {&client_gemini, 400, "{\"error\":{\"message\":\"m\",\"status\":\"FAILED_PRECONDITION\"}}",
         "gemini FAILED_PRECONDITION - -"},
        {&client_gemini, 400,
         "{\"error\":{\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"reason\":"
         "\"API_KEY_INVALID\"}]}}",
         "- - - -"},
        {&client_gemini, 502, "<html>", "gemini - - -"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        struct buf got = {0};
        const struct error_words *said = &err.said;
        const char *const names[] = {said->type, said->code, said->member};
        rows[i].client->read_error(rows[i].status, slice_str(rows[i].body), &err, NULL);
        buf_text_add(&got, said->dialect ? said->dialect : "-");
        for (size_t k = 0; k < 3; k++)
            buf_printf(&got, " %s", *names[k] ? names[k] : "-");
        assert_string_equal(buf_text(&got), rows[i].names);
        (void)error_wrap(&err, "o");
        assert_ptr_equal(said->dialect, err.code == ERR_KEY || err.code == ERR_FORBIDDEN
                                            ? NULL
                                            : rows[i].client->name);
        (void)error_set(&err, ERR_UPSTREAM, "it does not accept the key");
        assert_null(said->dialect);
        buf_release(&got);
    }
}

// Ids that a vendor leaves out are made up, the same never twice.
static void calls_without_ids_get_one(void **state)
{
    const char *const answers[] = {"r1", "r2"};
    struct chat_request req = {0};
    struct event_log logs[2];
    (void)state;
    memset(logs, 0, sizeof logs);
    chat_sampling_unset(&req.sampling);
    for (int i = 0; i < 2; i++) {
        char body[300];
        struct error err = {0};
        struct chat_sink sink = event_log_sink(&logs[i]);
        (void)snprintf(body, sizeof body,
                       "{\"responseId\":\"%s\",\"candidates\":[{\"content\":{\"parts\":[{"
                       "\"functionCall\":{\"name\":\"f\"}},{\"functionCall\":{\"name\":\"f\"}}]},"
                       "\"finishReason\":\"STOP\"}]}",
                       answers[i]);
        void *s = calloc(1, client_gemini.state_size);
        client_gemini.begin(s, &req);
        assert_true(client_gemini.read_response(s, slice_str(body), &sink, &err));
        client_gemini.release(s);
        free(s);
    }
    char ids[4][32];
    for (int i = 0; i < 2; i++)
        assert_int_equal(sscanf(event_log_text(&logs[i]),
                                "call 0.0 %31s f args 0.0 \"{}\" call 0.1 %31s", ids[2 * i],
                                ids[2 * i + 1]),
                         2);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
    event_log_release(&logs[0]);
    event_log_release(&logs[1]);
}

struct told {
    int n;
    struct chat_usage usage;
};

static void keep_usage(void *self, const struct chat_event *e)
{
    struct told *t = self;
    if (e->kind != CHAT_USAGE)
        return;
    t->n++;
    t->usage = e->usage;
}

// What was told before a stream broke is paid for, so it is told on, once, though the end fails.
static void a_cut_stream_keeps_the_usage_it_told(void **state)
{
    static const struct {
        const struct dialect_client *client;
        const char *event, *data;
        int64_t prompt, completion;
    } cuts[] = {
        {&client_anthropic, "message_start",
         "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,"
         "\"cache_read_input_tokens\":2,\"output_tokens\":1}}}",
         9, 1},
        {&client_gemini, "",
         "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],"
         "\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":3}}",
         9, 3},
        {&client_openai, "", "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}", -1, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        const struct dialect_client *c = cuts[i].client;
        struct chat_request req = {.stream = true};
        struct told told = {.usage = {.prompt_tokens = -1, .completion_tokens = -1}};
        struct chat_sink sink = {.push = keep_usage, .self = &told};
        struct error err = {0};
        chat_sampling_unset(&req.sampling);
        void *s = calloc(1, c->state_size);
        c->begin(s, &req);
        assert_true(
            c->read_event(s, slice_str(cuts[i].event), slice_str(cuts[i].data), &sink, &err));
        assert_int_equal(told.n, 0);
        assert_false(c->end(s, &sink, &err));
        assert_int_equal(err.code, ERR_UPSTREAM);
        assert_false(c->end(s, &sink, &err));
        assert_int_equal(told.n, cuts[i].prompt >= 0);
        assert_int_equal(told.usage.prompt_tokens, cuts[i].prompt);
        assert_int_equal(told.usage.completion_tokens, cuts[i].completion);
        c->release(s);
        free(s);
    }
}

static void clients_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(dialect_client_find("openai"), &client_openai);
    assert_ptr_equal(dialect_client_find("anthropic"), &client_anthropic);
    assert_ptr_equal(dialect_client_find("gemini"), &client_gemini);
    assert_ptr_equal(dialect_client_find("google"), &client_gemini);
    assert_null(dialect_client_find("openai_chat"));
}

// A model's name comes from whoever asks, and stands in Gemini's path.
static void a_model_cannot_change_the_path(void **state)
{
    static const char *const names[] = {"../files",    "a/b", "a?key=1", "a:countTokens", "",
                                        "models/../x", "a b", "a%2e",    "models/a/b"};
    struct chat_message message = {.role = ROLE_USER, .text = slice_str("hi")};
    struct chat_request req = {.messages = &message, .n_messages = 1, .max_tokens = -1};
    (void)state;
    chat_sampling_unset(&req.sampling);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct client_request out = {0};
        struct error err = {0};
        if (client_gemini.write_request(&req, names[i], &out, &err))
            fail_msg("%s: %s", names[i], buf_text(&out.path));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        buf_release(&out.path);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(recorded_answers_become_events),
    cmocka_unit_test(a_count_that_is_none_is_told_as_such),
    cmocka_unit_test(requests_are_written_in_each_vendors_words),
    cmocka_unit_test(errors_have_their_code),
    cmocka_unit_test(errors_keep_the_vendors_names),
    cmocka_unit_test(calls_without_ids_get_one),
    cmocka_unit_test(a_cut_stream_keeps_the_usage_it_told),
    cmocka_unit_test(clients_are_found_by_name),
    cmocka_unit_test(a_model_cannot_change_the_path),
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--write") == 0) {
        write_anew();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
