// test_round_trip.c - what a client writes, the server's half of the same format reads as the same
// request; test_round_trip_answers.c has the way back.
//
// Requests are random, of all that a format can express; the seed is printed where one does not
// come back.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../support/dialect_call.h"
#include "../../support/event_log.h"
#include "../../support/random_dialect.h"
#include "base/json.h"
#include "dialects/client.h"

enum { REQUESTS = 1500, MESSAGES = 6, CALLS = 3 };

// A request in an arena, with its JSON in `kept`.
struct made {
    struct random r;
    enum words words;
    struct arena arena;
    json_t *kept;
    struct chat_request req;
    struct chat_message *messages;
    size_t n_calls;
};

static json_t *keep(struct made *m, json_t *value)
{
    json_array_append_new(m->kept, value);
    return value;
}

static json_t *image_part(struct made *m)
{
    static const char *const urls[] = {"data:image/png;base64,aGk=", "https://x.org/a.png",
                                       "data:image/jpeg;base64,AAAA"};
    return json_pack("{s:s, s:{s:s}}", "type", "image_url", "image_url", "url",
                     urls[below(&m->r, 3)]);
}

static json_t *other_part(struct made *m)
{
    const char *pdf = "data:application/pdf;base64,JVBERg==";
    if (m->words == ANTHROPIC && often(&m->r))
        return json_pack("{s:s, s:{s:s, s:s}}", "type", "file", "file", "filename", "a.pdf",
                         "file_data", pdf);
    if (m->words != ANTHROPIC && below(&m->r, 3) == 0)
        return json_pack("{s:s, s:{s:s}}", "type", "file", "file", "file_data", pdf);
    if (m->words != ANTHROPIC && below(&m->r, 3) == 0)
        return json_pack("{s:s, s:{s:s, s:s}}", "type", "input_audio", "input_audio", "data",
                         "UklG", "format", "wav");
    return image_part(m);
}

// Parts of a message and the text that they join to.
static void set_parts(struct made *m, struct chat_message *to)
{
    json_t *parts = keep(m, json_array());
    struct buf joined = {0};
    size_t n = 1 + below(&m->r, 3);
    for (size_t i = 0; i < n; i++) {
        const char *t = text(&m->r);
        if (i == 0)
            json_array_append_new(parts, other_part(m));
        json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "text", "text", t));
        if (joined.len && m->words == ANTHROPIC)
            buf_char(&joined, '\n');
        buf_text_add(&joined, t);
    }
    to->parts = parts;
    to->text = slice_of(arena_text(&m->arena, buf_view(&joined)), joined.len);
    buf_release(&joined);
}

static json_t *call(struct made *m)
{
    char id[32];
    (void)snprintf(id, sizeof id, "%s%zu", m->words == ANTHROPIC ? "toolu_" : "call_",
                   m->n_calls++);
    return json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:i}}}", "id", id, "type", "function", "function",
                     "name", often(&m->r) ? "f" : "g", "arguments", "a", text(&m->r), "b",
                     (int)below(&m->r, 100));
}

static void add_blob(struct made *m, json_t *blobs, const char *vendor, json_t *value, size_t bytes,
                     size_t calls)
{
    (void)m;
    json_array_append_new(blobs, json_pack("{s:s, s:o, s:I, s:I}", "vendor", vendor, "value", value,
                                           "bytes", (json_int_t)bytes, "calls", (json_int_t)calls));
}

// Anthropic: signed thoughts before the text, between text and calls, or hidden ones.
static void think(struct made *m, json_t *raw, json_t *blobs, struct slice said)
{
    struct buf thoughts = {0};
    size_t n = below(&m->r, 3);
    for (size_t i = 0; i < n; i++) {
        const char *t = text(&m->r);
        size_t bytes = i == 0 ? 0 : said.len;
        if (below(&m->r, 4) == 0) {
            add_blob(m, blobs, "anthropic",
                     json_pack("{s:s, s:s, s:{s:s}}", "type",
                               often(&m->r) ? "server_tool_use" : "web_fetch_tool_result", "id",
                               "srvtoolu_1", "input", "query", t),
                     bytes, 0);
            continue;
        }
        if (below(&m->r, 3) == 0) {
            add_blob(m, blobs, "anthropic",
                     json_pack("{s:s, s:s}", "type", "redacted_thinking", "data", "x+/="), bytes,
                     0);
            continue;
        }
        add_blob(m, blobs, "anthropic",
                 json_pack("{s:s, s:s, s:s}", "type", "thinking", "thinking", t, "signature", "s1"),
                 bytes, 0);
        if (thoughts.len)
            buf_char(&thoughts, '\n');
        buf_text_add(&thoughts, t);
    }
    if (thoughts.len)
        json_object_set_new(raw, "reasoning_content",
                            json_stringn_nocheck(thoughts.ptr, thoughts.len));
    buf_release(&thoughts);
}

