// openai_responses_input.c - reads the items and tools of a request to POST /v1/responses.
//
// Items become the messages that chat templates know: thoughts, text and calls that follow each
// other are one message of the assistant's. What only a server with a memory, or with tools of its
// own, could answer is refused by its type.
#include "base/buf.h"
#include "base/json.h"
#include "dialects/dialect.h"
#include "dialects/members.h"
#include "dialects/openai_messages.h"
#include "dialects/openai_responses.h"
#include "dialects/turns.h"

enum { TOOLS_MAX = 1024 };

struct reading {
    struct turns turns;
    struct buf text, thoughts;  // of the assistant's message that is being put together
    json_t *calls;
    bool spoken;  // there is one, even if its text is empty
};

// A text that must be there.
static bool needed(const json_t *o, const char *at, const char *key, struct slice *value,
                   struct dialect_error *err)
{
    struct member_path p = member_path(at, key, -1);
    *value = slice_of(NULL, 0);
    return member_text(o, at, key, value, err) &&
           (value->ptr || dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text));
}

static bool is_object(const json_t *value, const char *at, struct dialect_error *err)
{
    return json_is_object(value) ||
           dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                          member_type(value));
}

static bool unsupported(const char *at, const char *what, struct slice type,
                        struct dialect_error *err)
{
    struct member_path p = member_path(at, "type", -1);
    return dialect_refuse(err, PROBLEM_UNSUPPORTED, p.text, "'%s': %s '%.*s' are not supported",
                          p.text, what, (int)(type.len < 40 ? type.len : 40), type.ptr);
}

// What a message or a tool says in parts.
struct content {
    struct dialect_call *c;
    struct buf *text;
    json_t *parts;  // OpenAI's, as chat completions have them; NULL: only texts are taken
    bool mixed;     // there are others
};

// {"type":"input_image","image_url"} and {"type":"input_file","filename","file_data"} as parts;
// NULL if it is neither, or is stored with the vendor.
static json_t *media_part(const json_t *part, struct slice type)
{
    const char *url = json_get_text(part, "image_url"), *data = json_get_text(part, "file_data");
    const char *name = json_get_text(part, "filename");
    json_t *made = NULL, *detail = json_object_get(part, "detail");
    if (slice_is(type, "input_image") && url && *url) {
        made = turns_image_part(slice_str(url));
        if (json_is_string(detail))
            json_object_set(json_object_get(made, "image_url"), "detail", detail);
    } else if (slice_is(type, "input_file") && data && *data) {
        made = turns_file_part(slice_str(name ? name : ""), slice_str(data));
    }
    return made;
}

static bool add_part(const json_t *part, const char *at, struct content *out,
                     struct dialect_error *err)
{
    static const char *const kinds[] = {"input_text", "output_text", "text", "summary_text",
                                        "reasoning_text"};
    struct slice type, text;
    if (!is_object(part, at, err) || !needed(part, at, "type", &type, err))
        return false;
    bool refusal = slice_is(type, "refusal"), known = refusal;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        known = known || slice_is(type, kinds[i]);
    json_t *media = known || !out->parts ? NULL : media_part(part, type);
    if (media) {
        dialect_note_media(out->c, at, "type");
        json_array_append_new(out->parts, media);
        out->mixed = true;
        return true;
    }
    if (!known)
        return unsupported(at, "parts of type", type, err);
    if (!needed(part, at, refusal ? "refusal" : "text", &text, err))
        return false;
    buf_slice(out->text, text);
    if (out->parts)
        json_array_append_new(out->parts, turns_text_part(text));
    return true;
}

// A text, or parts whose texts are joined.
static bool read_content(const json_t *o, const char *at, const char *key, struct content *out,
                         struct dialect_error *err)
{
    const json_t *v = json_object_get(o, key);
    struct member_path p = member_path(at, key, -1);
    if (json_is_string(v)) {
        buf_slice(out->text, json_slice(v));
        return true;
    }
    if (!v || json_is_null(v))
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
    if (!json_is_array(v))
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'%s' must be a string or an array of parts, not %s", p.text,
                              member_type(v));
    for (size_t i = 0; i < json_array_size(v); i++) {
        struct member_path part = member_path(at, key, (int)i);
        if (!add_part(json_array_get(v, i), part.text, out, err))
            return false;
    }
    return true;
}

