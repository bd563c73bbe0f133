#include "gateway/need.h"

#include <jansson.h>

#include "base/hash.h"
#include "base/json.h"

enum { BYTES_A_TOKEN = 3, DEPTH_MAX = 256, IMAGE_TOKENS_GUESS = 1024 };

// Bytes of all names and texts in a value: at least what any template or wire format shows of it.
static int64_t json_bytes(const json_t *v, int depth)
{
    int64_t n = 8;  // brackets, commas, numbers
    const char *key;
    json_t *item;
    size_t i;
    if (depth > DEPTH_MAX)
        return n;
    if (json_is_string(v))
        return n + (int64_t)json_string_length(v);
    if (json_is_number(v))
        return n + 24;
    json_object_foreach((json_t *)v, key, item) n +=
        (int64_t)strlen(key) + 8 + json_bytes(item, depth + 1);
    json_array_foreach(v, i, item) n += json_bytes(item, depth + 1);
    return n;
}

static int count_images(const json_t *parts)
{
    int n = 0;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const char *type = json_get_text(json_array_get(parts, i), "type");
        n += !type || strcmp(type, "text") != 0;
    }
    return n;
}

struct sum {
    int64_t bytes, images, messages;
};

static void add_message(const struct chat_message *m, struct sum *s)
{
    s->messages++;
    s->bytes += (int64_t)m->text.len;
    s->images += count_images(m->parts);
    if (!m->raw)
        return;
    static const char *const members[] = {"tool_calls", "tool_call_id", "name",
                                          "reasoning_content"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const json_t *v = json_object_get(m->raw, members[i]);
        s->bytes += v ? json_bytes(v, 0) : 0;
    }
}

static uint64_t prefix_of(const struct chat_request *req)
{
    uint64_t h = 1;
    for (size_t i = 0; i < req->n_messages && i < 2; i++)
        h = hash_bytes(req->messages[i].text.ptr, req->messages[i].text.len, h);
    if (!req->n_messages && req->input == INPUT_TEXT && req->text.len)
        h = hash_bytes(req->text.ptr, req->text.len < 1024 ? req->text.len : 1024, h);
    return h ? h : 1;
}

void need_of(const struct chat_request *req, struct need *out)
{
    struct sum s = {0};
    int64_t ids = req->input == INPUT_TOKENS ? (int64_t)req->n_tokens : 0;
    for (size_t i = 0; i < req->n_messages; i++)
        add_message(&req->messages[i], &s);
    if (req->input == INPUT_TEXT)
        s.bytes += (int64_t)req->text.len;
    for (size_t i = 0; i < req->n_prompts; i++) {
        s.bytes += (int64_t)req->prompts[i].text.len;
        ids += (int64_t)req->prompts[i].n_tokens;
    }
    for (size_t i = 0; i < req->n_inputs; i++) {
        s.bytes += (int64_t)req->inputs[i].text.len;
        ids += (int64_t)req->inputs[i].n_tokens;
        s.messages++;
    }
    if (req->tools)
        s.bytes += json_bytes(req->tools, 0);
    if (req->constraint.schema)
        s.bytes += json_bytes(req->constraint.schema, 0);
    *out = (struct need){
        .tokens_most = s.bytes + ids + s.messages * MESSAGE_TOKENS_MAX +
                       s.images * IMAGE_TOKENS_MAX + REQUEST_TOKENS_MAX,
        .tokens_guess = (s.bytes + BYTES_A_TOKEN - 1) / BYTES_A_TOKEN + ids + s.messages * 4 +
                        s.images * IMAGE_TOKENS_GUESS,
        .tools = json_array_size(req->tools) > 0 && req->tool_choice != TOOLS_NONE,
        .schema = req->constraint.kind != CONSTRAINT_NONE,
        .vision = s.images > 0,
        .prefix = prefix_of(req),
    };
}
