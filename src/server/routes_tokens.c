// routes_tokens.c - POST /tokenize and /detokenize: what a model makes of a text, and back.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "dialects/members.h"
#include "gateway/gateway.h"
#include "server/impl.h"

enum { IDS_MAX = 1 << 22 };

// "prompt" (or "content") is a raw text; "messages" with what belongs to them a chat completion's.
static bool read_text(struct exchange *x, bool *plain, struct dialect_error *err)
{
    const json_t *o = x->json;
    struct chat_request *r = &x->call.request;
    struct http_request in = {.body = o};
    struct slice text = {0}, model = {0};
    bool add_special = true;
    if (json_object_get(o, "messages")) {
        x->call.state = arena_alloc(&x->arena, 1, dialect_openai_chat.state_size);
        return dialect_openai_chat.read_request(&in, &x->call, err);
    }
    if (!member_text(o, "", "model", &model, err) || !member_text(o, "", "content", &text, err) ||
        !member_text(o, "", "prompt", &text, err) ||
        !member_bool(o, "", "add_special_tokens", &add_special, err))
        return false;
    if (!text.ptr)
        return dialect_refuse(err, PROBLEM_REQUEST, "prompt", "'prompt' or 'messages' is missing");
    r->input = INPUT_TEXT;
    r->model = model.ptr;
    r->text = text;
    *plain = !add_special;
    return true;
}

static void reply_error(struct exchange *x, const struct error *why)
{
    struct dialect_error err = {0};
    (void)dialect_refuse_error(&err, why);
    exchange_refuse(x, &err);
}

// False: not now (loading.c), or with an error that was told.
static bool model_is_ready(struct exchange *x, const char *name)
{
    struct error why = {0};
    const char *model = work_model(x, name, &why);
    if (!model)
        reply_error(x, &why);
    return model && loading_ready(x, model);
}

static void write_ids(const int32_t *ids, size_t n, int context, struct buf *out)
{
    buf_printf(out, "{\"count\":%zu,\"max_model_len\":%d,\"tokens\":[", n, context);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        buf_int(out, ids[i]);
    }
    buf_text_add(out, "]}");
}

static void reply_buf(struct exchange *x, struct buf *body)
{
    exchange_reply(x, 200, "application/json", buf_view(body));
    buf_release(body);
}

void routes_tokenize(struct exchange *x)
{
    struct gateway *g = x->server->gateway;
    struct dialect_error err = {0};
    struct error why = {0};
    struct model_info info;
    struct buf body = {0};
    bool plain = false;
    int32_t *ids = NULL;
    size_t n = 0;
    if (!read_text(x, &plain, &err)) {
        exchange_refuse(x, &err);
        return;
    }
    if (!model_is_ready(x, x->call.request.model))
        return;
    if (gateway_describe(g, x->call.request.model, &info, &why) &&
        gateway_tokenize(g, &x->call.request, plain, &ids, &n, &why)) {
        write_ids(ids, n, info.context, &body);
        reply_buf(x, &body);
    } else {
        reply_error(x, &why);
    }
    free(ids);
}

static bool read_ids(const json_t *list, int32_t *ids, struct dialect_error *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct member_path p = member_path("tokens", "", (int)i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is not a token's id", p.text);
        ids[i] = (int32_t)json_integer_value(v);
    }
    return true;
}

static bool read_tokens(struct exchange *x, struct slice *model, const json_t **list,
                        struct dialect_error *err)
{
    if (!member_text(x->json, "", "model", model, err) ||
        !member_array(x->json, "", "tokens", list, err))
        return false;
    if (!*list || json_array_size(*list) > IDS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "tokens",
                              *list ? "'tokens' has too many entries" : "'tokens' is missing");
    return true;
}

void routes_detokenize(struct exchange *x)
{
    struct dialect_error err = {0};
    struct error why = {0};
    struct slice model = {0};
    const json_t *list = NULL;
    struct buf text = {0}, body = {0};
    if (!read_tokens(x, &model, &list, &err)) {
        exchange_refuse(x, &err);
        return;
    }
    if (!model_is_ready(x, model.ptr))
        return;
    int32_t *ids = memory_array(int32_t, json_array_size(list) + 1);
    if (!read_ids(list, ids, &err)) {
        exchange_refuse(x, &err);
    } else if (!gateway_detokenize(x->server->gateway, model.ptr, ids, json_array_size(list), &text,
                                   &why)) {
        reply_error(x, &why);
    } else {
        buf_text_add(&body, "{\"prompt\":");
        json_write_text(&body, buf_view(&text));
        buf_char(&body, '}');
        reply_buf(x, &body);
    }
    buf_release(&text);
    free(ids);
}
