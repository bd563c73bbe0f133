#include "dialects/turns.h"

#include "base/buf.h"
#include "base/json.h"
#include "dialects/dialect.h"

void turns_init(struct turns *t, struct dialect_call *c)
{
    *t = (struct turns){.c = c};
}

static void *grown(struct arena *a, const void *from, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return (void *)from;
    *capacity = *capacity ? *capacity * 2 : 16;
    void *to = arena_alloc(a, *capacity, size);
    if (n)
        memcpy(to, from, n * size);
    return to;
}

static struct chat_message *add(struct turns *t, enum chat_role role, struct slice text)
{
    t->messages = grown(t->c->arena, t->messages, t->n, &t->capacity, sizeof *t->messages);
    t->messages[t->n] = (struct chat_message){.role = role, .text = text};
    return &t->messages[t->n++];
}

// Grows by doubling, so that many short messages take no more than twice their texts.
static void join(struct turns *t, struct slice *to, struct slice text)
{
    size_t needed = to->len + 1 + text.len + 1;
    if (t->joined != to->ptr || needed > t->joined_bytes) {
        t->joined_bytes = 2 * needed;
        t->joined = arena_alloc(t->c->arena, t->joined_bytes, 1);
        if (to->len)
            memcpy(t->joined, to->ptr, to->len);
    }
    t->joined[to->len] = '\n';
    if (text.len)
        memcpy(t->joined + to->len + 1, text.ptr, text.len);
    t->joined[needed - 1] = 0;
    *to = slice_of(t->joined, needed - 1);
}

json_t *turns_text_part(struct slice text)
{
    json_t *part = json_object();
    json_object_set_new(part, "type", json_string("text"));
    json_object_set_new(part, "text", json_stringn_nocheck(text.len ? text.ptr : "", text.len));
    return part;
}

json_t *turns_image_part(struct slice url)
{
    json_t *part = json_object(), *image = json_object();
    json_object_set_new(part, "type", json_string("image_url"));
    json_object_set_new(image, "url", json_stringn_nocheck(url.ptr, url.len));
    json_object_set_new(part, "image_url", image);
    return part;
}

json_t *turns_file_part(struct slice name, struct slice url)
{
    json_t *part = json_object(), *file = json_object();
    json_object_set_new(part, "type", json_string("file"));
    if (name.len)
        json_object_set_new(file, "filename", json_stringn_nocheck(name.ptr, name.len));
    json_object_set_new(file, "file_data", json_stringn_nocheck(url.ptr, url.len));
    json_object_set_new(part, "file", file);
    return part;
}

json_t *turns_vendor_part(const char *vendor, const json_t *value)
{
    json_t *part = json_object();
    json_object_set_new(part, "type", json_string("vendor"));
    json_object_set_new(part, "vendor", json_string(vendor));
    json_object_set(part, "value", (json_t *)value);
    return part;
}

void turns_blob(json_t *blobs, const char *vendor, json_t *value, size_t bytes, size_t calls)
{
    json_t *blob = json_object();
    json_object_set_new(blob, "vendor", json_string(vendor));
    json_object_set_new(blob, "value", value);
    json_object_set_new(blob, "bytes", json_integer((json_int_t)bytes));
    json_object_set_new(blob, "calls", json_integer((json_int_t)calls));
    json_array_append_new(blobs, blob);
}

static void add_parts(json_t *to, struct slice text, const json_t *parts)
{
    if (parts)
        json_array_extend(to, (json_t *)parts);
    else if (text.len)
        json_array_append_new(to, turns_text_part(text));
}

void turns_text(struct turns *t, enum chat_role role, struct slice text, const json_t *parts)
{
    struct chat_message *last = t->n ? &t->messages[t->n - 1] : NULL;
    if (!last || last->role != role || last->raw || last->blobs) {
        add(t, role, text)->parts = parts;
        return;
    }
    if (parts || last->parts) {
        if (!last->parts || last->parts != t->joined_parts) {
            t->joined_parts = dialect_keep(t->c, json_array());
            add_parts(t->joined_parts, last->text, last->parts);
            last->parts = t->joined_parts;
        }
        add_parts(t->joined_parts, text, parts);
    }
    join(t, &last->text, text);
}

