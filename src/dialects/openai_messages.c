#include "dialects/openai_messages.h"

#include "base/buf.h"
#include "base/json.h"
#include "dialects/dialect.h"
#include "dialects/members.h"

enum { MESSAGES_MAX = 16384, TOOLS_MAX = 1024 };

static bool read_role(const json_t *m, const char *at, enum chat_role *role,
                      struct dialect_error *err)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } roles[] = {{"user", ROLE_USER}, {"assistant", ROLE_ASSISTANT}, {"system", ROLE_SYSTEM},
                 {"tool", ROLE_TOOL}, {"developer", ROLE_DEVELOPER}, {"function", ROLE_TOOL}};
    struct slice name = {0};
    struct member_path p = member_path(at, "role", -1);
    if (!member_text(m, at, "role", &name, err))
        return false;
    if (!name.ptr)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (slice_is(name, roles[i].name)) {
            *role = roles[i].role;
            return true;
        }
    }
    return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                          "'%s' is not system, developer, user, assistant or tool", p.text);
}

// What stands beside texts: its member, and what that must hold if it is an object.
static bool check_media(const json_t *part, const char *at, struct slice type, bool *known,
                        struct dialect_error *err)
{
    static const struct {
        const char *type, *needs;
    } kinds[] = {{"image_url", "url"}, {"input_audio", "data"}, {"file", NULL}};
    *known = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *o = NULL;
        struct slice text = {0};
        struct member_path p = member_path(at, kinds[i].type, -1);
        if (!slice_is(type, kinds[i].type))
            continue;
        *known = true;
        if (!member_object(part, at, kinds[i].type, &o, err) ||
            (kinds[i].needs && !member_text(o, p.text, kinds[i].needs, &text, err)))
            return false;
        return (o && (text.len || !kinds[i].needs)) ||
               dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s%s%s' is missing", p.text,
                              kinds[i].needs ? "." : "", kinds[i].needs ? kinds[i].needs : "");
    }
    return true;
}

// *mixed is set if the part is more than its text.
static bool add_part(const json_t *part, const char *at, struct buf *text, bool *mixed,
                     struct dialect_error *err)
{
    struct slice type = {0}, s = {0};
    struct member_path p = member_path(at, "type", -1);
    bool media;
    if (!json_is_object(part))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(part));
    if (!member_text(part, at, "type", &type, err) || !check_media(part, at, type, &media, err))
        return false;
    *mixed = *mixed || media || json_is_object(json_object_get(part, "cache_control"));
    if (media)
        return true;
    bool refusal = slice_is(type, "refusal");
    if (!slice_is(type, "text") && !refusal)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, p.text,
                              "'%s': only parts of type text are supported", p.text);
    if (!member_text(part, at, refusal ? "refusal" : "text", &s, err))
        return false;
    p = member_path(at, refusal ? "refusal" : "text", -1);
    if (!s.ptr)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
    buf_slice(text, s);
    return true;
}

// A text, an array of parts whose texts are joined, or nothing.
static bool read_content(struct dialect_call *c, const json_t *m, const char *at, bool needed,
                         struct chat_message *out, struct dialect_error *err)
{
    const json_t *v = json_object_get(m, "content");
    struct member_path p = member_path(at, "content", -1);
    struct buf text = {0};
    bool ok = true, mixed = false;
    out->text = slice_str("");
    if (json_is_string(v)) {
        out->text = json_slice(v);
        return true;
    }
    if (!v || json_is_null(v))
        return !needed || dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
    if (!json_is_array(v))
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'%s' must be a string or an array of parts, not %s", p.text,
                              member_type(v));
    for (size_t i = 0; ok && i < json_array_size(v); i++) {
        struct member_path part = member_path(at, "content", (int)i);
        ok = add_part(json_array_get(v, i), part.text, &text, &mixed, err);
    }
    if (ok)
        out->text = slice_of(arena_text(c->arena, buf_view(&text)), text.len);
    if (mixed)
        out->parts = v;
    buf_release(&text);
    return ok;
}

