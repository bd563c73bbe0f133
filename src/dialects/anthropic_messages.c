// anthropic_messages.c - reads system, messages and tools of a request to POST /v1/messages.
#include "base/buf.h"
#include "base/json.h"
#include "dialects/anthropic.h"
#include "dialects/members.h"
#include "dialects/turns.h"

enum { TOOLS_MAX = 1024 };

// One message while its blocks are read.
struct reading {
    struct turns *turns;
    bool assistant, user;  // or neither: system
    struct buf text, thoughts;
    json_t *calls;
};

static bool missing(const char *at, const char *key, struct dialect_error *err)
{
    struct member_path p = member_path(at, key, -1);
    return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
}

// A text that must be there.
static bool needed(const json_t *o, const char *at, const char *key, struct slice *value,
                   struct dialect_error *err)
{
    *value = slice_of(NULL, 0);
    return member_text(o, at, key, value, err) && (value->ptr || missing(at, key, err));
}

static bool unsupported(const char *at, struct slice type, struct dialect_error *err)
{
    return dialect_refuse(err, PROBLEM_UNSUPPORTED, at,
                          "'%s': blocks of type %.*s are not supported", at,
                          (int)(type.len < 40 ? type.len : 40), type.ptr);
}

static bool block_type(const json_t *block, const char *at, struct slice *type,
                       struct dialect_error *err)
{
    if (!json_is_object(block))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(block));
    return needed(block, at, "type", type, err);
}

static void add_text(struct buf *to, struct slice text)
{
    if (to->len && text.len)
        buf_char(to, '\n');
    buf_slice(to, text);
}

// A text, or blocks of type text, joined by line ends.
static bool read_texts(const json_t *value, const char *at, struct buf *out,
                       struct dialect_error *err)
{
    struct slice type, text;
    if (json_is_string(value)) {
        buf_slice(out, json_slice(value));
        return true;
    }
    if (!json_is_array(value))
        return dialect_refuse(err, PROBLEM_REQUEST, at,
                              "'%s' must be a string or an array of blocks, not %s", at,
                              member_type(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *block = json_array_get(value, i);
        struct member_path p = member_path(at, "", (int)i);
        if (!block_type(block, p.text, &type, err))
            return false;
        if (!slice_is(type, "text"))
            return unsupported(p.text, type, err);
        if (!needed(block, p.text, "text", &text, err))
            return false;
        add_text(out, text);
    }
    return true;
}

static bool read_tool_use(struct reading *r, const json_t *block, const char *at,
                          struct dialect_error *err)
{
    struct slice id, name;
    const json_t *input = NULL;
    if (!needed(block, at, "id", &id, err) || !needed(block, at, "name", &name, err) ||
        !member_object(block, at, "input", &input, err))
        return false;
    turns_call(r->turns, r->calls, id.ptr, name.ptr, input);
    return true;
}

static bool read_tool_result(struct reading *r, const json_t *block, const char *at,
                             struct dialect_error *err)
{
    struct slice id;
    struct buf text = {0};
    const json_t *content = json_object_get(block, "content");
    struct member_path p = member_path(at, "content", -1);
    if (!needed(block, at, "tool_use_id", &id, err))
        return false;
    bool ok = !content || json_is_null(content) || read_texts(content, p.text, &text, err);
    struct arena *a = r->turns->c->arena;
    if (ok)
        turns_result(r->turns, id.ptr, NULL, slice_of(arena_text(a, buf_view(&text)), text.len));
    buf_release(&text);
    return ok;
}

static bool read_block(struct reading *r, const json_t *block, const char *at,
                       struct dialect_error *err)
{
    struct slice type, text;
    if (!block_type(block, at, &type, err))
        return false;
    if (slice_is(type, "text")) {
        if (!needed(block, at, "text", &text, err))
            return false;
        add_text(&r->text, text);
        return true;
    }
    if (r->assistant && slice_is(type, "tool_use"))
        return read_tool_use(r, block, at, err);
    if (r->assistant && slice_is(type, "thinking")) {
        if (!needed(block, at, "thinking", &text, err))
            return false;
        add_text(&r->thoughts, text);
        return true;
    }
    if (r->assistant && slice_is(type, "redacted_thinking"))
        return true;  // thoughts that only their author can read
    if (r->user && slice_is(type, "tool_result"))
        return read_tool_result(r, block, at, err);
    return unsupported(at, type, err);
}

static struct slice kept(const struct reading *r, const struct buf *b)
{
    return slice_of(arena_text(r->turns->c->arena, buf_view(b)), b->len);
}

static bool read_content(struct reading *r, const json_t *content, const char *at,
                         struct dialect_error *err)
{
    if (json_is_string(content)) {
        buf_slice(&r->text, json_slice(content));
        return true;
    }
    if (!json_is_array(content))
        return dialect_refuse(err, PROBLEM_REQUEST, at,
                              "'%s' must be a string or an array of blocks, not %s", at,
                              member_type(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        struct member_path p = member_path(at, "", (int)i);
        if (!read_block(r, json_array_get(content, i), p.text, err))
            return false;
    }
    return true;
}

static bool read_message(struct turns *t, const json_t *m, const char *at,
                         struct dialect_error *err)
{
    struct slice role;
    struct member_path p = member_path(at, "content", -1);
    struct reading r = {.turns = t};
    size_t before = t->n;
    if (!json_is_object(m))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(m));
    if (!needed(m, at, "role", &role, err))
        return false;
    r.assistant = slice_is(role, "assistant");
    r.user = slice_is(role, "user");
    if (!r.assistant && !r.user && !slice_is(role, "system")) {
        p = member_path(at, "role", -1);
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is not user, assistant or system",
                              p.text);
    }
    r.calls = json_array();
    bool ok = read_content(&r, json_object_get(m, "content"), p.text, err);
    if (ok && r.assistant)
        turns_assistant(t, kept(&r, &r.text), kept(&r, &r.thoughts), json_incref(r.calls));
    else if (ok && (r.text.len || t->n == before))  // results of tools need no text beside them
        turns_text(t, r.user ? ROLE_USER : ROLE_SYSTEM, kept(&r, &r.text));
    json_decref(r.calls);
    buf_release(&r.text);
    buf_release(&r.thoughts);
    return ok;
}

