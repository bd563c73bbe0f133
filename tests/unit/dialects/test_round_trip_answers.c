// test_round_trip_answers.c - what the server's half of a format writes of an answer, the client of
// the same format reads as the same events: texts, thoughts, calls, embeddings, refusals.
//
// Answers are random, of all that a format can express; the seed is printed where one does not
// come back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../support/dialect_call.h"
#include "../../support/event_log.h"
#include "../../support/random_dialect.h"
#include "dialects/client.h"

enum { ANSWERS = 1500 };

struct answering {
    struct random r;
    enum words words;
    bool stream;
    struct dialect_case d;
    struct event_log log;
    int n_calls[EVENT_LOG_CHOICES];
    int n_choices;
};

static void say(struct answering *a, struct chat_event e)
{
    event_log_push(&a->log, &e);
    dialect_case_event(&a->d, &e);
}

// A text in pieces of whole characters.
static void say_text(struct answering *a, enum chat_event_kind kind, int choice, const char *t)
{
    size_t n = strlen(t), at = 0;
    while (at < n) {
        size_t len = 1 + below(&a->r, 4);
        while (at + len < n && (t[at + len] & 0xC0) == 0x80)
            len++;
        struct slice piece = slice_sub(slice_of(t, n), at, len);
        say(a,
            (struct chat_event){.kind = kind,
                                .choice = choice,
                                .text = piece,
                                .tool_index = a->n_calls[choice] - (kind == CHAT_TOOL_ARGUMENTS)});
        at += piece.len;
    }
}

static void say_blob(struct answering *a, int choice, const char *json)
{
    say(a, (struct chat_event){.kind = CHAT_BLOB,
                               .choice = choice,
                               .blob_vendor = clients[a->words]->name,
                               .blob = slice_str(json)});
}

static void say_image(struct answering *a, int choice)
{
    bool is_signed = a->words == GEMINI && often(&a->r);
    say(a,
        (struct chat_event){.kind = CHAT_MEDIA,
                            .choice = choice,
                            .media_type = slice_str("image/png"),
                            .media = slice_str(often(&a->r) ? "aGk=" : "AAAA"),
                            .blob_vendor = is_signed ? "gemini" : NULL,
                            .blob = slice_str(is_signed ? "{\"thoughtSignature\":\"c2\"}" : "")});
}

static void say_call(struct answering *a, int choice)
{
    static const char *const arguments[] = {"{}", "{\"a\":\"b\"}", "{\"n\":[1,2,{\"x\":null}]}"};
    char id[32];
    (void)snprintf(id, sizeof id, "toolu_%d_%d", choice, a->n_calls[choice]);
    say(a, (struct chat_event){.kind = CHAT_TOOL_CALL,
                               .choice = choice,
                               .tool_id = id,
                               .tool_name = "f",
                               .tool_index = a->n_calls[choice]});
    a->n_calls[choice]++;
    say_text(a, CHAT_TOOL_ARGUMENTS, choice, arguments[below(&a->r, 3)]);
    if (a->words == GEMINI && often(&a->r))
        say_blob(a, choice, "{\"thoughtSignature\":\"c2ln\"}");
}

// Of the vendor's own, beside thoughts and text.
static const char *const blocks[] = {
    "{\"type\":\"redacted_thinking\",\"data\":\"x\"}",
    "{\"type\":\"server_tool_use\",\"id\":\"srvtoolu_1\",\"name\":\"web_search\",\"input\":{"
    "\"query\":"
    "\"a \\\"b\\\"\"}}",
    "{\"type\":\"mcp_tool_use\",\"id\":\"mcptoolu_1\",\"name\":\"f\",\"server_name\":\"s\","
    "\"input\":{}}",
    "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"srvtoolu_1\",\"content\":[{\"type\":"
    "\"web_search_result\",\"url\":\"https://example.org/\",\"encrypted_content\":\"Eq==\"}]}"};
static const char *const code[] = {
    "{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"print(1)\"}}",
    "{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"},\"thoughtSignature\":\"c2ln\"}",
    "{\"codeExecutionResult\":{\"outcome\":\"OUTCOME_OK\",\"output\":\"1\\n\"}}"};

