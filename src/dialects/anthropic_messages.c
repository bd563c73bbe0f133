// anthropic_messages.c - reads system, messages and tools of a request to POST /v1/messages.
#include "base/buf.h"
#include "base/json.h"
#include "dialects/anthropic.h"
#include "dialects/members.h"
#include "dialects/turns.h"

enum { TOOLS_MAX = 1024 };

// What was said in blocks: texts, and what is none.
struct said {
    struct dialect_call *c;
    struct buf text;
    json_t *parts;  // all of it, as OpenAI's parts
    bool mixed;     // the text is not all
};
// One message while its blocks are read.
struct reading {
    struct turns *turns;
    bool assistant, user;  // or neither: system
    struct said said;
    struct buf thoughts;
    json_t *calls, *blobs;
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

bool anthropic_is_server_block(const json_t *block)
{
    static const char *const ends[] = {"_tool_use", "_tool_result"};
    const char *type = json_get_text(block, "type");
    size_t n = type ? strlen(type) : 0;
    bool is = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t len = strlen(ends[i]);
        is = is || (n > len && strcmp(type + n - len, ends[i]) == 0);
    }
    return is;
}

static void add_text(struct buf *to, struct slice text)
{
    if (to->len && text.len)
        buf_char(to, '\n');
    buf_slice(to, text);
}

static void said_begin(struct said *s, struct dialect_call *c)
{
    *s = (struct said){.c = c, .parts = dialect_keep(c, json_array())};
}

static const json_t *said_parts(const struct said *s)
{
    return s->mixed ? s->parts : NULL;
}

// An image or a document, as a part. NULL if it is none whose source is known.
static json_t *sourced_part(const json_t *block, bool image)
{
    const json_t *source = json_object_get(block, "source");
    const char *type = json_get_text(source, "type");
    const char *media = json_get_text(source, "media_type"), *data = json_get_text(source, "data");
    const char *url = json_get_text(source, "url"), *title = json_get_text(block, "title");
    bool inside = type && strcmp(type, "base64") == 0 && media && data && *data;
    json_t *part = NULL;
    struct buf made = {0};
    if (inside)
        buf_printf(&made, "data:%s;base64,%s", media, data);
    if (image && inside)
        part = turns_image_part(buf_view(&made));
    else if (image && type && strcmp(type, "url") == 0 && url && *url)
        part = turns_image_part(slice_str(url));
    else if (image && type && strcmp(type, "file") == 0)
        part = turns_vendor_part("anthropic", block);
    else if (!image && inside && strcmp(media, "application/pdf") == 0)
        part = turns_file_part(slice_str(title ? title : ""), buf_view(&made));
    else if (!image && json_is_object(source))
        part = turns_vendor_part("anthropic", block);
    buf_release(&made);
    return part;
}

// A text, or, of users and tools, an image or a document.
static bool take_block(struct said *s, const json_t *block, const char *at, struct slice type,
                       bool only_text, struct dialect_error *err)
{
    struct slice text = {0};
    json_t *part = NULL, *cache = json_object_get(block, "cache_control");
    if (slice_is(type, "text")) {
        if (!needed(block, at, "text", &text, err))
            return false;
        add_text(&s->text, text);
        part = turns_text_part(text);
    } else if (!only_text && slice_is(type, "image")) {
        part = sourced_part(block, true);
    } else if (!only_text && slice_is(type, "document")) {
        part = sourced_part(block, false);
    }
    if (!part)
        return unsupported(at, type, err);
    if (json_is_object(cache)) {
        json_object_set(part, "cache_control", cache);
        s->mixed = true;
    }
    if (!slice_is(type, "text")) {
        dialect_note_media(s->c, at, "type");
        s->mixed = true;
    }
    json_array_append_new(s->parts, part);
    return true;
}

