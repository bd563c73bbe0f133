// remote_count.c - how many tokens a request may take of a model whose tokenizer nobody here has.
#include <string.h>

#include <jansson.h>

#include "providers/remote.h"

enum {
    NUMBER_BYTES = 24,
    MESSAGE_TOKENS = 16,  // what stands around a message
    MESSAGE_USUAL_TOKENS = 4,
    REQUEST_TOKENS = 32,
    TOOLS_TOKENS = 1024,   // what vendors say to a model that has tools
    TOOL_TOKENS = 64,      // around each
    IMAGE_TOKENS = 50000,  // the most that any vendor's rule gives
    IMAGE_USUAL_TOKENS = 1600,
    BYTES_PER_TOKEN = 4,  // of text, as it mostly is
};

struct counted {
    int64_t bytes;   // of everything that is text
    int64_t given;   // tokens that came as such
    int64_t around;  // that no text of ours stands for
    int64_t n_images;
};

static bool is_image(const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    return type && strcmp(type, "image_url") == 0;
}

// Keys and strings as they are, and what JSON puts between them.
static int64_t json_bytes(const json_t *v)
{
    const char *key;
    json_t *member;
    size_t i;
    int64_t n = 2;
    switch (json_typeof(v)) {
    case JSON_STRING: return n + (int64_t)json_string_length(v);
    case JSON_INTEGER:
    case JSON_REAL: return NUMBER_BYTES;
    case JSON_OBJECT:
        json_object_foreach((json_t *)v, key, member) n +=
            (int64_t)strlen(key) + 4 + json_bytes(member);
        return n;
    case JSON_ARRAY: json_array_foreach(v, i, member) n += 1 + json_bytes(member); return n;
    default: return 5;
    }
}

static void count_parts(struct counted *c, const json_t *parts)
{
    json_t *part;
    size_t i;
    json_array_foreach(parts, i, part)
    {
        if (is_image(part))
            c->n_images++;
        else
            c->bytes += json_bytes(part);
    }
}

// What a message has besides its text and parts: calls, names, thoughts.
static void count_raw(struct counted *c, const json_t *raw)
{
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)raw, key, member)
    {
        if (strcmp(key, "content") != 0 && strcmp(key, "role") != 0)
            c->bytes += (int64_t)strlen(key) + json_bytes(member);
    }
}

static void count_messages(struct counted *c, const struct chat_request *r)
{
    for (size_t i = 0; i < r->n_messages; i++) {
        const struct chat_message *m = &r->messages[i];
        c->around += MESSAGE_TOKENS;
        if (m->parts)
            count_parts(c, m->parts);
        else
            c->bytes += (int64_t)m->text.len;
        if (m->raw)
            count_raw(c, m->raw);
        if (m->blobs)
            c->bytes += json_bytes(m->blobs);
    }
    if (r->tools && r->tool_choice != TOOLS_NONE) {
        c->around += TOOLS_TOKENS + (int64_t)json_array_size(r->tools) * TOOL_TOKENS;
        c->bytes += json_bytes(r->tools);
    }
    if (r->constraint.schema)
        c->bytes += json_bytes(r->constraint.schema);
}

static struct counted count(const struct chat_request *r)
{
    struct counted c = {.around = REQUEST_TOKENS};
    switch (r->input) {
    case INPUT_MESSAGES: count_messages(&c, r); break;
    case INPUT_TEXT: c.bytes += (int64_t)r->text.len; break;
    case INPUT_TOKENS: c.given = (int64_t)r->n_tokens; break;
    case INPUT_EMBED:
        for (size_t i = 0; i < r->n_inputs; i++) {
            if (r->inputs[i].tokens)
                c.given += (int64_t)r->inputs[i].n_tokens;
            else
                c.bytes += (int64_t)r->inputs[i].text.len;
        }
        c.around += (int64_t)r->n_inputs * 2;  // a beginning and an end
        break;
    }
    return c;
}

int64_t remote_tokens_at_most(const struct chat_request *r)
{
    struct counted c = count(r);
    return c.bytes + c.given + c.around + c.n_images * IMAGE_TOKENS;
}

int64_t remote_tokens_about(const struct chat_request *r)
{
    struct counted c = count(r);
    int64_t around =
        (int64_t)r->n_messages * (r->input == INPUT_MESSAGES ? MESSAGE_USUAL_TOKENS : 0);
    return remote_tokens_of_bytes(c.bytes) + c.given + around + c.n_images * IMAGE_USUAL_TOKENS;
}

int64_t remote_tokens_of_bytes(int64_t bytes)
{
    return (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}
