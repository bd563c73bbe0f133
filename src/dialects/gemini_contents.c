// gemini_contents.c - reads contents, systemInstruction and tools of a request.
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"
#include "dialects/gemini.h"
#include "dialects/gemini_code.h"
#include "dialects/members.h"
#include "dialects/turns.h"

enum { TOOLS_MAX = 1024, SCHEMA_DEPTH_MAX = 64 };

struct reading {  // one content while its parts are read
    struct turns *turns;
    bool model;
    struct buf text, thoughts;
    json_t *calls, *blobs;
    json_t *parts;   // all that is said, as OpenAI's parts
    size_t n_media;  // of them that are no text
};

const json_t *gemini_member(const json_t *o, const char *camel, const char *snake, const char **key)
{
    const json_t *v = json_object_get(o, camel);
    bool other = !v && json_object_get(o, snake);
    if (key)
        *key = other ? snake : camel;
    return other ? json_object_get(o, snake) : v;
}

static bool must_be(const json_t *value, const char *at, const char *what, bool is,
                    struct dialect_error *err)
{
    return is || dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be %s, not %s", at, what,
                                member_type(value));
}

static struct slice keep(const struct reading *r, const struct buf *b)
{
    return slice_of(arena_text(r->turns->c->arena, buf_view(b)), b->len);
}

static bool read_call(struct reading *r, const json_t *call, const char *at,
                      struct dialect_error *err)
{
    struct slice id = {0}, name = {0};
    const json_t *args = NULL;
    struct member_path p = member_path(at, "name", -1);
    if (!member_text(call, at, "id", &id, err) || !member_text(call, at, "name", &name, err) ||
        !member_object(call, at, "args", &args, err))
        return false;
    if (name.len == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
    turns_call(r->turns, r->calls, id.len ? id.ptr : NULL, name.ptr, args);
    return true;
}

static bool read_result(struct reading *r, const json_t *result, const char *at,
                        struct dialect_error *err)
{
    struct slice id = {0}, name = {0};
    const json_t *response = NULL;
    struct member_path p = member_path(at, "name", -1);
    if (!member_text(result, at, "id", &id, err) || !member_text(result, at, "name", &name, err) ||
        !member_object(result, at, "response", &response, err))
        return false;
    if (name.len == 0 && id.len == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
    if (json_array_size(json_object_get(result, "parts")) > 0)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, at, "'%s.parts' are not supported", at);
    struct buf text = {0};
    if (response)
        json_write(&text, response, JSON_STYLE_SPACED);
    turns_result(r->turns, id.len ? id.ptr : NULL, name.ptr, keep(r, &text));
    buf_release(&text);
    return true;
}

static bool read_text(struct reading *r, const json_t *part, const char *at,
                      struct dialect_error *err)
{
    struct slice text = {0};
    bool thought = false;
    if (!member_text(part, at, "text", &text, err) ||
        !member_bool(part, at, "thought", &thought, err))
        return false;
    buf_slice(thought ? &r->thoughts : &r->text, text);
    if (!thought)
        json_array_append_new(r->parts, turns_text_part(text));
    return true;
}

static bool begins(const char *text, const char *with)
{
    return text && strncmp(text, with, strlen(with)) == 0;
}

// {"inlineData":{"mimeType","data"}} and {"fileData":{"mimeType","fileUri"}} as parts; NULL if it
// is neither.
static json_t *media_part(const json_t *part)
{
    const json_t *in = gemini_member(part, "inlineData", "inline_data", NULL);
    const json_t *file = gemini_member(part, "fileData", "file_data", NULL), *o = in ? in : file;
    const json_t *type = gemini_member(o, "mimeType", "mime_type", NULL);
    const json_t *uri = gemini_member(file, "fileUri", "file_uri", NULL);
    const char *media = json_string_value(type), *data = json_get_text(in, "data");
    json_t *made = NULL;
    struct buf url = {0};
    if (in && media && data && *data) {
        buf_printf(&url, "data:%s;base64,%s", media, data);
        if (begins(media, "image/"))
            made = turns_image_part(buf_view(&url));
        else if (strcmp(media, "audio/wav") == 0 || strcmp(media, "audio/mp3") == 0)
            made = json_pack("{s:s, s:{s:s, s:s}}", "type", "input_audio", "input_audio", "data",
                             data, "format", media + strlen("audio/"));
        else
            made = turns_file_part(slice_str(""), buf_view(&url));
    } else if (!in && json_string_length(uri) > 0) {
        bool image = begins(media, "image/") && begins(json_string_value(uri), "http");
        made = image ? turns_image_part(json_slice(uri)) : turns_vendor_part("gemini", part);
    }
    buf_release(&url);
    return made;
}

static bool read_media(struct reading *r, const json_t *part, const char *at,
                       struct dialect_error *err)
{
    json_t *made = media_part(part);
    const char *key;
    if (!gemini_member(part, "inlineData", "inline_data", &key))
        (void)gemini_member(part, "fileData", "file_data", &key);
    if (!made)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, at,
                              "'%s': only text, calls of functions by the model and responses to "
                              "them are supported",
                              at);
    if (r->model && json_is_true(json_object_get(part, "thought"))) {
        json_decref(made);  // as thoughts that are a text: the vendor takes none
        return true;
    }
    dialect_note_media(r->turns->c, at, key);
    json_array_append_new(r->parts, made);
    r->n_media++;
    return true;
}