static bool read_texts(const json_t *o, const char *at, const char *key, struct buf *out,
                       struct dialect_error *err)
{
    return read_content(o, at, key, &(struct content){.text = out}, err);
}

static struct slice kept(const struct reading *r, const struct buf *b)
{
    return slice_of(arena_text(r->turns.c->arena, buf_view(b)), b->len);
}

// Ends the assistant's message.
static void end_message(struct reading *r)
{
    if (r->spoken)
        turns_assistant(&r->turns, kept(r, &r->text), kept(r, &r->thoughts), r->calls, NULL, NULL);
    else
        json_decref(r->calls);
    r->calls = json_array();
    r->spoken = false;
    buf_clear(&r->text);
    buf_clear(&r->thoughts);
}

static bool read_message(struct reading *r, const json_t *item, const char *at,
                         struct dialect_error *err)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } roles[] = {{"user", ROLE_USER}, {"system", ROLE_SYSTEM}, {"developer", ROLE_DEVELOPER}};
    struct slice role;
    struct member_path p = member_path(at, "role", -1);
    struct buf text = {0};
    if (!needed(item, at, "role", &role, err))
        return false;
    if (slice_is(role, "assistant")) {
        if (json_array_size(r->calls) > 0)  // a text after calls is another message
            end_message(r);
        if (r->text.len)
            buf_char(&r->text, '\n');
        r->spoken = true;
        return read_texts(item, at, "content", &r->text, err);
    }
    size_t i = 0, n = sizeof roles / sizeof *roles;
    while (i < n && !slice_is(role, roles[i].name))
        i++;
    if (i == n)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'%s' is not user, assistant, system or developer", p.text);
    end_message(r);
    struct content said = {
        .c = r->turns.c, .text = &text, .parts = dialect_keep(r->turns.c, json_array())};
    bool ok = read_content(item, at, "content", &said, err);
    if (ok)
        turns_text(&r->turns, roles[i].role, kept(r, &text), said.mixed ? said.parts : NULL);
    buf_release(&text);
    return ok;
}

// Thoughts come before what was said after them. Those that only their author can read are left.
static bool read_reasoning(struct reading *r, const json_t *item, const char *at,
                           struct dialect_error *err)
{
    const json_t *content = NULL, *summary = NULL;
    if (!member_array(item, at, "content", &content, err) ||
        !member_array(item, at, "summary", &summary, err))
        return false;
    if (r->spoken)
        end_message(r);
    if (json_array_size(content) > 0)
        return read_texts(item, at, "content", &r->thoughts, err);
    return json_array_size(summary) == 0 || read_texts(item, at, "summary", &r->thoughts, err);
}

static bool read_call(struct reading *r, const json_t *item, const char *at,
                      struct dialect_error *err)
{
    struct slice id, name, arguments;
    if (!needed(item, at, "call_id", &id, err) || !needed(item, at, "name", &name, err) ||
        !needed(item, at, "arguments", &arguments, err))
        return false;
    json_t *parsed = arguments.len ? turns_arguments(arguments) : json_object();
    turns_call(&r->turns, r->calls, id.ptr, name.ptr,
               parsed ? parsed : json_object_get(item, "arguments"));
    json_decref(parsed);
    r->spoken = true;
    return true;
}

static bool read_result(struct reading *r, const json_t *item, const char *at,
                        struct dialect_error *err)
{
    struct slice id;
    struct buf text = {0};
    if (!needed(item, at, "call_id", &id, err))
        return false;
    end_message(r);
    struct content said = {
        .c = r->turns.c, .text = &text, .parts = dialect_keep(r->turns.c, json_array())};
    bool ok = read_content(item, at, "output", &said, err);
    struct chat_message *m = ok ? turns_result(&r->turns, id.ptr, NULL, kept(r, &text)) : NULL;
    if (m && said.mixed)
        m->parts = said.parts;
    buf_release(&text);
    return ok;
}

