#include "gateway/need.h"

#include <jansson.h>

#include "base/hash.h"
#include "base/json.h"
#include "providers/remote.h"

enum { PREFIX_BYTES = 1024 };

static bool has_images(const struct chat_request *req)
{
    for (size_t i = 0; i < req->n_messages; i++) {
        const json_t *parts = req->messages[i].parts;
        for (size_t k = 0; k < json_array_size(parts); k++) {
            const char *type = json_get_text(json_array_get(parts, k), "type");
            if (!type || strcmp(type, "text") != 0)
                return true;
        }
    }
    return false;
}

static uint64_t prefix_of(const struct chat_request *req)
{
    uint64_t h = 1;
    for (size_t i = 0; i < req->n_messages && i < 2; i++)
        h = hash_bytes(req->messages[i].text.ptr, req->messages[i].text.len, h);
    if (req->input == INPUT_TEXT && req->text.len)
        h = hash_bytes(req->text.ptr, req->text.len < PREFIX_BYTES ? req->text.len : PREFIX_BYTES,
                       h);
    return h ? h : 1;
}

static void add_tokens(const struct chat_request *req, struct need *out)
{
    out->tokens_most += remote_tokens_at_most(req);
    out->tokens_guess += remote_tokens_about(req) * 4 / 3;
}

void need_of(const struct chat_request *req, struct need *out)
{
    *out = (struct need){
        .tools = json_array_size(req->tools) > 0 && req->tool_choice != TOOLS_NONE,
        .schema = req->constraint.kind != CONSTRAINT_NONE,
        .vision = has_images(req),
        .prefix = prefix_of(req),
    };
    if (req->n_prompts < 2)
        add_tokens(req, out);
    for (size_t i = 0; i < req->n_prompts && req->n_prompts > 1; i++) {
        const struct chat_prompt *p = &req->prompts[i];
        struct chat_request one = {
            .input = p->input, .text = p->text, .tokens = p->tokens, .n_tokens = p->n_tokens};
        add_tokens(&one, out);
    }
}