static void set_assistant(struct made *m, struct chat_message *to)
{
    size_t n = below(&m->r, CALLS);
    json_t *raw = json_object(), *calls = json_array(), *blobs = keep(m, json_array());
    to->role = ROLE_ASSISTANT;
    to->text = slice_str(text(&m->r));
    if (m->words == GEMINI && below(&m->r, 3) == 0)
        set_parts(m, to);
    json_object_set_new(raw, "role", json_string("assistant"));
    json_object_set_new(raw, "content", json_string(to->text.ptr));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(calls, call(m));
    if (m->words == ANTHROPIC)
        think(m, raw, blobs, to->text);
    if (m->words == GEMINI && often(&m->r))
        add_blob(m, blobs, "gemini", json_pack("{s:s}", "thoughtSignature", "c2ln"), to->text.len,
                 n ? 1 : 0);
    if (m->words == GEMINI && often(&m->r))
        add_blob(m, blobs, "gemini",
                 json_pack("{s:{s:s, s:s}, s:s}", "executableCode", "language", "PYTHON", "code",
                           text(&m->r), "thoughtSignature", "c2lo"),
                 to->text.len, n);
    if (m->words == OPENAI && often(&m->r))
        json_object_set_new(raw, "reasoning_content", json_string(text(&m->r)));
    if (n)
        json_object_set(raw, "tool_calls", calls);
    json_decref(calls);
    for (size_t i = 0; to->parts && i < json_array_size(blobs); i++)
        json_object_set_new(json_array_get(blobs, i), "media", json_integer(1));
    to->blobs = json_array_size(blobs) > 0 ? blobs : NULL;
    keep(m, raw);
    if (json_object_size(raw) > 2 || to->blobs || to->parts)
        to->raw = raw;
}

static void set_result(struct made *m, struct chat_message *to, const json_t *answered)
{
    json_t *raw = keep(m, json_object());
    const json_t *name = json_object_get(json_object_get(answered, "function"), "name");
    to->role = ROLE_TOOL;
    to->text = slice_str(m->words == GEMINI ? "{\"output\": \"x\"}" : text(&m->r));
    if (m->words == ANTHROPIC && below(&m->r, 3) == 0) {
        json_t *blobs = keep(m, json_array());
        add_blob(m, blobs, "anthropic",
                 json_pack("{s:s, s:b}", "type", "tool_result", "is_error", 1), 0, 0);
        to->blobs = blobs;
    }
    json_object_set_new(raw, "role", json_string("tool"));
    json_object_set_new(raw, "content", json_string(to->text.ptr));
    json_object_set(raw, "tool_call_id", json_object_get(answered, "id"));
    if (m->words != OPENAI)
        json_object_set(raw, "name", (json_t *)name);
    to->raw = raw;
}

static void add_messages(struct made *m)
{
    size_t n = 0, rounds = 1 + below(&m->r, 3);
    m->messages = arena_new(&m->arena, struct chat_message, 64);
    if (often(&m->r))
        m->messages[n++] =
            (struct chat_message){.role = ROLE_SYSTEM, .text = slice_str(text(&m->r))};
    for (size_t i = 0; i < rounds; i++) {
        struct chat_message *user = &m->messages[n++];
        user->role = ROLE_USER;
        user->text = slice_str(text(&m->r));
        if (below(&m->r, 3) == 0)
            set_parts(m, user);
        if (i + 1 == rounds && often(&m->r))
            break;
        struct chat_message *said = &m->messages[n++];
        set_assistant(m, said);
        const json_t *calls = json_object_get(said->raw, "tool_calls");
        for (size_t k = 0; k < json_array_size(calls); k++)
            set_result(m, &m->messages[n++], json_array_get(calls, k));
    }
    m->req.messages = m->messages;
    m->req.n_messages = n;
}