static bool read_system(struct turns *t, const json_t *body, struct dialect_error *err)
{
    const json_t *system = json_object_get(body, "system");
    struct buf text = {0};
    if (!system || json_is_null(system))
        return true;
    bool ok = read_texts(system, "system", &text, err);
    if (ok && text.len)
        turns_text(t, ROLE_SYSTEM, slice_of(arena_text(t->c->arena, buf_view(&text)), text.len));
    buf_release(&text);
    return ok;
}

bool anthropic_messages(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *list = NULL;
    struct turns t;
    turns_init(&t, c);
    if (!member_array(body, "", "messages", &list, err))
        return false;
    if (json_array_size(list) == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, "messages", "'messages' is missing or empty");
    if (json_array_size(list) > TURNS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "messages",
                              "'messages' has more than %d entries", TURNS_MAX);
    if (!read_system(&t, body, err))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct member_path p = member_path("messages", "", (int)i);
        if (!read_message(&t, json_array_get(list, i), p.text, err))
            return false;
    }
    return turns_end(&t, "messages", err);
}

static bool read_tool(json_t *tools, const json_t *tool, const char *at, struct dialect_error *err)
{
    struct slice name, type = slice_str("custom");
    const json_t *schema = NULL;
    bool strict = false;
    if (!json_is_object(tool))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(tool));
    if (!member_text(tool, at, "type", &type, err))
        return false;
    if (!slice_is(type, "custom"))
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, at,
                              "'%s': tools of type %.*s, which a server runs, are not supported",
                              at, (int)(type.len < 40 ? type.len : 40), type.ptr);
    if (!needed(tool, at, "name", &name, err) ||
        !member_object(tool, at, "input_schema", &schema, err))
        return false;
    if (!schema)
        return missing(at, "input_schema", err);
    if (!member_bool(tool, at, "strict", &strict, err))
        return false;
    json_t *made = turns_tool(name.ptr, json_object_get(tool, "description"), schema);
    if (strict)
        json_object_set_new(json_object_get(made, "function"), "strict", json_true());
    json_array_append_new(tools, made);
    return true;
}

static bool names_tool(const json_t *tools, struct slice name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (slice_eq(json_slice(json_object_get(function, "name")), name))
            return true;
    }
    return false;
}

static bool read_choice(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *choice = NULL;
    struct chat_request *r = &c->request;
    struct slice type, name;
    if (!member_object(body, "", "tool_choice", &choice, err))
        return false;
    if (!choice)
        return true;
    if (!needed(choice, "tool_choice", "type", &type, err) ||
        !member_bool(choice, "tool_choice", "disable_parallel_tool_use", &r->one_tool_call, err))
        return false;
    if (slice_is(type, "none"))
        r->tool_choice = TOOLS_NONE;
    else if (slice_is(type, "any"))
        r->tool_choice = TOOLS_REQUIRED;
    else if (slice_is(type, "tool"))
        r->tool_choice = TOOLS_NAMED;
    else if (!slice_is(type, "auto"))
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice.type",
                              "'tool_choice.type' is not auto, any, tool or none");
    if (r->tool_choice == TOOLS_REQUIRED && !r->tools)
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice",
                              "'tool_choice' wants a tool, but there are no 'tools'");
    if (r->tool_choice != TOOLS_NAMED)
        return true;
    if (!needed(choice, "tool_choice", "name", &name, err))
        return false;
    r->tool_name = name.ptr;
    return names_tool(r->tools, name) || dialect_refuse(err, PROBLEM_REQUEST, "tool_choice.name",
                                                        "'tool_choice.name' is none of 'tools'");
}

bool anthropic_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *list = NULL;
    if (!member_array(body, "", "tools", &list, err))
        return false;
    size_t n = json_array_size(list);
    if (n > TOOLS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "tools",
                              "'tools' has %zu entries, more than %d", n, TOOLS_MAX);
    json_t *tools = dialect_keep(c, json_array());
    for (size_t i = 0; i < n; i++) {
        struct member_path p = member_path("tools", "", (int)i);
        if (!read_tool(tools, json_array_get(list, i), p.text, err))
            return false;
    }
    c->request.tools = n ? tools : NULL;
    return read_choice(c, body, err);
}
