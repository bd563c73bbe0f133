// gemini_embed.c - POST /v1beta/models/MODEL:embedContent and :batchEmbedContents: texts as vectors
// of length 1.
//
// The texts of a content's parts are one input, joined by line ends. What a text is for (taskType,
// title) is a matter of the model's own prompts and not looked at.
#include "base/buf.h"
#include "base/json.h"
#include "dialects/answer.h"
#include "dialects/embeddings.h"
#include "dialects/gemini.h"
#include "dialects/members.h"

struct state {
    bool batch;
};

// Reading

static bool read_parts(struct dialect_call *c, const json_t *parts, const char *at,
                       struct chat_embed_input *out, struct dialect_error *err)
{
    struct buf text = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(parts); i++) {
        struct member_path path = member_path(at, "parts", (int)i);
        const json_t *v = json_object_get(json_array_get(parts, i), "text");
        if (i)
            buf_char(&text, '\n');
        if (json_is_string(v))
            buf_slice(&text, json_slice(v));
        else
            ok = dialect_refuse(err, PROBLEM_UNSUPPORTED, path.text,
                                "'%s': only texts can be embedded", path.text);
    }
    if (ok && text.len == 0)
        ok = dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' has no text", at);
    if (ok)
        out->text = slice_of(arena_text(c->arena, buf_view(&text)), text.len);
    buf_release(&text);
    return ok;
}

// "content": {"parts": [{"text"}, ...]}
static bool read_content(struct dialect_call *c, const json_t *o, const char *at,
                         struct chat_embed_input *out, struct dialect_error *err)
{
    struct member_path path = member_path(at, "content", -1);
    const json_t *content = json_object_get(o, "content");
    const json_t *parts = json_object_get(content, "parts");
    if (!json_is_array(parts))
        return dialect_refuse(err, PROBLEM_REQUEST, path.text,
                              "'%s' must be an object with a list of parts", path.text);
    return read_parts(c, parts, path.text, out, err);
}

static bool read_dimensions(struct dialect_call *c, const json_t *o, const char *at, bool first,
                            struct dialect_error *err)
{
    const char *key;
    int n = 0;
    (void)gemini_member(o, "outputDimensionality", "output_dimensionality", &key);
    if (!member_int(o, at, key, 1, EMBED_DIMENSIONS_MAX, &n, err))
        return false;
    if (!first && n != c->request.dimensions)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, key,
                              "'%s.%s': all requests of a batch must ask for as many", at, key);
    c->request.dimensions = n;
    return true;
}

static bool read_one(struct dialect_call *c, const json_t *o, const char *at, size_t i,
                     struct chat_embed_input *out, struct dialect_error *err)
{
    return read_content(c, o, at, out, err) && read_dimensions(c, o, at, i == 0, err);
}

static bool read_single(const struct http_request *in, struct dialect_call *c,
                        struct dialect_error *err)
{
    c->request.model = arena_text(c->arena, in->matched);
    c->request.wire = "gemini";
    c->request.body = in->body;
    struct chat_embed_input *inputs = embed_inputs_new(c, 1, "content", err);
    return inputs && read_one(c, in->body, "", 0, inputs, err);
}

static bool read_batch(const struct http_request *in, struct dialect_call *c,
                       struct dialect_error *err)
{
    struct state *s = c->state;
    const json_t *list = NULL;
    s->batch = true;
    c->request.model = arena_text(c->arena, in->matched);
    c->request.wire = "gemini";
    c->request.body = in->body;
    if (!member_array(in->body, "", "requests", &list, err))
        return false;
    size_t n = json_array_size(list);
    struct chat_embed_input *inputs = embed_inputs_new(c, n, "requests", err);
    for (size_t i = 0; inputs && i < n; i++) {
        struct member_path at = member_path("", "requests", (int)i);
        if (!read_one(c, json_array_get(list, i), at.text, i, &inputs[i], err))
            return false;
    }
    return inputs;
}

// Writing

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    const struct state *s = c->state;
    buf_text_add(out, s->batch ? "{\"embeddings\":[" : "{\"embedding\":");
    for (size_t i = 0; i < a->n_choices; i++) {
        buf_text_add(out, i ? ",{\"values\":" : "{\"values\":");
        embed_write_floats(a->choices[i].embedding, a->choices[i].n_embedding, out);
        buf_char(out, '}');
    }
    buf_text_add(out, s->batch ? "]}" : "}");
}

static const struct dialect_route single_routes[] = {
    {"POST", "/v1beta/models/*:embedContent", DIALECT_CHAT},
    {"POST", "/v1/models/*:embedContent", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_gemini_embed = {
    .name = "gemini_embed",
    .routes = single_routes,
    .state_size = sizeof(struct state),
    .id_header = "x-request-id",
    .limits = LIMITS_NONE,
    .key_in_query = true,
    .read_request = read_single,
    .write_response = write_response,
    .write_error = gemini_write_error,
};

static const struct dialect_route batch_routes[] = {
    {"POST", "/v1beta/models/*:batchEmbedContents", DIALECT_CHAT},
    {"POST", "/v1/models/*:batchEmbedContents", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_gemini_embed_batch = {
    .name = "gemini_embed_batch",
    .routes = batch_routes,
    .state_size = sizeof(struct state),
    .id_header = "x-request-id",
    .limits = LIMITS_NONE,
    .key_in_query = true,
    .read_request = read_batch,
    .write_response = write_response,
    .write_error = gemini_write_error,
};