// A call as templates want it: the arguments as an object instead of its text.
static bool copy_tool_call(const json_t *call, const char *at, json_t *list,
                           struct dialect_error *err)
{
    const json_t *function = NULL;
    struct slice name = {0}, arguments = {0};
    struct member_path p = member_path(at, "function", -1);
    if (!json_is_object(call))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(call));
    if (!member_object(call, at, "function", &function, err) ||
        !member_text(function, p.text, "name", &name, err) ||
        !member_text(function, p.text, "arguments", &arguments, err))
        return false;
    if (!name.ptr)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s.name' is missing", p.text);
    json_t *copy = json_copy((json_t *)call);
    json_t *inner = json_copy((json_t *)function);
    json_t *parsed = arguments.len ? json_parse(arguments, NULL) : json_object();
    if (json_is_object(parsed))
        json_object_set(inner, "arguments", parsed);
    json_decref(parsed);
    json_object_set_new(copy, "function", inner);
    json_array_append_new(list, copy);
    return true;
}

static bool copy_tool_calls(const json_t *m, const char *at, json_t *copy,
                            struct dialect_error *err)
{
    const json_t *calls = NULL;
    if (!member_array(m, at, "tool_calls", &calls, err))
        return false;
    if (!calls)
        return true;
    json_t *list = json_array();
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(calls); i++) {
        struct member_path p = member_path(at, "tool_calls", (int)i);
        ok = copy_tool_call(json_array_get(calls, i), p.text, list, err);
    }
    json_object_set_new(copy, "tool_calls", list);
    return ok;
}

// Members beside role and content that templates look at.
static bool read_raw(struct dialect_call *c, const json_t *m, const char *at,
                     struct chat_message *out, struct dialect_error *err)
{
    static const char *const texts[] = {"name", "tool_call_id", "reasoning_content"};
    const json_t *v = json_object_get(m, "tool_calls");
    bool wanted = v && !json_is_null(v);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct slice ignored = {0};
        if (!member_text(m, at, texts[i], &ignored, err))
            return false;
        wanted = wanted || ignored.ptr;
    }
    if (!wanted)
        return true;
    json_t *copy = dialect_keep(c, json_object());
    json_object_set(copy, "role", json_object_get(m, "role"));
    json_object_set_new(copy, "content", json_stringn_nocheck(out->text.ptr, out->text.len));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (json_is_string(json_object_get(m, texts[i])))
            json_object_set(copy, texts[i], json_object_get(m, texts[i]));
    out->raw = copy;
    return copy_tool_calls(m, at, copy, err);
}

static bool read_message(struct dialect_call *c, const json_t *m, const char *at,
                         struct chat_message *out, struct dialect_error *err)
{
    if (!json_is_object(m))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(m));
    return read_role(m, at, &out->role, err) &&
           read_content(c, m, at, out->role != ROLE_ASSISTANT, out, err) &&
           read_raw(c, m, at, out, err);
}

bool openai_messages(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *list = NULL;
    if (!member_array(body, "", "messages", &list, err))
        return false;
    size_t n = json_array_size(list);
    if (n == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, "messages", "'messages' is %s",
                              list ? "empty" : "missing");
    if (n > MESSAGES_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "messages",
                              "'messages' has %zu entries, more than %d", n, MESSAGES_MAX);
    struct chat_message *messages = arena_new(c->arena, struct chat_message, n);
    for (size_t i = 0; i < n; i++) {
        struct member_path p = member_path("messages", "", (int)i);
        if (!read_message(c, json_array_get(list, i), p.text, &messages[i], err))
            return false;
    }
    c->request.input = INPUT_MESSAGES;
    c->request.messages = messages;
    c->request.n_messages = n;
    return true;
}

static bool check_tool(const json_t *tool, const char *at, struct dialect_error *err)
{
    const json_t *function = NULL;
    struct slice type = slice_str("function"), name = {0};
    struct member_path p = member_path(at, "function", -1);
    if (!json_is_object(tool))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(tool));
    if (!member_text(tool, at, "type", &type, err) ||
        !member_object(tool, at, "function", &function, err) ||
        !member_text(function, p.text, "name", &name, err))
        return false;
    if (!slice_is(type, "function"))
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, at, "'%s.type': only function is supported",
                              at);
    return name.len > 0 ||
           dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s.name' is missing", p.text);
}

static bool has_tool(const json_t *tools, struct slice name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (slice_eq(json_slice(json_object_get(function, "name")), name))
            return true;
    }
    return false;
}