// Whole answers in OpenAI's words keep thoughts, text and calls, but not their order.
static void say_one(struct answering *a, int choice)
{
    bool ordered = a->words != OPENAI || a->stream;
    unsigned n = ordered ? below(&a->r, 5) : 3;
    for (unsigned i = 0; i < n; i++) {
        unsigned what = ordered ? below(&a->r, 5) : i;
        if (what == 0) {
            say_text(a, CHAT_REASONING, choice, text(&a->r));
            if (a->words == ANTHROPIC && often(&a->r))
                say_blob(a, choice, "{\"type\":\"thinking\",\"signature\":\"sig\"}");
        } else if (what == 1) {
            say_text(a, CHAT_TEXT, choice, text(&a->r));
            if (a->words == GEMINI && often(&a->r))
                say_blob(a, choice, "{\"thoughtSignature\":\"dGV4dA\"}");
            if (!ordered && often(&a->r))
                say_image(a, choice);
        } else if (what == 2) {
            say_call(a, choice);
        } else if (a->words == ANTHROPIC) {
            say_blob(a, choice, blocks[below(&a->r, 4)]);
        } else if (a->words == GEMINI && what == 3) {
            say_blob(a, choice, code[below(&a->r, 3)]);
        } else if (what == 4) {
            say_image(a, choice);
        }
    }
}

// The vendor's own word for an end: one of those that stand for it.
static void set_word(struct answering *a, struct chat_event *e)
{
    static const char *const gemini[][2] = {[CHAT_STOP] = {"STOP", "OTHER"},
                                            [CHAT_TOOL_CALLS] = {"STOP", "OTHER"},
                                            [CHAT_LENGTH] = {"MAX_TOKENS", "MAX_TOKENS"},
                                            [CHAT_FILTERED] = {"RECITATION", "A_NEW_ONE"}};
    static const char *const anthropic[][2] = {
        [CHAT_STOP] = {"a_new_one", "another"},
        [CHAT_LENGTH] = {"pause_turn", "model_context_window_exceeded"}};
    if (a->words == GEMINI) {
        e->end_word = slice_str(gemini[e->finish][below(&a->r, 2)]);
        e->end_text = slice_str(often(&a->r) ? "because" : "");
    } else if (a->words == ANTHROPIC && (e->finish == CHAT_STOP || e->finish == CHAT_LENGTH) &&
               often(&a->r)) {
        e->end_word = slice_str(anthropic[e->finish][below(&a->r, 2)]);
    }
    e->end_vendor = e->end_word.len ? clients[a->words]->name : NULL;
}

static void finish(struct answering *a)
{
    static const enum chat_finish ends[] = {CHAT_STOP, CHAT_LENGTH, CHAT_FILTERED};
    struct chat_usage u = {.prompt_tokens = 1000,
                           .cached_tokens = below(&a->r, 300),
                           .completion_tokens = 50,
                           .reasoning_tokens = below(&a->r, 50)};
    for (int i = 0; i < a->n_choices; i++) {
        struct chat_event e = {.kind = CHAT_FINISH, .choice = i, .finish = ends[below(&a->r, 3)]};
        if (a->n_calls[i] && e.finish == CHAT_STOP)
            e.finish = CHAT_TOOL_CALLS;
        else if (a->words == ANTHROPIC && e.finish == CHAT_STOP && often(&a->r))
            e.stop = slice_str("END");
        if (!e.stop.len)
            set_word(a, &e);
        say(a, e);
    }
    if (a->words != GEMINI)
        u.cache_write_5m_tokens = below(&a->r, 300);
    if (a->words == ANTHROPIC)
        u.cache_write_1h_tokens = below(&a->r, 300);
    say(a, (struct chat_event){.kind = CHAT_USAGE, .usage = u});
    dialect_case_event(&a->d, &(struct chat_event){.kind = CHAT_DONE});
}

