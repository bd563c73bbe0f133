// gemini.c - POST /v1beta/models/MODEL:generateContent, :streamGenerateContent, :countTokens; the
// same below /v1.
//
// Reads the requests; gemini_write.c and gemini_stream.c write the answers.
#include "dialects/gemini_answer.h"

#include <ctype.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/members.h"

enum { TOKENS_MAX = 1 << 24, SEED_MAX = INT32_MAX };

// Reading

// One number under either spelling.
static bool number(const json_t *o, const char *camel, const char *snake, double min, double max,
                   float *value, struct dialect_error *err)
{
    const char *key;
    (void)gemini_member(o, camel, snake, &key);
    return member_float(o, "generationConfig", key, min, max, value, err);
}

static bool whole(const json_t *o, const char *camel, const char *snake, int min, int max,
                  int *value, struct dialect_error *err)
{
    const char *key;
    (void)gemini_member(o, camel, snake, &key);
    return member_int(o, "generationConfig", key, min, max, value, err);
}

// "HIGH" as others write it.
static void set_level(json_t *extras, struct slice level)
{
    char word[16];
    if (!level.len || level.len >= sizeof word || slice_is(level, "THINKING_LEVEL_UNSPECIFIED"))
        return;
    for (size_t i = 0; i <= level.len; i++)
        word[i] = i < level.len ? (char)tolower((unsigned char)level.ptr[i]) : 0;
    json_object_set_new(extras, "reasoning_effort", json_string(word));
}

static bool read_thinking(struct dialect_call *c, const json_t *config, struct dialect_error *err)
{
    static const char at[] = "generationConfig.thinkingConfig";
    struct gemini_state *s = c->state;
    struct slice level = {0};
    int budget = -1;
    const char *key;
    const json_t *thinking = gemini_member(config, "thinkingConfig", "thinking_config", NULL);
    if (!thinking || json_is_null(thinking))
        return true;
    if (!json_is_object(thinking))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object", at);
    (void)gemini_member(thinking, "includeThoughts", "include_thoughts", &key);
    if (!member_bool(thinking, at, key, &s->thoughts, err))
        return false;
    (void)gemini_member(thinking, "thinkingBudget", "thinking_budget", &key);
    if (!member_int(thinking, at, key, -1, TOKENS_MAX, &budget, err))
        return false;
    (void)gemini_member(thinking, "thinkingLevel", "thinking_level", &key);
    if (!member_text(thinking, at, key, &level, err))
        return false;
    if (budget < 0 && !s->thoughts && !level.len)
        return true;  // as the model likes
    json_t *extras = dialect_keep(c, json_object());
    json_object_set_new(extras, "enable_thinking", json_boolean(budget != 0));
    if (budget > 0)
        json_object_set_new(extras, "thinking_budget", json_integer(budget));
    set_level(extras, level);
    c->request.extras = extras;
    return true;
}

// One of the texts that the schema lists, as it is; the schema stays for a vendor of these words.
static bool read_enum(struct dialect_call *c, const json_t *schema, struct dialect_error *err)
{
    struct chat_constraint *constraint = &c->request.constraint;
    const json_t *list = json_object_get(schema, "enum");
    struct buf text = {0};
    bool ok = json_array_size(list) > 0;
    buf_text_add(&text, "root ::= ");
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        ok = json_is_string(one);
        buf_text_add(&text, i ? " | " : "");
        if (ok)
            dialect_write_literal(json_slice(one), &text);
    }
    constraint->kind = CONSTRAINT_GBNF;
    constraint->schema = schema;
    constraint->text = slice_of(arena_text(c->arena, buf_view(&text)), text.len);
    buf_release(&text);
    return ok || dialect_refuse(err, PROBLEM_REQUEST, "responseSchema",
                                "'generationConfig.responseMimeType' of text/x.enum needs a "
                                "'responseSchema' whose enum is a list of texts");
}

static bool read_format(struct dialect_call *c, const json_t *config, struct dialect_error *err)
{
    struct chat_constraint *constraint = &c->request.constraint;
    struct slice type = slice_str("text/plain");
    const char *key, *schema_key;
    const json_t *schema = gemini_member(config, "responseSchema", "response_schema", NULL);
    const json_t *standard =
        gemini_member(config, "responseJsonSchema", "response_json_schema", &schema_key);
    (void)gemini_member(config, "responseMimeType", "response_mime_type", &key);
    if (!member_text(config, "generationConfig", key, &type, err))
        return false;
    if (schema && !json_is_null(schema)) {
        if (!json_is_object(schema))
            return dialect_refuse(err, PROBLEM_REQUEST, "responseSchema",
                                  "'generationConfig.responseSchema' must be an object");
        standard = dialect_keep(c, gemini_schema(schema));
        schema_key = "responseSchema";
    }
    if (standard && !json_is_null(standard)) {
        if (!json_is_object(standard))
            return dialect_refuse(err, PROBLEM_REQUEST, schema_key,
                                  "'generationConfig.%s' must be an object", schema_key);
        constraint->kind = CONSTRAINT_JSON_SCHEMA;
        constraint->schema = standard;
        dialect_note_form(c, member_path("generationConfig", schema_key, -1).text);
        if (slice_is(type, "text/x.enum"))
            return read_enum(c, standard, err);
    } else if (slice_is(type, "application/json")) {
        constraint->kind = CONSTRAINT_JSON_OBJECT;
    }
    if (slice_is(type, "text/x.enum"))
        return read_enum(c, NULL, err);
    return slice_is(type, "text/plain") || slice_is(type, "application/json") ||
           dialect_refuse(err, PROBLEM_UNSUPPORTED, key,
                          "'generationConfig.%s': only text/plain, application/json and "
                          "text/x.enum are supported",
                          key);
}