static bool read_named_choice(struct dialect_call *c, const json_t *choice,
                              struct dialect_error *err)
{
    const json_t *function = NULL;
    struct slice name = {0};
    if (!member_object(choice, "tool_choice", "function", &function, err) ||
        !member_text(function, "tool_choice.function", "name", &name, err))
        return false;
    if (!name.ptr || !has_tool(c->request.tools, name))
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice.function.name",
                              "'tool_choice.function.name' is none of 'tools'");
    c->request.tool_choice = TOOLS_NAMED;
    c->request.tool_name = name.ptr;
    return true;
}

// Of the tools those that a list names; the others are as if they were not there.
static bool keep_allowed(struct dialect_call *c, const json_t *list, struct dialect_error *err)
{
    json_t *kept = dialect_keep(c, json_array());
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *function = json_object_get(json_array_get(list, i), "function");
        const json_t *name = json_object_get(function, "name");
        struct member_path p = member_path("tool_choice.allowed_tools", "tools", (int)i);
        if (!json_is_string(name) || !has_tool(c->request.tools, json_slice(name)))
            return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is none of 'tools'", p.text);
    }
    for (size_t i = 0; i < json_array_size(c->request.tools); i++) {
        json_t *tool = json_array_get(c->request.tools, i);
        const json_t *name = json_object_get(json_object_get(tool, "function"), "name");
        if (has_tool(list, json_slice(name)))
            json_array_append(kept, tool);
    }
    c->request.tools = kept;
    c->request.known_tools = true;
    return true;
}

static bool read_allowed_choice(struct dialect_call *c, const json_t *choice,
                                struct dialect_error *err)
{
    static const char at[] = "tool_choice.allowed_tools";
    const json_t *allowed = NULL, *list = NULL;
    struct slice mode = slice_str("auto");
    if (!member_object(choice, "tool_choice", "allowed_tools", &allowed, err) ||
        !member_text(allowed, at, "mode", &mode, err) ||
        !member_array(allowed, at, "tools", &list, err))
        return false;
    if (json_array_size(list) == 0 || json_array_size(list) > TOOLS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice.allowed_tools.tools",
                              "'%s.tools' is not a list of 1 to %d tools", at, TOOLS_MAX);
    if (slice_is(mode, "required"))
        c->request.tool_choice = TOOLS_REQUIRED;
    else if (!slice_is(mode, "auto"))
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice.allowed_tools.mode",
                              "'%s.mode' is not auto or required", at);
    return keep_allowed(c, list, err);
}

static bool read_choice(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *choice = json_object_get(body, "tool_choice");
    if (!choice || json_is_null(choice))
        return true;
    if (json_is_object(choice) && json_object_get(choice, "allowed_tools"))
        return read_allowed_choice(c, choice, err);
    if (json_is_object(choice))
        return read_named_choice(c, choice, err);
    if (!json_is_string(choice))
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice",
                              "'tool_choice' must be a string or an object, not %s",
                              member_type(choice));
    struct slice word = json_slice(choice);
    if (slice_is(word, "none"))
        c->request.tool_choice = TOOLS_NONE;
    else if (slice_is(word, "required"))
        c->request.tool_choice = TOOLS_REQUIRED;
    else if (!slice_is(word, "auto"))
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice",
                              "'tool_choice' is not none, auto, required or a named function");
    if (c->request.tool_choice == TOOLS_REQUIRED && !c->request.tools)
        return dialect_refuse(err, PROBLEM_REQUEST, "tool_choice",
                              "'tool_choice' is required, but there are no 'tools'");
    return true;
}

bool openai_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *tools = NULL;
    bool parallel = true;
    if (!member_array(body, "", "tools", &tools, err) ||
        !member_bool(body, "", "parallel_tool_calls", &parallel, err))
        return false;
    size_t n = json_array_size(tools);
    if (n > TOOLS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "tools",
                              "'tools' has %zu entries, more than %d", n, TOOLS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct member_path p = member_path("tools", "", (int)i);
        if (!check_tool(json_array_get(tools, i), p.text, err))
            return false;
    }
    c->request.tools = n ? tools : NULL;
    c->request.one_tool_call = !parallel;
    return read_choice(c, body, err);
}
