// openai_responses.c - POST /v1/responses without a memory, and /v1/responses/input_tokens.
//
// What needs answers that were stored, or tools that a server runs, is refused by name.
#include "dialects/openai_responses.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/members.h"
#include "dialects/openai.h"

enum { TOKENS_MAX = 1 << 24, TOP_LOGPROBS_MAX = 20 };
enum { METADATA_MAX = 16, METADATA_KEY_BYTES = 64, METADATA_VALUE_BYTES = 512 };

static bool refuse_unsupported(const json_t *body, struct dialect_error *err)
{
    static const struct {
        const char *name, *why;
    } refused[] = {{"previous_response_id", "answers are not stored: send the whole conversation"},
                   {"conversation", "conversations are not stored: send their items as 'input'"},
                   {"prompt", "there are no stored prompts"},
                   {"context_management", "nothing of the input is left out"},
                   {"moderation", "there is no moderation"}};
    bool background = false;
    struct slice truncation = slice_str("disabled");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const json_t *v = json_object_get(body, refused[i].name);
        if (v && !json_is_null(v))
            return dialect_refuse(err, PROBLEM_UNSUPPORTED, refused[i].name,
                                  "'%s' is not supported: %s", refused[i].name, refused[i].why);
    }
    if (!member_bool(body, "", "background", &background, err) ||
        !member_text(body, "", "truncation", &truncation, err))
        return false;
    if (background)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, "background",
                              "'background' is not supported: answers are not stored");
    return slice_is(truncation, "disabled") ||
           dialect_refuse(err, PROBLEM_UNSUPPORTED, "truncation",
                          "'truncation' other than disabled is not supported: nothing is cut");
}

static bool read_logprobs(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    struct responses_state *s = c->state;
    const json_t *include = NULL;
    int top = 0;
    if (!member_array(body, "", "include", &include, err) ||
        !member_int(body, "", "top_logprobs", 0, TOP_LOGPROBS_MAX, &top, err))
        return false;
    s->logprobs = top > 0;
    for (size_t i = 0; i < json_array_size(include); i++) {
        const json_t *v = json_array_get(include, i);
        struct member_path p = member_path("include", "", (int)i);
        if (!json_is_string(v))
            return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' must be a string, not %s",
                                  p.text, member_type(v));
        if (slice_is(json_slice(v), "message.output_text.logprobs"))
            s->logprobs = true;
    }
    if (s->logprobs)
        c->request.sampling.n_logprobs = top;
    return true;
}

static bool read_text(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *text = NULL, *format = NULL;
    struct slice verbosity = {0};
    return member_object(body, "", "text", &text, err) &&
           member_text(text, "text", "verbosity", &verbosity, err) &&
           member_object(text, "text", "format", &format, err) &&
           openai_format(c, format, "text.format", NULL, err);
}

// What a template may look at beside messages and tools.
static bool read_extras(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *given = NULL, *reasoning = NULL;
    struct slice effort = {0};
    if (!member_object(body, "", "chat_template_kwargs", &given, err) ||
        !member_object(body, "", "reasoning", &reasoning, err) ||
        !member_text(reasoning, "reasoning", "effort", &effort, err))
        return false;
    c->request.extras = given;
    if (effort.ptr) {
        json_t *extras = dialect_keep(c, given ? json_copy((json_t *)given) : json_object());
        json_object_set(extras, "reasoning_effort", json_object_get(reasoning, "effort"));
        c->request.extras = extras;
    }
    return true;
}

// Its members come back with the answer, so that they are bounded as the vendor bounds them.
static bool check_metadata(const json_t *body, struct dialect_error *err)
{
    const json_t *o = NULL;
    const char *key;
    json_t *value;
    if (!member_object(body, "", "metadata", &o, err))
        return false;
    if (json_object_size(o) > METADATA_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "metadata", "'metadata' has more than %d pairs",
                              METADATA_MAX);
    json_object_foreach((json_t *)o, key, value)
    {
        if (!json_is_string(value))
            return dialect_refuse(err, PROBLEM_REQUEST, "metadata",
                                  "'metadata' must hold strings only, not %s", member_type(value));
        if (strlen(key) > METADATA_KEY_BYTES || json_string_length(value) > METADATA_VALUE_BYTES)
            return dialect_refuse(err, PROBLEM_REQUEST, "metadata",
                                  "'metadata' has a key of more than %d bytes or a value of more "
                                  "than %d",
                                  METADATA_KEY_BYTES, METADATA_VALUE_BYTES);
    }
    return true;
}