static bool read_item(struct reading *r, const json_t *item, const char *at,
                      struct dialect_error *err)
{
    static const struct {
        const char *type;
        bool (*read)(struct reading *r, const json_t *item, const char *at,
                     struct dialect_error *err);
    } kinds[] = {{"message", read_message},
                 {"reasoning", read_reasoning},
                 {"function_call", read_call},
                 {"function_call_output", read_result}};
    struct slice type = slice_str("message");
    if (!is_object(item, at, err) || !member_text(item, at, "type", &type, err))
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (slice_is(type, kinds[i].type))
            return kinds[i].read(r, item, at, err);
    return unsupported(at, "items of type", type, err);
}

static bool read_items(struct reading *r, const json_t *list, struct dialect_error *err)
{
    size_t n = json_array_size(list);
    if (n == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, "input", "'input' is empty");
    if (n > TURNS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "input", "'input' has %zu items, more than %d",
                              n, TURNS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct member_path p = member_path("input", "", (int)i);
        if (!read_item(r, json_array_get(list, i), p.text, err))
            return false;
    }
    end_message(r);
    return true;
}

// Instructions are the model's first message, together with one that the items begin with: many
// templates take only one before the user's.
static void add_instructions(struct reading *r, const json_t *input, struct slice text)
{
    const char *role = json_get_text(json_array_get(input, 0), "role");
    bool developer = role && strcmp(role, "developer") == 0;
    turns_text(&r->turns, developer ? ROLE_DEVELOPER : ROLE_SYSTEM, text, NULL);
}

static bool read_input(struct reading *r, const json_t *input, struct dialect_error *err)
{
    if (json_is_string(input)) {
        turns_text(&r->turns, ROLE_USER, json_slice(input), NULL);
        return true;
    }
    if (!input || json_is_null(input))
        return dialect_refuse(err, PROBLEM_REQUEST, "input", "'input' is missing");
    if (!json_is_array(input))
        return dialect_refuse(err, PROBLEM_REQUEST, "input",
                              "'input' must be a string or an array of items, not %s",
                              member_type(input));
    return read_items(r, input, err);
}

bool responses_input(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *input = json_object_get(body, "input");
    struct slice instructions = {0};
    struct reading r = {.calls = json_array()};
    turns_init(&r.turns, c);
    bool ok = member_text(body, "", "instructions", &instructions, err);
    if (ok && instructions.len)
        add_instructions(&r, input, instructions);
    ok = ok && read_input(&r, input, err);
    json_decref(r.calls);
    buf_release(&r.text);
    buf_release(&r.thoughts);
    return ok && turns_end(&r.turns, "input", err);
}

// A function as chat completions write it: what a template or a grammar looks at is kept.
static bool read_tool(json_t *tools, const json_t *tool, const char *at, struct dialect_error *err)
{
    struct slice type, name, description = {0};
    const json_t *parameters = NULL;
    bool strict = false;
    if (!is_object(tool, at, err) || !needed(tool, at, "type", &type, err))
        return false;
    if (!slice_is(type, "function"))
        return unsupported(at, "tools of type", type, err);
    if (!needed(tool, at, "name", &name, err) ||
        !member_text(tool, at, "description", &description, err) ||
        !member_object(tool, at, "parameters", &parameters, err) ||
        !member_bool(tool, at, "strict", &strict, err))
        return false;
    json_t *copy = turns_tool(name.ptr, json_object_get(tool, "description"), parameters);
    if (strict)
        json_object_set_new(json_object_get(copy, "function"), "strict", json_true());
    json_array_append_new(tools, copy);
    return true;
}