// What only the vendor knows, behind what was read so far.
static void add_blob(struct reading *r, json_t *value)
{
    turns_blob(r->blobs, "gemini", value, r->text.len, json_array_size(r->calls));
    json_t *blob = json_array_get(r->blobs, json_array_size(r->blobs) - 1);
    if (r->n_media)
        json_object_set_new(blob, "media", json_integer((json_int_t)r->n_media));
}

// It belongs to what was read just before.
static void read_signature(struct reading *r, const json_t *part)
{
    const json_t *signature = gemini_member(part, "thoughtSignature", "thought_signature", NULL);
    if (!r->model || json_string_length(signature) == 0 || gemini_is_code(part))
        return;
    json_t *value = json_object();
    if (json_is_true(json_object_get(part, "thought")))
        json_object_set_new(value, "thought", json_true());
    json_object_set(value, "thoughtSignature", (json_t *)signature);
    add_blob(r, value);
}

static bool is_bare_signature(const json_t *part)
{
    size_t n = 1 + (json_object_get(part, "thought") != NULL);
    return gemini_member(part, "thoughtSignature", "thought_signature", NULL) &&
           json_object_size(part) == n;
}

static bool read_part(struct reading *r, const json_t *part, const char *at,
                      struct dialect_error *err)
{
    const char *key;
    if (!must_be(part, at, "an object", json_is_object(part), err))
        return false;
    const json_t *call = gemini_member(part, "functionCall", "function_call", &key);
    const json_t *result =
        call ? NULL : gemini_member(part, "functionResponse", "function_response", &key);
    const json_t *inner = call ? call : result;
    struct member_path p = member_path(at, key, -1);
    if (inner && !must_be(inner, p.text, "an object", json_is_object(inner), err))
        return false;
    if (call && r->model)
        return read_call(r, call, p.text, err);
    if (result && !r->model)
        return read_result(r, result, p.text, err);
    if (!inner && json_object_get(part, "text"))
        return read_text(r, part, at, err);
    if (r->model && !inner && gemini_is_code(part)) {
        add_blob(r, json_incref((json_t *)part));
        return true;
    }
    if (is_bare_signature(part))
        return true;
    return read_media(r, part, at, err);
}

static bool read_parts(struct reading *r, const json_t *content, const char *at,
                       struct dialect_error *err)
{
    const json_t *parts = json_object_get(content, "parts");
    struct member_path one = member_path(at, "parts", -1);
    if (json_is_object(parts)) {  // the vendor takes one without the brackets
        if (!read_part(r, parts, one.text, err))
            return false;
        read_signature(r, parts);
        return true;
    }
    if (!must_be(content, at, "an object", json_is_object(content), err) ||
        !member_array(content, at, "parts", &parts, err))
        return false;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        struct member_path p = member_path(at, "parts", (int)i);
        if (!read_part(r, json_array_get(parts, i), p.text, err))
            return false;
        read_signature(r, json_array_get(parts, i));
    }
    return true;
}