// What both routes of the vendor have, in the words of chat completions.
static json_t *chat_body(const json_t *body)
{
    static const char *const shared[] = {"metadata",
                                         "service_tier",
                                         "user",
                                         "safety_identifier",
                                         "prompt_cache_key",
                                         "prompt_cache_retention",
                                         "top_k",
                                         "min_p",
                                         "typical_p",
                                         "repetition_penalty",
                                         "min_tokens",
                                         "ignore_eos",
                                         "chat_template_kwargs"};
    static const char *const of_schema[] = {"name", "description", "strict"};
    const json_t *text = json_object_get(body, "text"), *format = json_object_get(text, "format");
    json_t *chat = json_object(), *schema = json_object();
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        json_t *v = json_object_get(body, shared[i]);
        if (v)
            json_object_set(chat, shared[i], v);
    }
    if (json_object_get(text, "verbosity"))
        json_object_set(chat, "verbosity", json_object_get(text, "verbosity"));
    for (size_t i = 0; i < sizeof of_schema / sizeof *of_schema; i++) {
        json_t *v = json_object_get(format, of_schema[i]);
        if (v)
            json_object_set(schema, of_schema[i], v);
    }
    if (json_object_get(format, "schema"))
        json_object_set_new(chat, "response_format", json_pack("{s:O}", "json_schema", schema));
    json_decref(schema);
    return chat;
}

static bool read_common(const struct http_request *in, struct dialect_call *c,
                        struct dialect_error *err)
{
    const json_t *body = in->body;
    struct responses_state *s = c->state;
    struct slice model = {0};
    s->body = body;
    if (!member_text(body, "", "model", &model, err) || !refuse_unsupported(body, err) ||
        !read_text(c, body, err) || !read_extras(c, body, err) || !responses_tools(c, body, err) ||
        !openai_session(c, body, err))
        return false;
    c->request.model = model.ptr;
    c->request.wire = "openai";
    c->request.body = dialect_keep(c, chat_body(body));
    return responses_input(c, body, err);
}

static void release(void *state)
{
    struct responses_state *s = state;
    dialect_answer_release(&s->answer);
}

static bool read_request(const struct http_request *in, struct dialect_call *c,
                         struct dialect_error *err)
{
    const json_t *body = in->body;
    struct responses_state *s = c->state;
    struct chat_request *r = &c->request;
    bool store = false;
    if (!member_bool(body, "", "stream", &r->stream, err) ||
        !member_bool(body, "", "store", &store, err) || !openai_sampling(c, body, err) ||
        !member_int(body, "", "max_output_tokens", 1, TOKENS_MAX, &r->max_tokens, err) ||
        !read_logprobs(c, body, err) || !check_metadata(body, err) || !read_common(in, c, err))
        return false;
    r->sampling.n_choices = -1;  // there is no such member here
    dialect_answer_init(&s->answer, 1, s->logprobs);
    c->release = release;
    return true;
}

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    responses_write(c, a, responses_status(a->choices[0].finish), &a->usage, NULL, out);
}

static void write_count(struct dialect_call *c, int64_t n_tokens, struct buf *out)
{
    (void)c;
    buf_printf(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%" PRId64 "}",
               n_tokens);
}

static const struct dialect_route routes[] = {{"POST", "/v1/responses", DIALECT_CHAT}, {0}};
const struct dialect dialect_openai_responses = {
    .name = "openai_responses",
    .routes = routes,
    .state_size = sizeof(struct responses_state),
    .id_header = "x-request-id",
    .read_request = read_request,
    .write_event = responses_write_event,
    .write_response = write_response,
    .write_error = openai_write_error,
};

static const struct dialect_route count_routes[] = {
    {"POST", "/v1/responses/input_tokens", DIALECT_COUNT}, {0}};
const struct dialect dialect_openai_responses_count = {
    .name = "openai_responses_count",
    .routes = count_routes,
    .state_size = sizeof(struct responses_state),
    .id_header = "x-request-id",
    .read_request = read_common,
    .write_count = write_count,
    .write_error = openai_write_error,
};