static bool has_tool(const json_t *list, struct slice name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (slice_eq(json_slice(json_object_get(json_array_get(list, i), "name")), name))
            return true;
    return false;
}

// A tool that a choice names, which must be one of the list, as chat completions name it. NULL with
// err.
static json_t *named_tool(const json_t *o, const char *at, const json_t *list,
                          struct dialect_error *err)
{
    struct slice type, name;
    struct member_path p = member_path(at, "name", -1);
    if (!is_object(o, at, err) || !needed(o, at, "type", &type, err))
        return NULL;
    if (!slice_is(type, "function")) {
        (void)unsupported(at, "choices of type", type, err);
        return NULL;
    }
    if (!needed(o, at, "name", &name, err))
        return NULL;
    if (!has_tool(list, name)) {
        (void)dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is none of 'tools'", p.text);
        return NULL;
    }
    return json_pack("{s:s, s:{s:O}}", "type", "function", "function", "name",
                     json_object_get(o, "name"));
}

// Of the tools those that may be called.
static json_t *allowed_tools(const json_t *choice, const json_t *list, struct dialect_error *err)
{
    const json_t *some = NULL;
    struct slice mode;
    if (!needed(choice, "tool_choice", "mode", &mode, err) ||
        !member_array(choice, "tool_choice", "tools", &some, err))
        return NULL;
    if (!slice_is(mode, "auto") && !slice_is(mode, "required")) {
        (void)dialect_refuse(err, PROBLEM_REQUEST, "tool_choice.mode",
                             "'tool_choice.mode' is not auto or required");
        return NULL;
    }
    size_t n = json_array_size(some);
    if (n == 0 || n > TOOLS_MAX) {
        (void)dialect_refuse(err, PROBLEM_REQUEST, "tool_choice.tools",
                             "'tool_choice.tools' is not a list of 1 to %d tools", TOOLS_MAX);
        return NULL;
    }
    json_t *names = json_array();
    for (size_t i = 0; i < n; i++) {
        struct member_path p = member_path("tool_choice", "tools", (int)i);
        json_t *one = named_tool(json_array_get(some, i), p.text, list, err);
        if (!one) {
            json_decref(names);
            return NULL;
        }
        json_array_append_new(names, one);
    }
    return json_pack("{s:s, s:{s:O, s:o}}", "type", "allowed_tools", "allowed_tools", "mode",
                     json_object_get(choice, "mode"), "tools", names);
}

// A choice of tools by name in the form of chat completions. NULL with err.
static json_t *named_choice(const json_t *choice, const json_t *list, struct dialect_error *err)
{
    const char *type = json_get_text(choice, "type");
    if (type && strcmp(type, "allowed_tools") == 0)
        return allowed_tools(choice, list, err);
    return named_tool(choice, "tool_choice", list, err);
}

static bool read_tools(const json_t *list, json_t *tools, struct dialect_error *err)
{
    if (json_array_size(list) > TOOLS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "tools",
                              "'tools' has %zu entries, more than %d", json_array_size(list),
                              TOOLS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct member_path p = member_path("tools", "", (int)i);
        if (!read_tool(tools, json_array_get(list, i), p.text, err))
            return false;
    }
    return true;
}

// The same members as a chat completion has them, so that both mean the same.
bool responses_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *list = NULL;
    json_t *chat = dialect_keep(c, json_object()), *tools = json_array();
    json_t *parallel = json_object_get(body, "parallel_tool_calls");
    json_t *choice = json_object_get(body, "tool_choice");
    json_object_set_new(chat, "tools", tools);
    if (!member_array(body, "", "tools", &list, err) || !read_tools(list, tools, err))
        return false;
    if (json_is_object(choice)) {
        choice = named_choice(choice, list, err);
        if (!choice)
            return false;
        json_object_set_new(chat, "tool_choice", choice);
    } else if (choice) {
        json_object_set(chat, "tool_choice", choice);
    }
    if (parallel)
        json_object_set(chat, "parallel_tool_calls", parallel);
    return openai_tools(c, chat, err);
}