static void add_tools(struct made *m)
{
    struct chat_request *q = &m->req;
    bool strict = m->words != GEMINI && often(&m->r);
    json_t *tools =
        json_pack("[{s:s, s:{s:s, s:s, s:{s:s}}}, {s:s, s:{s:s, s:s, s:{s:s, s:{}}}}]", "type",
                  "function", "function", "name", "f", "description", "does", "parameters", "type",
                  "object", "type", "function", "function", "name", "g", "description", "too",
                  "parameters", "type", "object", "properties");
    keep(m, tools);
    if (strict)
        json_object_set_new(json_object_get(json_array_get(tools, 1), "function"), "strict",
                            json_true());
    q->tools = tools;
    q->tool_choice = (enum chat_tool_choice)below(&m->r, m->words == GEMINI ? 3 : 4);
    if (q->tool_choice == TOOLS_NAMED)
        q->tool_name = "g";
    if (m->words != GEMINI && q->tool_choice != TOOLS_NONE)
        q->one_tool_call = often(&m->r);
    if (m->words == GEMINI && q->tool_choice == TOOLS_AUTO)
        q->strict_tools = often(&m->r);
}

static void add_sampling(struct made *m)
{
    struct chat_sampling *s = &m->req.sampling;
    static const struct slice stops[] = {{"END", 3}, {"\n\n", 2}};
    static const int32_t ids[] = {5, 700};
    static const float values[] = {-100, 2.5f};
    chat_sampling_unset(s);
    if (often(&m->r))
        s->temperature = tenth(&m->r, m->words == ANTHROPIC ? 1 : 2);
    if (often(&m->r))
        s->top_p = tenth(&m->r, 1);
    if (often(&m->r) && m->words != OPENAI)
        s->top_k = (int)below(&m->r, 50) + 2;
    if (often(&m->r)) {
        s->stops = stops;
        s->n_stops = 2;
    }
    if (m->words == ANTHROPIC)
        return;
    if (often(&m->r))
        s->presence_penalty = tenth(&m->r, 2);
    if (often(&m->r))
        s->frequency_penalty = -tenth(&m->r, 2);
    if (often(&m->r))
        s->seed = (int64_t)below(&m->r, 1 << 30);
    if (often(&m->r))
        s->n_choices = 1 + (int)below(&m->r, 8);
    if (m->words == OPENAI && often(&m->r)) {
        s->bias_tokens = ids;
        s->bias_values = values;
        s->n_bias = 2;
    }
    if (m->words == OPENAI && often(&m->r))
        s->n_logprobs = (int)below(&m->r, 21);
}

static void add_rest(struct made *m)
{
    struct chat_request *q = &m->req;
    json_t *extras = json_object();
    keep(m, extras);
    unsigned kind = below(&m->r, 3);
    if (kind == 1 && m->words != ANTHROPIC) {
        q->constraint.kind = CONSTRAINT_JSON_OBJECT;
    } else if (kind == 2) {
        q->constraint.kind = CONSTRAINT_JSON_SCHEMA;
        q->constraint.schema = keep(m, json_pack("{s:s, s:{s:{s:s}}}", "type", "object",
                                                 "properties", "a", "type", "string"));
    }
    if (m->words == OPENAI && often(&m->r))
        json_object_set_new(extras, "reasoning_effort", json_string("low"));
    if (m->words != OPENAI && often(&m->r)) {
        bool on = often(&m->r);
        json_object_set_new(extras, "enable_thinking", json_boolean(on));
        if (on)
            json_object_set_new(extras, "thinking_budget", json_integer(2048));
    }
    // Gemini and OpenAI have no member for nothing; Anthropic's half always makes one.
    q->extras = json_object_size(extras) > 0 || m->words == ANTHROPIC ? extras : NULL;
    q->max_tokens = m->words == ANTHROPIC || often(&m->r) ? 5000 + (int)below(&m->r, 1000) : -1;
    q->stream = often(&m->r);
    q->model = m->words == ANTHROPIC ? "claude-opus-4-5"
               : m->words == GEMINI  ? "gemini-2.5-pro"
                                     : "m";
}

static void make_request(struct made *m, enum words words, uint64_t seed)
{
    *m = (struct made){.r = {seed}, .words = words, .kept = json_array()};
    add_messages(m);
    if (often(&m->r))
        add_tools(m);
    add_sampling(m);
    add_rest(m);
    if (words == OPENAI) {  // as if a client had written it in these words
        m->req.wire = "openai";
        m->req.body = keep(m, json_object());
    }
}

static void set_number(json_t *o, const char *key, double value)
{
    json_object_set_new(o, key, isnan(value) ? json_null() : json_real(value));
}

