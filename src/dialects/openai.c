#include "dialects/openai.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/members.h"

enum { CHOICES_MAX = 64, BIASES_MAX = 1024, TOKENS_MAX = 1 << 24 };

// {"50256": -100, ...}: ids are texts there.
static bool read_bias(const char *key, json_t *value, int32_t *token, float *bias,
                      struct dialect_error *err)
{
    char *end;
    errno = 0;
    long id = strtol(key, &end, 10);
    struct member_path p = member_path("logit_bias", "", -1);
    if (end == key || *end || errno || id < 0 || id > INT32_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'logit_bias': '%.32s' is not a token id", key);
    double x = json_number_value(value);
    if (!json_is_number(value) || !(x >= -100 && x <= 100))
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'logit_bias': the value of %ld is not a number from -100 to 100",
                              id);
    *token = (int32_t)id;
    *bias = (float)x;
    return true;
}

static bool read_biases(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *o = NULL;
    struct chat_sampling *s = &c->request.sampling;
    if (!member_object(body, "", "logit_bias", &o, err))
        return false;
    size_t n = json_object_size(o), i = 0;
    if (n == 0)
        return true;
    if (n > BIASES_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "logit_bias",
                              "'logit_bias' has %zu entries, more than %d", n, BIASES_MAX);
    int32_t *tokens = arena_new(c->arena, int32_t, n);
    float *values = arena_new(c->arena, float, n);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)o, key, value)
    {
        if (!read_bias(key, value, &tokens[i], &values[i], err))
            return false;
        i++;
    }
    s->bias_tokens = tokens;
    s->bias_values = values;
    s->n_bias = n;
    return true;
}

// A seed is any 64-bit number; below zero they count down from the largest.
static bool read_seed(struct chat_sampling *s, const json_t *body, struct dialect_error *err)
{
    int64_t seed = s->seed;
    if (!member_i64(body, "", "seed", INT64_MIN, INT64_MAX, &seed, err))
        return false;
    if (json_is_number(json_object_get(body, "seed")))
        s->seed = seed & INT64_MAX;
    return true;
}

// Other servers write "all tokens" as -1 or 0.
static bool read_top_k(struct chat_sampling *s, const json_t *body, struct dialect_error *err)
{
    int top_k = -1;
    if (!member_int(body, "", "top_k", -1, TOKENS_MAX, &top_k, err))
        return false;
    if (json_is_number(json_object_get(body, "top_k")))
        s->top_k = top_k > 0 ? top_k : 0;
    return true;
}

// As other servers have it, for measurements: an answer of a length that is known.
static bool read_min_tokens(struct chat_sampling *s, const json_t *body, struct dialect_error *err)
{
    bool never = false;
    if (!member_int(body, "", "min_tokens", 0, TOKENS_MAX, &s->min_tokens, err) ||
        !member_bool(body, "", "ignore_eos", &never, err))
        return false;
    if (never)
        s->min_tokens = TOKENS_MAX;
    return true;
}

bool openai_sampling(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    struct chat_sampling *s = &c->request.sampling;
    return member_float(body, "", "temperature", 0, 2, &s->temperature, err) &&
           member_float(body, "", "top_p", 0, 1, &s->top_p, err) &&
           member_float(body, "", "min_p", 0, 1, &s->min_p, err) &&
           member_float(body, "", "typical_p", 0, 1, &s->typical_p, err) &&
           member_float(body, "", "presence_penalty", -2, 2, &s->presence_penalty, err) &&
           member_float(body, "", "frequency_penalty", -2, 2, &s->frequency_penalty, err) &&
           member_float(body, "", "repetition_penalty", 0.01, 100, &s->repetition_penalty, err) &&
           read_top_k(s, body, err) && read_min_tokens(s, body, err) && read_seed(s, body, err) &&
           member_int(body, "", "n", 1, CHOICES_MAX, &s->n_choices, err) &&
           member_stops(c, body, "stop", err) && read_biases(c, body, err);
}

bool openai_session(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    static const char *const names[] = {"prompt_cache_key", "user", "safety_identifier"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct slice name = {0};
        if (!member_text(body, "", names[i], &name, err))
            return false;
        if (name.len && !c->request.session)
            c->request.session = name.ptr;
    }
    return true;
}

bool openai_stream(struct dialect_call *c, const json_t *body, bool *include_usage,
                   struct dialect_error *err)
{
    const json_t *options = NULL;
    return member_bool(body, "", "stream", &c->request.stream, err) &&
           member_object(body, "", "stream_options", &options, err) &&
           member_bool(options, "stream_options", "include_usage", include_usage, err);
}

const char *openai_finish(enum chat_finish f)
{
    switch (f) {
    case CHAT_LENGTH: return "length";
    case CHAT_TOOL_CALLS: return "tool_calls";
    case CHAT_FILTERED: return "content_filter";
    default: return "stop";
    }
}

void openai_write_usage(const struct chat_usage *u, struct buf *out)
{
    buf_printf(out,
               "{\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64
               ",\"total_tokens\":%" PRId64
               ",\"prompt_tokens_details\":{\"cached_tokens\":%" PRId64,
               u->prompt_tokens, u->completion_tokens, u->prompt_tokens + u->completion_tokens,
               u->cached_tokens);
    if (u->cache_write_5m_tokens + u->cache_write_1h_tokens)
        buf_printf(out, ",\"cache_write_tokens\":%" PRId64,
                   u->cache_write_5m_tokens + u->cache_write_1h_tokens);
    buf_printf(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":%" PRId64 "}}",
               u->reasoning_tokens);
}