// A text, or blocks; the texts joined by line ends.
static bool read_blocks(const json_t *value, const char *at, bool only_text, struct said *out,
                        struct dialect_error *err)
{
    struct slice type;
    if (json_is_string(value)) {
        buf_slice(&out->text, json_slice(value));
        return true;
    }
    if (!json_is_array(value))
        return dialect_refuse(err, PROBLEM_REQUEST, at,
                              "'%s' must be a string or an array of blocks, not %s", at,
                              member_type(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *block = json_array_get(value, i);
        struct member_path p = member_path(at, "", (int)i);
        if (!block_type(block, p.text, &type, err) ||
            !take_block(out, block, p.text, type, only_text, err))
            return false;
    }
    return true;
}

// What of a block only the vendor knows, for when it gets it back.
static void keep_marks(json_t *blobs, const json_t *block, const char *type, size_t n_calls)
{
    json_t *cache = json_object_get(block, "cache_control");
    json_t *failed = json_object_get(block, "is_error");
    bool marked = json_is_object(cache), wrong = json_is_true(failed);
    if (!marked && !wrong)
        return;
    json_t *value = json_pack("{s:s}", "type", type);
    if (marked)
        json_object_set(value, "cache_control", cache);
    if (wrong)
        json_object_set(value, "is_error", failed);
    turns_blob(blobs, "anthropic", value, 0, n_calls);
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
    struct said said;
    struct dialect_call *c = r->turns->c;
    const json_t *content = json_object_get(block, "content");
    struct member_path p = member_path(at, "content", -1);
    if (!needed(block, at, "tool_use_id", &id, err))
        return false;
    said_begin(&said, c);
    bool ok = !content || json_is_null(content) || read_blocks(content, p.text, false, &said, err);
    struct chat_message *m = NULL;
    if (ok)
        m = turns_result(r->turns, id.ptr, NULL,
                         slice_of(arena_text(c->arena, buf_view(&said.text)), said.text.len));
    if (m) {
        json_t *blobs = dialect_keep(c, json_array());
        keep_marks(blobs, block, "tool_result", 0);
        m->parts = said_parts(&said);
        m->blobs = json_array_size(blobs) > 0 ? blobs : NULL;
    }
    buf_release(&said.text);
    return ok;
}

// Thoughts that their author signed, or that only it can read, come back to it as they are.
static bool read_thoughts(struct reading *r, const json_t *block, const char *at, bool redacted,
                          struct dialect_error *err)
{
    static const char *const members[] = {"type", "thinking", "signature", "data"};
    struct slice text = {0}, signature = {0};
    if (!redacted && !needed(block, at, "thinking", &text, err))
        return false;
    if (!member_text(block, at, redacted ? "data" : "signature", &signature, err))
        return false;
    add_text(&r->thoughts, text);
    if (!signature.len)
        return true;
    json_t *value = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (json_object_get(block, members[i]))
            json_object_set(value, members[i], json_object_get(block, members[i]));
    }
    turns_blob(r->blobs, "anthropic", value, r->said.text.len, json_array_size(r->calls));
    return true;
}

static bool read_block(struct reading *r, const json_t *block, const char *at,
                       struct dialect_error *err)
{
    struct slice type;
    if (!block_type(block, at, &type, err))
        return false;
    if (r->assistant && slice_is(type, "tool_use"))
        return read_tool_use(r, block, at, err);
    if (r->assistant && anthropic_is_server_block(block)) {
        turns_blob(r->blobs, "anthropic", json_incref((json_t *)block), r->said.text.len,
                   json_array_size(r->calls));
        return true;
    }
    bool redacted = slice_is(type, "redacted_thinking");
    if (r->assistant && (redacted || slice_is(type, "thinking")))
        return read_thoughts(r, block, at, redacted, err);
    if (r->user && slice_is(type, "tool_result"))
        return read_tool_result(r, block, at, err);
    return take_block(&r->said, block, at, type, !r->user, err);
}

static struct slice kept(const struct reading *r, const struct buf *b)
{
    return slice_of(arena_text(r->turns->c->arena, buf_view(b)), b->len);
}

static bool read_content(struct reading *r, const json_t *content, const char *at,
                         struct dialect_error *err)
{
    size_t n = json_array_size(content);
    if (json_is_string(content)) {
        buf_slice(&r->said.text, json_slice(content));
        return true;
    }
    if (!json_is_array(content))
        return dialect_refuse(err, PROBLEM_REQUEST, at,
                              "'%s' must be a string or an array of blocks, not %s", at,
                              member_type(content));
    for (size_t i = 0; i < n; i++) {
        struct member_path p = member_path(at, "", (int)i);
        if (!read_block(r, json_array_get(content, i), p.text, err))
            return false;
    }
    if (r->assistant && n)
        keep_marks(r->blobs, json_array_get(content, n - 1), "last", json_array_size(r->calls));
    return true;
}

static void add_message(struct reading *r, size_t before)
{
    struct turns *t = r->turns;
    struct slice text = kept(r, &r->said.text);
    if (r->assistant)
        turns_assistant(t, text, kept(r, &r->thoughts), json_incref(r->calls), r->blobs, NULL);
    else if (r->said.text.len || r->said.mixed || t->n == before)  // results need no text beside
        turns_text(t, r->user ? ROLE_USER : ROLE_SYSTEM, text, said_parts(&r->said));
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
    said_begin(&r.said, t->c);
    r.calls = json_array();
    r.blobs = dialect_keep(t->c, json_array());
    bool ok = read_content(&r, json_object_get(m, "content"), p.text, err);
    if (ok)
        add_message(&r, before);
    json_decref(r.calls);
    buf_release(&r.said.text);
    buf_release(&r.thoughts);
    return ok;
}

static bool read_system(struct turns *t, const json_t *body, struct dialect_error *err)
{
    const json_t *system = json_object_get(body, "system");
    struct said said;
    if (!system || json_is_null(system))
        return true;
    said_begin(&said, t->c);
    bool ok = read_blocks(system, "system", true, &said, err);
    struct slice text = slice_of(arena_text(t->c->arena, buf_view(&said.text)), said.text.len);
    if (ok && text.len)
        turns_text(t, ROLE_SYSTEM, text, said_parts(&said));
    buf_release(&said.text);
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