static json_t *describe_message(const struct chat_message *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "role", json_integer(m->role));
    json_object_set_new(o, "text",
                        json_stringn_nocheck(m->text.len ? m->text.ptr : "", m->text.len));
    if (m->raw)
        json_object_set(o, "raw", (json_t *)m->raw);
    if (m->parts)
        json_object_set(o, "parts", (json_t *)m->parts);
    if (m->blobs)
        json_object_set(o, "blobs", (json_t *)m->blobs);
    return o;
}

static json_t *describe_sampling(const struct chat_sampling *s)
{
    json_t *o = json_object(), *stops = json_array(), *bias = json_object();
    char key[16];
    set_number(o, "temperature", (double)s->temperature);
    set_number(o, "top_p", (double)s->top_p);
    set_number(o, "presence", (double)s->presence_penalty);
    set_number(o, "frequency", (double)s->frequency_penalty);
    json_object_set_new(o, "top_k", json_integer(s->top_k));
    json_object_set_new(o, "seed", json_integer(s->seed));
    json_object_set_new(o, "n", json_integer(s->n_choices));
    json_object_set_new(o, "logprobs", json_integer(s->n_logprobs));
    for (size_t i = 0; i < s->n_stops; i++)
        json_array_append_new(stops, json_stringn(s->stops[i].ptr, s->stops[i].len));
    for (size_t i = 0; i < s->n_bias; i++) {
        (void)snprintf(key, sizeof key, "%d", (int)s->bias_tokens[i]);
        json_object_set_new(bias, key, json_real((double)s->bias_values[i]));
    }
    json_object_set_new(o, "stops", stops);
    json_object_set_new(o, "bias", bias);
    return o;
}

static json_t *describe(const struct chat_request *q)
{
    json_t *o = json_object(), *messages = json_array();
    for (size_t i = 0; i < q->n_messages; i++)
        json_array_append_new(messages, describe_message(&q->messages[i]));
    json_object_set_new(o, "messages", messages);
    if (q->tools)
        json_object_set(o, "tools", (json_t *)q->tools);
    json_object_set_new(o, "choice", json_integer(q->tool_choice));
    if (q->tool_choice == TOOLS_NAMED)
        json_object_set_new(o, "name", json_string(q->tool_name));
    json_object_set_new(o, "one", json_boolean(q->one_tool_call));
    json_object_set_new(o, "strict", json_boolean(q->strict_tools));
    json_object_set_new(o, "form", json_integer(q->constraint.kind));
    if (q->constraint.schema)
        json_object_set(o, "schema", (json_t *)q->constraint.schema);
    if (q->extras)
        json_object_set(o, "extras", (json_t *)q->extras);
    json_object_set_new(o, "sampling", describe_sampling(&q->sampling));
    json_object_set_new(o, "max_tokens", json_integer(q->max_tokens));
    json_object_set_new(o, "stream", json_boolean(q->stream));
    return o;
}

static void check_request(enum words words, uint64_t seed)
{
    struct made m;
    struct dialect_case d;
    struct client_request out = {0};
    struct error err = {0};
    struct buf path = {0};
    make_request(&m, words, seed);
    if (!clients[words]->write_request(&m.req, m.req.model, &out, &err))
        fail_msg("%s, seed %llu: %s", clients[words]->name, (unsigned long long)seed, err.text);
    buf_printf(&path, "%s%s", words == OPENAI ? "/v1" : "", buf_text(&out.path));
    dialect_case_begin(&d, "POST", buf_text(&path), buf_text(&out.body));
    if (!d.read)
        fail_msg("%s, seed %llu: %s\n%s", clients[words]->name, (unsigned long long)seed,
                 d.err.text, buf_text(&out.body));
    json_t *wanted = describe(&m.req), *got = describe(&d.call.request);
    if (!json_equal(wanted, got))
        fail_msg("%s, seed %llu:\n%s\n%s\n%s", clients[words]->name, (unsigned long long)seed,
                 json_dumps(wanted, JSON_COMPACT | JSON_SORT_KEYS),
                 json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS), buf_text(&out.body));
    assert_string_equal(d.call.request.model, m.req.model);
    assert_string_equal(d.call.request.wire, clients[words]->name);
    json_decref(wanted);
    json_decref(got);
    dialect_case_end(&d);
    buf_release(&path);
    buf_release(&out.path);
    buf_release(&out.body);
    json_decref(m.kept);
    arena_release(&m.arena);
}

static void requests_come_back(void **state)
{
    (void)state;
    for (int words = OPENAI; words <= GEMINI; words++) {
        for (uint64_t seed = 0; seed < REQUESTS; seed++)
            check_request((enum words)words, seed);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_come_back),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