void turns_call(struct turns *t, json_t *calls, const char *id, const char *name,
                const json_t *arguments)
{
    if (t->n_calls > CALLS_MAX)
        return;  // turns_end refuses
    json_t *call = json_object(), *function = json_object();
    t->calls = grown(t->c->arena, t->calls, t->n_calls, &t->calls_capacity, sizeof *t->calls);
    if (!id)
        id = arena_printf(t->c->arena, "call%05zu", t->n_calls);
    t->calls[t->n_calls++] = (struct turn_call){.id = id, .name = name};
    json_object_set_new(function, "name", json_string(name));
    json_object_set_new(function, "arguments",
                        arguments ? json_incref((json_t *)arguments) : json_object());
    json_object_set_new(call, "id", json_string(id));
    json_object_set_new(call, "type", json_string("function"));
    json_object_set_new(call, "function", function);
    json_array_append_new(calls, call);
}

static json_t *message(const char *role, struct slice content)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", json_stringn_nocheck(content.ptr, content.len));
    return m;
}

void turns_assistant(struct turns *t, struct slice text, struct slice thoughts, json_t *calls,
                     const json_t *blobs, const json_t *parts)
{
    bool called = json_array_size(calls) > 0, marked = json_array_size(blobs) > 0;
    if (!called && thoughts.len == 0 && !marked && !parts) {
        json_decref(calls);
        turns_text(t, ROLE_ASSISTANT, text, NULL);
        return;
    }
    json_t *raw = dialect_keep(t->c, message("assistant", text));
    if (thoughts.len)
        json_object_set_new(raw, "reasoning_content",
                            json_stringn_nocheck(thoughts.ptr, thoughts.len));
    if (called)
        json_object_set(raw, "tool_calls", calls);
    json_decref(calls);
    struct chat_message *m = add(t, ROLE_ASSISTANT, text);
    m->raw = raw;
    m->parts = parts;
    m->blobs = marked ? blobs : NULL;
}

static struct turn_call *find_call(struct turns *t, const char *id, const char *name)
{
    for (size_t i = 0; i < t->n_calls; i++) {
        struct turn_call *c = &t->calls[i];
        bool same = id ? strcmp(c->id, id) == 0 : !c->answered && strcmp(c->name, name) == 0;
        if (same)
            return c;
    }
    return NULL;
}

struct chat_message *turns_result(struct turns *t, const char *id, const char *name,
                                  struct slice text)
{
    if (t->n > TURNS_MAX)
        return NULL;  // turns_end refuses, and looking for calls takes time
    struct turn_call *call = find_call(t, id, name ? name : "");
    json_t *raw = dialect_keep(t->c, message("tool", text));
    if (call) {
        call->answered = true;
        id = call->id;
        name = call->name;
    }
    json_object_set_new(raw, "tool_call_id", json_string(id ? id : "call"));
    if (name)
        json_object_set_new(raw, "name", json_string(name));
    struct chat_message *m = add(t, ROLE_TOOL, text);
    m->raw = raw;
    return m;
}

bool turns_end(struct turns *t, const char *member, struct dialect_error *err)
{
    if (t->n == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, member, "'%s' is missing or empty", member);
    if (t->n > TURNS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, member, "'%s' has more than %d messages",
                              member, TURNS_MAX);
    if (t->n_calls > CALLS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, member, "'%s' has more than %d calls of tools",
                              member, CALLS_MAX);
    t->c->request.input = INPUT_MESSAGES;
    t->c->request.messages = t->messages;
    t->c->request.n_messages = t->n;
    return true;
}

json_t *turns_tool(const char *name, const json_t *description, const json_t *parameters)
{
    json_t *tool = json_object(), *function = json_object();
    json_object_set_new(function, "name", json_string(name));
    json_object_set_new(function, "description",
                        json_is_string(description) ? json_incref((json_t *)description)
                                                    : json_string(""));
    if (parameters)
        json_object_set(function, "parameters", (json_t *)parameters);
    json_object_set_new(tool, "type", json_string("function"));
    json_object_set_new(tool, "function", function);
    return tool;
}

json_t *turns_arguments(struct slice text)
{
    json_t *value = json_parse(text, NULL);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}