static bool read_content(struct turns *t, const json_t *content, const char *at,
                         struct dialect_error *err)
{
    struct slice role = slice_str("user");
    struct reading r = {.turns = t};
    struct member_path p = member_path(at, "role", -1);
    size_t before = t->n;
    if (!member_text(content, at, "role", &role, err))
        return false;
    r.model = slice_is(role, "model");
    if (!r.model && !slice_is(role, "user") && !slice_is(role, "function") &&
        !slice_is(role, "tool"))
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is not user or model", p.text);
    r.calls = json_array();
    r.blobs = dialect_keep(t->c, json_array());
    r.parts = dialect_keep(t->c, json_array());
    bool ok = read_parts(&r, content, at, err);
    if (ok && r.model)
        turns_assistant(t, keep(&r, &r.text), keep(&r, &r.thoughts), json_incref(r.calls), r.blobs,
                        r.n_media ? r.parts : NULL);
    else if (ok && (r.text.len || r.n_media || t->n == before))
        turns_text(t, ROLE_USER, keep(&r, &r.text), r.n_media ? r.parts : NULL);
    json_decref(r.calls);
    buf_release(&r.text);
    buf_release(&r.thoughts);
    return ok;
}

static bool read_system(struct turns *t, const json_t *body, struct dialect_error *err)
{
    const char *key;
    struct reading r = {.turns = t};
    const json_t *system = gemini_member(body, "systemInstruction", "system_instruction", &key);
    if (!system || json_is_null(system))
        return true;
    r.parts = dialect_keep(t->c, json_array());
    bool ok = read_parts(&r, system, key, err);
    if (ok && r.n_media)
        ok = dialect_refuse(err, PROBLEM_UNSUPPORTED, key, "'%s': only text is supported", key);
    if (ok && r.text.len)
        turns_text(t, ROLE_SYSTEM, keep(&r, &r.text), NULL);
    buf_release(&r.text);
    buf_release(&r.thoughts);
    return ok;
}

bool gemini_contents(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *contents = json_object_get(body, "contents");
    struct turns t;
    turns_init(&t, c);
    if (json_array_size(contents) > TURNS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "contents",
                              "'contents' has more than %d entries", TURNS_MAX);
    if (contents && !json_is_array(contents) && !json_is_object(contents))
        return must_be(contents, "contents", "an array", false, err);
    if (!contents || json_array_size(contents) + json_object_size(contents) == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, "contents", "'contents' is missing or empty");
    if (!read_system(&t, body, err))
        return false;
    if (json_is_object(contents) && !read_content(&t, contents, "contents", err))
        return false;
    for (size_t i = 0; i < json_array_size(contents); i++) {
        struct member_path p = member_path("contents", "", (int)i);
        if (!read_content(&t, json_array_get(contents, i), p.text, err))
            return false;
    }
    return turns_end(&t, "contents", err);
}

// A schema with the vendor's types (STRING, OBJECT) as everybody else writes them. NULL if it is
// nested too deep.
static json_t *plain_schema(const json_t *schema, int depth)
{
    json_t *copy = json_copy((json_t *)schema), *value;
    const char *key;
    size_t i;
    bool ok = depth < SCHEMA_DEPTH_MAX;
    json_object_foreach((json_t *)schema, key, value)
    {
        bool nested = json_is_object(value) || json_is_array(value);
        if (ok && nested) {
            json_t *inner = plain_schema(value, depth + 1);
            ok = inner && json_object_set_new(copy, key, inner) == 0;
        } else if (strcmp(key, "type") == 0 && json_is_string(value)) {
            char *word = memory_text_n(json_string_value(value), json_string_length(value));
            for (char *w = word; *w; w++)
                *w = *w >= 'A' && *w <= 'Z' ? (char)(*w + 32) : *w;
            json_object_set_new(copy, key, json_string(word));
            free(word);
        }
    }
    json_array_foreach((json_t *)schema, i, value)
    {
        if (!ok || (!json_is_object(value) && !json_is_array(value)))
            continue;
        json_t *inner = plain_schema(value, depth + 1);
        ok = inner && json_array_set_new(copy, i, inner) == 0;
    }
    if (ok)
        return copy;
    json_decref(copy);
    return NULL;
}

static bool read_function(json_t *tools, const json_t *f, const char *at, struct dialect_error *err)
{
    struct slice name = {0};
    const char *key = NULL;
    struct member_path p = member_path(at, "name", -1);
    if (!must_be(f, at, "an object", json_is_object(f), err) ||
        !member_text(f, at, "name", &name, err))
        return false;
    if (name.len == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
    const json_t *given = json_object_get(f, "parameters");
    if (given)
        key = "parameters";
    else
        given = gemini_member(f, "parametersJsonSchema", "parameters_json_schema", &key);
    p = member_path(at, key, -1);
    if (given && !must_be(given, p.text, "an object", json_is_object(given), err))
        return false;
    json_t *schema = given ? plain_schema(given, 0) : NULL;
    if (given && !schema)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is nested more than %d deep",
                              p.text, SCHEMA_DEPTH_MAX);
    json_t *standard =
        json_object_get(f, "parameters") && schema ? gemini_schema(schema) : json_incref(schema);
    json_array_append_new(tools, turns_tool(name.ptr, json_object_get(f, "description"), standard));
    json_decref(standard);
    json_decref(schema);
    return true;
}

