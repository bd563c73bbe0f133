// openai_embeddings.c - POST /v1/embeddings: texts, or their tokens, as vectors of length 1.
#include <inttypes.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/json.h"
#include "dialects/embeddings.h"
#include "dialects/members.h"
#include "dialects/openai.h"

struct state {
    bool base64;
    size_t n_tokens;  // that came as ids
};

// Reading

static bool read_ids(struct dialect_call *c, const json_t *list, const char *path,
                     struct chat_embed_input *out, struct dialect_error *err)
{
    struct state *s = c->state;
    size_t n = json_array_size(list);
    s->n_tokens += n;
    if (n == 0 || s->n_tokens > EMBED_TOKENS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, path, "'%s' has %s tokens", path,
                              n ? "too many" : "no");
    int32_t *ids = arena_new(c->arena, int32_t, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return dialect_refuse(err, PROBLEM_REQUEST, path,
                                  "'%s[%zu]' is not a token's id, but %s", path, i, member_type(v));
        ids[i] = (int32_t)json_integer_value(v);
    }
    out->tokens = ids;
    out->n_tokens = n;
    return true;
}

static bool read_one(struct dialect_call *c, const json_t *v, const char *path,
                     struct chat_embed_input *out, struct dialect_error *err)
{
    if (json_is_array(v))
        return read_ids(c, v, path, out, err);
    if (!json_is_string(v))
        return dialect_refuse(err, PROBLEM_REQUEST, path,
                              "'%s' must be a string or an array of token ids, not %s", path,
                              member_type(v));
    out->text = json_slice(v);
    return out->text.len || dialect_refuse(err, PROBLEM_REQUEST, path, "'%s' is empty", path);
}

// A text, ids, or a list of these.
static bool read_input(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *v = json_object_get(body, "input"), *first = json_array_get(v, 0);
    bool several = json_is_array(v) && !json_is_integer(first);
    if (!v)
        return dialect_refuse(err, PROBLEM_REQUEST, "input", "'input' is missing");
    size_t n = several ? json_array_size(v) : 1;
    struct chat_embed_input *inputs = embed_inputs_new(c, n, "input", err);
    if (!inputs)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct member_path path = member_path("", "input", several ? (int)i : -1);
        if (!read_one(c, several ? json_array_get(v, i) : v, path.text, &inputs[i], err))
            return false;
    }
    return true;
}

static bool read_request(const struct http_request *in, struct dialect_call *c,
                         struct dialect_error *err)
{
    const json_t *body = in->body;
    struct state *s = c->state;
    struct slice model = {0}, format = slice_str("float");
    if (!member_text(body, "", "model", &model, err) ||
        !member_text(body, "", "encoding_format", &format, err) ||
        !member_int(body, "", "dimensions", 1, EMBED_DIMENSIONS_MAX, &c->request.dimensions, err) ||
        !openai_session(c, body, err))
        return false;
    s->base64 = slice_is(format, "base64");
    if (!s->base64 && !slice_is(format, "float"))
        return dialect_refuse(err, PROBLEM_REQUEST, "encoding_format",
                              "'encoding_format' is neither float nor base64");
    c->request.model = model.ptr;
    c->request.wire = "openai";
    c->request.body = body;
    return read_input(c, body, err);
}

// Writing

// The numbers as the machine has them, as the vendor's are: little-endian.
static void write_base64(const float *values, size_t n, struct buf *out)
{
    struct buf bytes = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (int k = 0; k < 32; k += 8)
            buf_char(&bytes, (char)(bits >> k & 255));
    }
    buf_char(out, '"');
    base64_encode(out, bytes.ptr, bytes.len);
    buf_char(out, '"');
    buf_release(&bytes);
}

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    const struct state *s = c->state;
    buf_text_add(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < a->n_choices; i++) {
        const struct dialect_choice *choice = &a->choices[i];
        buf_printf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
                   i);
        if (s->base64)
            write_base64(choice->embedding, choice->n_embedding, out);
        else
            embed_write_floats(choice->embedding, choice->n_embedding, out);
        buf_char(out, '}');
    }
    buf_text_add(out, "],\"model\":");
    json_write_text(out, slice_str(c->model));
    buf_printf(out, ",\"usage\":{\"prompt_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64 "}}",
               a->usage.prompt_tokens, a->usage.prompt_tokens);
}

static const struct dialect_route routes[] = {
    {"POST", "/v1/embeddings", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_openai_embeddings = {
    .name = "openai_embeddings",
    .routes = routes,
    .state_size = sizeof(struct state),
    .id_header = "x-request-id",
    .read_request = read_request,
    .write_response = write_response,
    .write_error = openai_write_error,
};