// Without the closing brace.
static void write_token(const struct chat_token *t, struct buf *out)
{
    buf_text_add(out, "{\"token\":");
    json_write_text(out, t->bytes);
    buf_text_add(out, ",\"logprob\":");
    json_write_number(out, t->logprob > -9999 ? (double)t->logprob : -9999.0);
    buf_text_add(out, ",\"bytes\":[");
    for (size_t i = 0; i < t->bytes.len; i++)
        buf_printf(out, "%s%d", i ? "," : "", (unsigned char)t->bytes.ptr[i]);
    buf_char(out, ']');
}

void openai_write_tokens(const struct chat_token *tokens, size_t n, struct buf *out)
{
    buf_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_token(&tokens[i], out);
        buf_text_add(out, ",\"top_logprobs\":[");
        for (size_t j = 0; j < tokens[i].n_top; j++) {
            if (j)
                buf_char(out, ',');
            write_token(&tokens[i].top[j], out);
            buf_char(out, '}');
        }
        buf_text_add(out, "]}");
    }
    buf_char(out, ']');
}

// The vendor's type and code of a problem.
static void names_of(enum dialect_problem p, const char **type, const char **code)
{
    *type = "invalid_request_error";
    *code = NULL;
    switch (p) {
    case PROBLEM_CONTEXT: *code = "context_length_exceeded"; break;
    case PROBLEM_UNSUPPORTED: *code = "unsupported_value"; break;
    case PROBLEM_KEY: *code = "invalid_api_key"; break;
    case PROBLEM_FORBIDDEN: *code = "insufficient_permissions"; break;
    case PROBLEM_MODEL: *code = "model_not_found"; break;
    case PROBLEM_ROUTE: *code = "unknown_url"; break;
    case PROBLEM_METHOD: *code = "method_not_supported"; break;
    case PROBLEM_RATE:
        *type = "requests";
        *code = "rate_limit_exceeded";
        break;
    case PROBLEM_BUDGET: *type = *code = "insufficient_quota"; break;
    case PROBLEM_UPSTREAM:
        *type = "server_error";
        *code = "upstream_error";
        break;
    case PROBLEM_BUSY:
        *type = "server_error";
        *code = "server_is_overloaded";
        break;
    case PROBLEM_INTERNAL: *type = "server_error"; break;
    default: break;
    }
}

static void write_name(const char *name, struct buf *out)
{
    if (name && *name)
        json_write_text(out, slice_str(name));
    else
        buf_text_add(out, "null");
}

// A vendor's own names where it has these words; what it leaves out is named as we do.
void openai_write_error_body(const struct dialect_error *err, struct buf *out)
{
    const char *type, *code;
    const struct error_words *said = dialect_words(err, "openai");
    names_of(err->problem, &type, &code);
    buf_text_add(out, "{\"error\":{\"message\":");
    json_write_text(out, slice_str(err->text));
    buf_text_add(out, ",\"type\":");
    write_name(said->type[0] ? said->type : type, out);
    buf_text_add(out, ",\"param\":");
    write_name(err->member[0] ? err->member : said->member, out);
    buf_text_add(out, ",\"code\":");
    write_name(said->code[0] ? said->code : code, out);
    buf_text_add(out, "}}");
}

int openai_write_error(const struct dialect_error *err, struct buf *out)
{
    openai_write_error_body(err, out);
    return dialect_status(err->problem);
}

void openai_write_error_event(const struct dialect_call *c, const struct chat_event *event,
                              struct buf *out)
{
    struct dialect_error err = {0};
    (void)dialect_refuse_call(c, &err, &event->error);
    buf_text_add(out, "data: ");
    openai_write_error_body(&err, out);
    buf_text_add(out, "\n\n");
}

bool openai_format(struct dialect_call *c, const json_t *format, const char *at,
                   const char *wrapper, struct dialect_error *err)
{
    struct chat_constraint *out = &c->request.constraint;
    struct slice type = slice_str("text");
    struct member_path path = member_path(at, "type", -1), holder = {{0}};
    if (!member_text(format, at, "type", &type, err))
        return false;
    if (slice_is(type, "text"))
        return true;
    if (slice_is(type, "json_object")) {
        const json_t *schema = json_object_get(format, "schema");
        out->kind = CONSTRAINT_JSON_OBJECT;
        if (!schema || json_is_null(schema) ||
            (json_is_object(schema) && json_object_size(schema) == 0))
            return true;
        wrapper = NULL;  // as llama-server and others have it
    } else if (!slice_is(type, "json_schema")) {
        return dialect_refuse(err, PROBLEM_REQUEST, path.text,
                              "'%s' is not text, json_object or json_schema", path.text);
    }
    out->kind = CONSTRAINT_JSON_SCHEMA;
    if (wrapper) {
        if (!member_object(format, at, wrapper, &format, err))
            return false;
        holder = member_path(at, wrapper, -1);
        at = holder.text;
    }
    path = member_path(at, "schema", -1);
    dialect_note_form(c, path.text);
    return member_object(format, at, "schema", &out->schema, err) &&
           (out->schema ||
            dialect_refuse(err, PROBLEM_REQUEST, path.text, "'%s' is missing", path.text));
}