static bool read_tool(json_t *tools, const json_t *tool, const char *at, struct dialect_error *err)
{
    const char *key;
    const json_t *list;
    if (!must_be(tool, at, "an object", json_is_object(tool), err))
        return false;
    list = gemini_member(tool, "functionDeclarations", "function_declarations", &key);
    if (json_object_size(tool) > (list ? 1u : 0u))
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, at,
                              "'%s': only 'functionDeclarations' are supported", at);
    struct member_path p = member_path(at, key, -1);
    if (list && !must_be(list, p.text, "an array", json_is_array(list), err))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct member_path f = member_path(at, key, (int)i);
        if (json_array_size(tools) >= TOOLS_MAX)
            return dialect_refuse(err, PROBLEM_REQUEST, "tools",
                                  "'tools' has more than %d functions", TOOLS_MAX);
        if (!read_function(tools, json_array_get(list, i), f.text, err))
            return false;
    }
    return true;
}

static bool is_allowed(const json_t *names, const json_t *tool)
{
    const json_t *name = json_object_get(json_object_get(tool, "function"), "name");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *n = json_array_get(names, i);
        if (json_is_string(n) && slice_eq(json_slice(n), json_slice(name)))
            return true;
    }
    return false;
}

// Only the tools that are allowed stay.
static void keep_allowed(struct chat_request *r, json_t *tools, const json_t *names)
{
    r->known_tools = true;
    for (size_t i = json_array_size(tools); i-- > 0;) {
        if (!is_allowed(names, json_array_get(tools, i)))
            json_array_remove(tools, i);
    }
    const json_t *first = json_object_get(json_array_get(tools, 0), "function");
    if (r->tool_choice == TOOLS_REQUIRED && json_array_size(tools) == 1) {
        r->tool_choice = TOOLS_NAMED;
        r->tool_name = json_get_text(first, "name");
    }
}

static bool read_choice(struct dialect_call *c, const json_t *body, json_t *tools,
                        struct dialect_error *err)
{
    static const char at[] = "toolConfig.functionCallingConfig";
    const json_t *config = gemini_member(body, "toolConfig", "tool_config", NULL);
    const json_t *choice =
        gemini_member(config, "functionCallingConfig", "function_calling_config", NULL);
    const json_t *names =
        gemini_member(choice, "allowedFunctionNames", "allowed_function_names", NULL);
    struct slice mode = slice_str("AUTO");
    if (choice && !must_be(choice, at, "an object", json_is_object(choice), err))
        return false;
    if (!member_text(choice, at, "mode", &mode, err))
        return false;
    if (slice_is(mode, "ANY"))
        c->request.tool_choice = TOOLS_REQUIRED;
    else if (slice_is(mode, "NONE"))
        c->request.tool_choice = TOOLS_NONE;
    else if (slice_is(mode, "VALIDATED"))
        c->request.strict_tools = true;
    else if (!slice_is(mode, "AUTO") && !slice_is(mode, "MODE_UNSPECIFIED"))
        return dialect_refuse(err, PROBLEM_REQUEST, at,
                              "'%s.mode' is not AUTO, ANY, VALIDATED or NONE", at);
    if (json_array_size(names) > 0)
        keep_allowed(&c->request, tools, names);
    if (c->request.tool_choice == TOOLS_REQUIRED && json_array_size(tools) == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, at,
                              "'%s' wants a function, but 'tools' has none that is allowed", at);
    return true;
}

bool gemini_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *list = NULL;
    json_t *tools = dialect_keep(c, json_array());
    if (!member_array(body, "", "tools", &list, err))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct member_path p = member_path("tools", "", (int)i);
        if (!read_tool(tools, json_array_get(list, i), p.text, err))
            return false;
    }
    if (!read_choice(c, body, tools, err))
        return false;
    c->request.tools = json_array_size(tools) > 0 ? tools : NULL;
    return true;
}
