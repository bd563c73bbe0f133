#include "gateway/redact_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "gateway/redact_impl.h"

typedef json_t *member_reader(struct redaction *r, const char *key, const json_t *v,
                              struct error *err);

// Words of the wire formats and of JSON Schema: as names of members, or as a type or role, they
// tell nothing of anybody.
static bool is_protocol(struct slice word)
{
    static const char *const words[] = {
        "type",
        "role",
        "content",
        "text",
        "name",
        "id",
        "function",
        "arguments",
        "parameters",
        "properties",
        "required",
        "description",
        "items",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "default",
        "format",
        "pattern",
        "title",
        "examples",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "$ref",
        "$defs",
        "definitions",
        "strict",
        "additionalProperties",
        "object",
        "array",
        "string",
        "number",
        "integer",
        "boolean",
        "null",
        "system",
        "user",
        "assistant",
        "tool",
        "developer",
        "image_url",
        "url",
        "detail",
        "refusal",
        "cache_control",
        "ephemeral",
        "tool_calls",
        "tool_call_id",
        "reasoning_content",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (slice_is(word, words[i]))
            return true;
    return false;
}

bool redact_clean(struct redaction *r, struct slice text, const char *what, struct error *err)
{
    struct spans found = {0};
    if (is_protocol(text))
        return true;
    bool ok = rules_find(r->rules, &r->search, text, &found, err) &&
              (found.n == 0 ||
               error_set(err, ERR_UNSUPPORTED,
                         "redaction '%.40s' finds something in %s, which cannot be replaced",
                         rules_name(r->rules, found.items[0].rule), what));
    free(found.items);
    return ok;
}

static json_t *read_string(struct redaction *r, const json_t *v, struct error *err)
{
    struct slice out, text = json_slice(v);
    if (!redact_text(r, text, &out, err))
        return NULL;
    return slice_eq(out, text) ? json_incref((json_t *)v) : json_stringn_nocheck(out.ptr, out.len);
}

// An id that a rule finds something in becomes another one, the same for the same.
static json_t *read_id(struct redaction *r, const json_t *v, struct error *err)
{
    struct slice out, text = json_slice(v);
    if (!json_is_string(v))
        return redact_json_value(r, v, err);
    if (!redact_text(r, text, &out, err))
        return NULL;
    if (slice_eq(out, text))
        return json_incref((json_t *)v);
    struct buf id = {0};
    for (size_t i = 0; i < out.len; i++)
        if (out.ptr[i] != '[' && out.ptr[i] != ']')
            buf_char(&id, out.ptr[i]);
    json_t *made = json_stringn_nocheck(buf_text(&id), id.len);
    buf_release(&id);
    return made;
}

static json_t *read_name(struct redaction *r, const json_t *v, struct error *err)
{
    if (!json_is_string(v))
        return redact_json_value(r, v, err);
    return redact_clean(r, json_slice(v), "the name of a tool", err) ? json_incref((json_t *)v)
                                                                     : NULL;
}

static json_t *read_number(struct redaction *r, const json_t *v, bool schema, struct error *err)
{
    struct buf text = {0};
    struct slice out;
    json_t *made = NULL;
    json_write(&text, v, JSON_STYLE_COMPACT);
    struct slice in = slice_of(arena_text(r->arena, buf_view(&text)), text.len);
    buf_release(&text);
    if (schema)
        return redact_clean(r, in, "a number of a schema", err) ? json_incref((json_t *)v) : NULL;
    if (redact_text(r, in, &out, err))
        made =
            slice_eq(in, out) ? json_incref((json_t *)v) : json_stringn_nocheck(out.ptr, out.len);
    return made;
}

// Every item or member by `read`; the value itself if none changed.
static json_t *read_array(struct redaction *r, const json_t *v, member_reader *read,
                          struct error *err)
{
    bool changed = false;
    json_t *made = json_array(), *item;
    size_t i;
    json_array_foreach(v, i, item)
    {
        json_t *one = read(r, NULL, item, err);
        if (!one) {
            json_decref(made);
            return NULL;
        }
        changed |= one != item;
        (void)json_array_append_new(made, one);
    }
    if (changed)
        return made;
    json_decref(made);
    return json_incref((json_t *)v);
}

static json_t *read_object(struct redaction *r, const json_t *v, member_reader *read,
                           struct error *err)
{
    bool changed = false;
    json_t *made = json_object(), *item;
    const char *key;
    size_t len;
    json_object_keylen_foreach((json_t *)v, key, len, item)
    {
        json_t *one = redact_clean(r, slice_of(key, len), "the name of a member", err)
                          ? read(r, key, item, err)
                          : NULL;
        if (!one) {
            json_decref(made);
            return NULL;
        }
        changed |= one != item;
        (void)json_object_setn_new_nocheck(made, key, len, one);
    }
    if (changed)
        return made;
    json_decref(made);
    return json_incref((json_t *)v);
}

static json_t *schema_member(struct redaction *r, const char *key, const json_t *v,
                             struct error *err);
static json_t *value_member(struct redaction *r, const char *key, const json_t *v,
                            struct error *err);

static json_t *read_any(struct redaction *r, const char *key, const json_t *v, bool schema,
                        struct error *err)
{
    member_reader *read = schema ? schema_member : value_member;
    bool word = key && (strcmp(key, "type") == 0 || strcmp(key, "role") == 0);
    if (json_is_array(v))
        return read_array(r, v, read, err);
    if (json_is_object(v))
        return read_object(r, v, read, err);
    if (json_is_number(v))
        return read_number(r, v, schema, err);
    if (json_is_string(v) && !(word && is_protocol(json_slice(v))))
        return read_string(r, v, err);
    return json_incref((json_t *)v);
}

static json_t *schema_member(struct redaction *r, const char *key, const json_t *v,
                             struct error *err)
{
    return read_any(r, key, v, true, err);
}

static json_t *value_member(struct redaction *r, const char *key, const json_t *v,
                            struct error *err)
{
    return read_any(r, key, v, false, err);
}

json_t *redact_json_value(struct redaction *r, const json_t *v, struct error *err)
{
    return read_any(r, NULL, v, false, err);
}

json_t *redact_json_schema(struct redaction *r, const json_t *v, struct error *err)
{
    return read_any(r, NULL, v, true, err);
}

// Arguments that are a text of JSON, with whatever escapes.
static json_t *read_arguments(struct redaction *r, const json_t *v, struct error *err)
{
    json_t *inner = json_is_string(v) ? json_parse(json_slice(v), NULL) : NULL;
    if (!inner)
        return redact_json_value(r, v, err);
    json_t *redacted = redact_json_value(r, inner, err), *made = NULL;
    if (redacted == inner) {
        made = json_incref((json_t *)v);
    } else if (redacted) {
        struct buf text = {0};
        json_write(&text, redacted, JSON_STYLE_COMPACT);
        made = json_stringn_nocheck(buf_text(&text), text.len);
        buf_release(&text);
    }
    json_decref(redacted);
    json_decref(inner);
    r->last_in = r->last_out = (struct slice){0};  // they may have been in it
    return made;
}

static json_t *function_member(struct redaction *r, const char *key, const json_t *v,
                               struct error *err)
{
    if (key && strcmp(key, "name") == 0)
        return read_name(r, v, err);
    if (key && strcmp(key, "arguments") == 0)
        return read_arguments(r, v, err);
    if (key && strcmp(key, "parameters") == 0)
        return redact_json_schema(r, v, err);
    return value_member(r, key, v, err);
}

// Of a call, or of a tool: both keep what matters in "function".
static json_t *call_member(struct redaction *r, const char *key, const json_t *v, struct error *err)
{
    if (key && strcmp(key, "function") == 0 && json_is_object(v))
        return read_object(r, v, function_member, err);
    if (key && strcmp(key, "id") == 0)
        return read_id(r, v, err);
    return function_member(r, key, v, err);
}

static json_t *call_item(struct redaction *r, const char *key, const json_t *v, struct error *err)
{
    return json_is_object(v) ? read_object(r, v, call_member, err) : value_member(r, key, v, err);
}

static json_t *part_member(struct redaction *r, const char *key, const json_t *v,
                           struct error *err);

static json_t *message_member(struct redaction *r, const char *key, const json_t *v,
                              struct error *err)
{
    if (strcmp(key, "tool_calls") == 0 && json_is_array(v))
        return read_array(r, v, call_item, err);
    if (strcmp(key, "content") == 0 && json_is_array(v))
        return read_array(r, v, part_member, err);
    if (strcmp(key, "tool_call_id") == 0 || strcmp(key, "name") == 0)
        return read_id(r, v, err);
    return value_member(r, key, v, err);
}

json_t *redact_json_message(struct redaction *r, const json_t *raw, struct error *err)
{
    return json_is_object(raw) ? read_object(r, raw, message_member, err)
                               : redact_json_value(r, raw, err);
}

json_t *redact_json_tools(struct redaction *r, const json_t *tools, struct error *err)
{
    return json_is_array(tools) ? read_array(r, tools, call_item, err)
                                : redact_json_schema(r, tools, err);
}

// An address must stay what it is; a picture in it cannot be looked into; other files, which would
// be texts, do not leave.
static json_t *part_member(struct redaction *r, const char *key, const json_t *v, struct error *err)
{
    struct slice text = json_is_string(v) ? json_slice(v) : (struct slice){0};
    if (slice_starts(text, slice_str("data:image/")))
        return json_incref((json_t *)v);
    if (key && strcmp(key, "text") != 0 && slice_starts(text, slice_str("data:"))) {
        (void)error_set(err, ERR_UNSUPPORTED, "a file within a request cannot be redacted");
        return NULL;
    }
    if (key && strcmp(key, "url") == 0 && text.ptr)
        return redact_clean(r, text, "the address of a picture", err) ? json_incref((json_t *)v)
                                                                      : NULL;
    if (json_is_object(v))
        return read_object(r, v, part_member, err);
    if (json_is_array(v))
        return read_array(r, v, part_member, err);
    return value_member(r, key, v, err);
}

static struct slice text_of_part(const json_t *part)
{
    const json_t *text = json_object_get(part, "text");
    return json_is_string(text) ? json_slice(text) : (struct slice){0};
}

static struct slice join_texts(struct redaction *r, const json_t *parts)
{
    struct buf all = {0};
    const json_t *part;
    size_t i;
    json_array_foreach(parts, i, part) buf_slice(&all, text_of_part(part));
    struct slice joined = {arena_text(r->arena, buf_view(&all)), all.len};
    buf_release(&all);
    return joined;
}

// All texts in the first of them, where something begins in one part and ends in another.
static json_t *merge_parts(const json_t *parts, struct slice text)
{
    json_t *made = json_array();
    const json_t *part;
    bool first = true;
    size_t i;
    json_array_foreach(parts, i, part)
    {
        if (!text_of_part(part).ptr) {
            (void)json_array_append(made, (json_t *)part);
        } else if (first) {
            json_t *copy = json_copy((json_t *)part);
            (void)json_object_set_new_nocheck(copy, "text",
                                              json_stringn_nocheck(text.ptr, text.len));
            (void)json_array_append_new(made, copy);
            first = false;
        }
    }
    return made;
}

json_t *redact_json_parts(struct redaction *r, const json_t *parts, struct error *err)
{
    struct slice whole;
    json_t *made = part_member(r, NULL, parts, err);
    if (!made || !json_is_array(parts))
        return made;
    if (!redact_text(r, join_texts(r, parts), &whole, err)) {
        json_decref(made);
        return NULL;
    }
    if (slice_eq(whole, join_texts(r, made)))
        return made;
    json_t *merged = merge_parts(made, whole);
    json_decref(made);
    return merged;
}

static bool blob_is_clean(struct redaction *r, const json_t *v, struct error *err)
{
    bool clean = true;
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(v))
        return redact_clean(r, json_slice(v), "a blob", err);
    json_array_foreach(v, i, item) clean = clean && blob_is_clean(r, item, err);
    json_object_foreach((json_t *)v, key, item) clean = clean && blob_is_clean(r, item, err);
    return clean;
}

json_t *redact_json_blobs(struct redaction *r, const json_t *blobs, struct error *err)
{
    json_t *made = json_array(), *item;
    size_t i;
    json_array_foreach(blobs, i, item)
    {
        struct error why = {0};
        bool clean = blob_is_clean(r, item, &why);
        if (!clean && why.code != ERR_UNSUPPORTED) {
            json_decref(made);
            (void)error_set(err, why.code, "%s", why.text);
            return NULL;
        }
        (void)json_array_append_new(made, clean ? json_incref(item) : json_null());
    }
    return made;
}