static void begin_answer(struct answering *a)
{
    struct buf body = {0};
    const char *path = "/v1/chat/completions", *stream = a->stream ? "true" : "false";
    if (a->words == OPENAI)
        buf_printf(&body,
                   "{\"model\":\"m\",\"n\":%d,\"stream\":%s,\"stream_options\":{\"include_usage\":"
                   "true},\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                   a->n_choices, stream);
    if (a->words == ANTHROPIC) {
        path = "/v1/messages";
        buf_printf(&body,
                   "{\"model\":\"m\",\"max_tokens\":9,\"stream\":%s,\"messages\":[{\"role\":"
                   "\"user\",\"content\":\"hi\"}]}",
                   stream);
    }
    if (a->words == GEMINI) {
        path = a->stream ? "/v1beta/models/m:streamGenerateContent?alt=sse"
                         : "/v1beta/models/m:generateContent";
        buf_printf(&body,
                   "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}],\"generationConfig\":{"
                   "\"candidateCount\":%d,\"thinkingConfig\":{\"includeThoughts\":true}}}",
                   a->n_choices);
    }
    dialect_case_begin(&a->d, "POST", path, buf_text(&body));
    assert_true(a->d.read);
    buf_release(&body);
}

// Feeds what was written to the client, an event at a time.
static bool read_stream(const struct dialect_client *c, void *state, const char *at,
                        struct chat_sink *sink, struct error *err)
{
    struct slice event = {0};
    while (*at) {
        const char *end = strpbrk(at, "\r\n");
        struct slice line = slice_of(at, end ? (size_t)(end - at) : strlen(at));
        if (slice_starts(line, slice_str("event: ")))
            event = slice_sub(line, 7, line.len);
        else if (slice_starts(line, slice_str("data: ")) &&
                 !c->read_event(state, event, slice_sub(line, 6, line.len), sink, err))
            return false;
        at += line.len + (end != NULL);
    }
    return c->end(state, sink, err);
}

static void check_answer(enum words words, uint64_t seed)
{
    struct answering a = {.r = {seed}, .words = words, .n_choices = 1};
    const struct dialect_client *c = clients[words];
    struct event_log read = {0};
    struct chat_sink sink = event_log_sink(&read);
    struct error err = {0};
    a.stream = often(&a.r);
    a.log.words = read.words = true;
    if (words != ANTHROPIC)
        a.n_choices += (int)below(&a.r, 3);
    begin_answer(&a);
    for (int i = 0; i < a.n_choices; i++)
        say_one(&a, i);
    finish(&a);
    if (!a.stream)
        a.d.dialect->write_response(&a.d.call, &a.d.answer, &a.d.out);
    void *state = calloc(1, c->state_size);
    c->begin(state, &a.d.call.request);
    bool ok = a.stream ? read_stream(c, state, buf_text(&a.d.out), &sink, &err)
                       : c->read_response(state, buf_view(&a.d.out), &sink, &err);
    if (!ok || strcmp(event_log_text(&a.log), event_log_text(&read)) != 0)
        fail_msg("%s, seed %llu: %s\n%s\n-- read:\n%s\n-- written:\n%s", c->name,
                 (unsigned long long)seed, err.text, event_log_text(&a.log), event_log_text(&read),
                 buf_text(&a.d.out));
    c->release(state);
    free(state);
    event_log_release(&read);
    event_log_release(&a.log);
    dialect_case_end(&a.d);
}

static void answers_come_back(void **state)
{
    (void)state;
    for (int words = OPENAI; words <= GEMINI; words++) {
        for (uint64_t seed = 0; seed < ANSWERS; seed++)
            check_answer((enum words)words, seed);
    }
}

// Embeddings

static void check_embeddings(enum words words, uint64_t seed)
{
    struct random r = {seed};
    const struct dialect_client *c = clients[words];
    struct chat_embed_input inputs[3] = {{.n_tokens = 0}};
    static const int32_t ids[] = {5, 0, 70000};
    struct client_request out = {0};
    struct error err = {0};
    struct dialect_case d;
    struct buf path = {0};
    struct event_log said = {0}, read = {0};
    struct chat_sink sink = event_log_sink(&read);
    int n = 1 + (int)below(&r, 3);
    struct chat_request req = {.input = INPUT_EMBED, .inputs = inputs, .n_inputs = (size_t)n};
    chat_sampling_unset(&req.sampling);
    req.sampling.n_choices = n;
    req.dimensions = often(&r) ? 4 : 0;
    for (int i = 0; i < n; i++) {
        if (words == OPENAI && n == 1 && often(&r))
            inputs[i] = (struct chat_embed_input){.tokens = ids, .n_tokens = 3};
        else
            inputs[i].text = slice_str(text(&r));
    }
    assert_true(c->write_request(&req, "m", &out, &err));
    buf_printf(&path, "%s%s", words == OPENAI ? "/v1" : "", buf_text(&out.path));
    dialect_case_begin(&d, "POST", buf_text(&path), buf_text(&out.body));
    assert_true(d.read);
    const struct chat_request *got = &d.call.request;
    assert_int_equal(got->n_inputs, n);
    assert_int_equal(got->dimensions, req.dimensions);
    for (int i = 0; i < n; i++) {
        assert_true(slice_eq(got->inputs[i].text, inputs[i].text));
        assert_int_equal(got->inputs[i].n_tokens, inputs[i].n_tokens);
    }
    for (int i = 0; i < n; i++) {
        float v[] = {0.6f, -0.8f, 1e-7f, tenth(&r, 1) * 1e-6f};
        struct chat_event e = {
            .kind = CHAT_EMBEDDING, .choice = i, .embedding = v, .n_embedding = 4};
        event_log_push(&said, &e);
        dialect_answer_add(&d.answer, &e);
        event_log_push(&said,
                       &(struct chat_event){.kind = CHAT_FINISH, .choice = i, .finish = CHAT_STOP});
    }
    d.dialect->write_response(&d.call, &d.answer, &d.out);
    void *state = calloc(1, c->state_size);
    c->begin(state, &req);
    assert_true(c->read_response(state, buf_view(&d.out), &sink, &err));
    buf_clear(&read.usage);  // Gemini tells none
    assert_string_equal(event_log_text(&said), event_log_text(&read));
    c->release(state);
    free(state);
    event_log_release(&said);
    event_log_release(&read);
    dialect_case_end(&d);
    buf_release(&path);
    buf_release(&out.path);
    buf_release(&out.body);
}

static void embeddings_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        check_embeddings(OPENAI, seed);
        check_embeddings(GEMINI, seed);
    }
}