static bool read_seed(const json_t *config, struct chat_sampling *s, struct dialect_error *err)
{
    int64_t seed = -1;
    if (!member_i64(config, "generationConfig", "seed", INT32_MIN, INT32_MAX, &seed, err))
        return false;
    if (json_is_number(json_object_get(config, "seed")))
        s->seed = seed & SEED_MAX;
    return true;
}

static bool read_config(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const char *key;
    struct chat_sampling *s = &c->request.sampling;
    const json_t *config = gemini_member(body, "generationConfig", "generation_config", &key);
    if (!config || json_is_null(config))
        return true;
    if (!json_is_object(config))
        return dialect_refuse(err, PROBLEM_REQUEST, key, "'%s' must be an object, not %s", key,
                              member_type(config));
    (void)gemini_member(config, "stopSequences", "stop_sequences", &key);
    return number(config, "temperature", "temperature", 0, 2, &s->temperature, err) &&
           number(config, "topP", "top_p", 0, 1, &s->top_p, err) &&
           number(config, "presencePenalty", "presence_penalty", -2, 2, &s->presence_penalty,
                  err) &&
           number(config, "frequencyPenalty", "frequency_penalty", -2, 2, &s->frequency_penalty,
                  err) &&
           whole(config, "topK", "top_k", 0, TOKENS_MAX, &s->top_k, err) &&
           whole(config, "maxOutputTokens", "max_output_tokens", 1, TOKENS_MAX,
                 &c->request.max_tokens, err) &&
           whole(config, "candidateCount", "candidate_count", 1, GEMINI_CHOICES, &s->n_choices,
                 err) &&
           member_stops(c, config, key, err) && read_seed(config, s, err) &&
           read_thinking(c, config, err) && read_format(c, config, err) &&
           gemini_read_logprobs(c, config, err);
}

static bool read_generate(const struct http_request *in, struct dialect_call *c,
                          struct dialect_error *err)
{
    struct gemini_state *s = c->state;
    const json_t *cached = gemini_member(in->body, "cachedContent", "cached_content", NULL);
    c->request.model = arena_text(c->arena, in->matched);
    c->request.wire = "gemini";
    c->request.body = in->body;
    if (cached && !json_is_null(cached))
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, "cachedContent",
                              "'cachedContent' is not supported");
    if (!read_config(c, in->body, err) || !gemini_tools(c, in->body, err) ||
        !gemini_contents(c, in->body, err))
        return false;
    s->n_choices = c->request.sampling.n_choices > 0 ? c->request.sampling.n_choices : 1;
    return true;
}

static bool read_stream(const struct http_request *in, struct dialect_call *c,
                        struct dialect_error *err)
{
    struct gemini_state *s = c->state;
    s->sse = dialect_query_is(in->query, "alt", "sse");
    c->stream_type = s->sse ? "text/event-stream" : "application/json";
    c->request.stream = true;
    return read_generate(in, c, err);
}

// The contents may stand in a whole request.
static bool read_count(const struct http_request *in, struct dialect_call *c,
                       struct dialect_error *err)
{
    struct http_request inner = *in;
    const char *key;
    const json_t *whole_request =
        gemini_member(in->body, "generateContentRequest", "generate_content_request", &key);
    if (whole_request && !json_is_object(whole_request))
        return dialect_refuse(err, PROBLEM_REQUEST, key, "'%s' must be an object, not %s", key,
                              member_type(whole_request));
    if (whole_request)
        inner.body = whole_request;
    return read_generate(&inner, c, err);
}

// Writing

static void write_count(struct dialect_call *c, int64_t n_tokens, struct buf *out)
{
    (void)c;
    buf_printf(out,
               "{\"totalTokens\":%" PRId64 ",\"promptTokensDetails\":[{\"modality\":\"TEXT\","
               "\"tokenCount\":%" PRId64 "}]}",
               n_tokens, n_tokens);
}

#define GEMINI(n)                                                                                  \
    .name = n, .state_size = sizeof(struct gemini_state), .id_header = "x-request-id",             \
    .limits = LIMITS_NONE, .shows = SHOWS_ALL, .key_in_query = true,                               \
    .write_error = gemini_write_error

static const struct dialect_route generate_routes[] = {
    {"POST", "/v1beta/models/*:generateContent", DIALECT_CHAT},
    {"POST", "/v1/models/*:generateContent", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_gemini = {
    GEMINI("gemini"), .routes = generate_routes, .read_request = read_generate,
    .write_event = gemini_write_event, .write_response = gemini_write_response};

static const struct dialect_route stream_routes[] = {
    {"POST", "/v1beta/models/*:streamGenerateContent", DIALECT_CHAT},
    {"POST", "/v1/models/*:streamGenerateContent", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_gemini_stream = {
    GEMINI("gemini_stream"), .routes = stream_routes, .read_request = read_stream,
    .write_event = gemini_write_event, .write_response = gemini_write_response};

static const struct dialect_route count_routes[] = {
    {"POST", "/v1beta/models/*:countTokens", DIALECT_COUNT},
    {"POST", "/v1/models/*:countTokens", DIALECT_COUNT},
    {0},
};
const struct dialect dialect_gemini_count = {GEMINI("gemini_count"), .routes = count_routes,
                                             .read_request = read_count,
                                             .write_count = write_count};