static void to_case(void *self, const struct chat_event *e)
{
    dialect_case_event(self, e);
}

// What OpenAI's words tell apart reaches a client of the same words; others read it as text.
static void a_refusal_stays_one(void **state)
{
    static const char body[] = "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{"
                               "\"content\":null,\"refusal\":\"I will not\"}}]}";
    static const struct {
        const char *path, *request, *wanted;
    } cases[] = {
        {"/v1/chat/completions",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
         "\"content\":null,\"refusal\":\"I will not\""},
        {"/v1/chat/completions",
         "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
         "\"delta\":{\"refusal\":\"I will not\"}"},
        {"/v1/messages",
         "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
         "\"text\":\"I will not\""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dialect_case d;
        struct error err = {0};
        dialect_case_begin(&d, "POST", cases[i].path, cases[i].request);
        assert_true(d.read);
        struct chat_sink sink = {.push = to_case, .self = &d};
        void *client = calloc(1, client_openai.state_size);
        client_openai.begin(client, &d.call.request);
        assert_true(client_openai.read_response(client, slice_str(body), &sink, &err));
        if (!d.call.request.stream)
            d.dialect->write_response(&d.call, &d.answer, &d.out);
        if (!strstr(buf_text(&d.out), cases[i].wanted))
            fail_msg("%s", buf_text(&d.out));
        client_openai.release(client);
        free(client);
        dialect_case_end(&d);
    }
}

// A vendor that gives one choice where two were asked for has given one. In a stream of chat
// completions choices begin in order, so that one has begun that never says anything.
static void choices_that_did_not_come_are_not_written(void **state)
{
    static const char gemini[] = "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}],"
                                 "\"generationConfig\":{\"candidateCount\":2}}",
                      openai[] = "{\"model\":\"m\",\"n\":2,\"stream\":%s,"
                                 "\"prompt\":\"hi\",\"messages\":[{\"role\":\"user\","
                                 "\"content\":\"hi\"}]}";
    static const struct {
        const char *path, *request;
    } cases[] = {{"/v1/chat/completions", openai},
                 {"/v1/completions", openai},
                 {"/v1beta/models/m:generateContent", gemini},
                 {"/v1beta/models/m:streamGenerateContent?alt=sse", gemini}};
    const struct chat_event events[] = {
        {.kind = CHAT_TEXT, .choice = 1, .text = slice_str("yes")},
        {.kind = CHAT_FINISH, .choice = 1, .finish = CHAT_STOP},
        {.kind = CHAT_USAGE, .usage = {.prompt_tokens = 5, .completion_tokens = 1}},
        {.kind = CHAT_DONE}};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct dialect_case d;
        struct buf request = {0};
        const char *mark = strstr(cases[i / 2].request, "%s");
        if (mark)
            buf_printf(&request, "%.*s%s%s", (int)(mark - cases[i / 2].request),
                       cases[i / 2].request, i % 2 ? "true" : "false", mark + 2);
        else
            buf_text_add(&request, cases[i / 2].request);
        dialect_case_begin(&d, "POST", cases[i / 2].path, buf_text(&request));
        assert_true(d.read);
        for (size_t k = 0; k < sizeof events / sizeof *events; k++)
            dialect_case_event(&d, &events[k]);
        if (!d.call.request.stream)
            d.dialect->write_response(&d.call, &d.answer, &d.out);
        assert_non_null(strstr(buf_text(&d.out), "\"index\":1"));
        const char *other = strstr(buf_text(&d.out), "\"index\":0");
        if (i == 1) {
            static const char begun[] = "\"index\":0,\"delta\":{\"role\":\"assistant\"";
            assert_non_null(other);
            assert_memory_equal(other, begun, sizeof begun - 1);
            other = strstr(other + 1, "\"index\":0");
        }
        assert_null(other);
        dialect_case_end(&d);
        buf_release(&request);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(answers_come_back),
    cmocka_unit_test(embeddings_come_back),
    cmocka_unit_test(a_refusal_stays_one),
    cmocka_unit_test(choices_that_did_not_come_are_not_written),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
