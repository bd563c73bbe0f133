// local_turns.c - conversations whose turns a chat template would refuse, put so that it takes
// them.
//
// Clients may send several messages of one role in a row, a system's message anywhere, and several
// calls with their results. Templates that raise an exception there say so in their text.
#include <string.h>

#include "base/json.h"
#include "providers/local_impl.h"

static bool is_role(const json_t *message, const char *role)
{
    const char *its = json_get_text(message, "role");
    return its && strcmp(its, role) == 0;
}

static bool has_calls(const json_t *message)
{
    return json_array_size(json_object_get(message, "tool_calls")) > 0;
}

// The text of `more` behind (or before) the message's own, with an empty line between them.
static void join(json_t *message, const json_t *more, bool before)
{
    const json_t *own = json_object_get(message, "content");
    struct slice one = json_is_string(own) ? json_slice(own) : slice_of("", 0);
    struct slice other = json_is_string(more) ? json_slice(more) : slice_of("", 0);
    struct buf text = {0};
    buf_slice(&text, before ? other : one);
    if (one.len && other.len)
        buf_text_add(&text, "\n\n");
    buf_slice(&text, before ? one : other);
    json_object_set_new(message, "content", local_text_json(buf_view(&text)));
    buf_release(&text);
}

// The results by their calls' ids, each in a list; those without an id are added to others.
static json_t *results_by_id(const json_t *messages, size_t from, size_t end, json_t *others)
{
    json_t *index = json_object();
    for (size_t i = from; i < end; i++) {
        json_t *result = json_array_get(messages, i);
        const char *id = json_get_text(result, "tool_call_id");
        json_t *list = id ? json_object_get(index, id) : others;
        if (!list) {
            list = json_array();
            json_object_set_new(index, id, list);
        }
        json_array_append(list, result);
    }
    return index;
}

// One message for each call, with its results behind it; results of no call come last.
static void add_calls_apart(const json_t *messages, size_t at, size_t end, json_t *out)
{
    json_t *message = json_array_get(messages, at), *rest = json_array(), *list;
    const json_t *calls = json_object_get(message, "tool_calls");
    json_t *index = results_by_id(messages, at + 1, end, rest);
    const char *key;
    for (size_t k = 0; k < json_array_size(calls); k++) {
        json_t *call = json_array_get(calls, k), *one = json_copy(message);
        const char *id = json_get_text(call, "id");
        json_object_set_new(one, "tool_calls", json_pack("[O]", call));
        if (k > 0) {
            json_object_set_new(one, "content", json_string(""));
            json_object_del(one, "reasoning_content");
            json_object_del(one, "thinking");
        }
        json_array_append_new(out, one);
        if (id && (list = json_object_get(index, id))) {
            json_array_extend(out, list);
            json_object_del(index, id);
        }
    }
    json_object_foreach(index, key, list) json_array_extend(rest, list);
    json_array_extend(out, rest);
    json_decref(index);
    json_decref(rest);
}

static json_t *calls_apart(const json_t *messages)
{
    json_t *out = json_array();
    for (size_t i = 0, end; i < json_array_size(messages); i = end) {
        json_t *message = json_array_get(messages, i);
        end = i + 1;
        if (json_array_size(json_object_get(message, "tool_calls")) < 2) {
            json_array_append(out, message);
            continue;
        }
        while (is_role(json_array_get(messages, end), "tool"))
            end++;
        add_calls_apart(messages, i, end, out);
    }
    return out;
}

static void write_call(const json_t *call, struct buf *out)
{
    const json_t *f = json_object_get(call, "function");
    const json_t *arguments = json_object_get(f, "arguments");
    const char *name = json_get_text(f, "name");
    if (out->len)
        buf_text_add(out, "\n");
    buf_text_add(out, "{\"name\": ");
    json_write_text(out, slice_str(name ? name : ""));
    buf_text_add(out, ", \"parameters\": ");
    if (arguments)
        json_write(out, arguments, JSON_STYLE_SPACED);
    else
        buf_text_add(out, "{}");
    buf_char(out, '}');
}

// Calls and results as texts: calls as local_tools.c taught them, results as the user's.
static json_t *calls_as_text(const json_t *messages)
{
    json_t *out = json_array(), *names = json_object();  // by ids of calls
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        json_t *copy = json_copy((json_t *)message), *text;
        const json_t *calls = json_object_get(message, "tool_calls");
        struct buf said = {0};
        for (size_t k = 0; k < json_array_size(calls); k++) {
            const json_t *call = json_array_get(calls, k);
            const char *its = json_get_text(call, "id");
            json_t *name = json_object_get(json_object_get(call, "function"), "name");
            write_call(call, &said);
            if (its && json_is_string(name))
                json_object_set(names, its, name);
        }
        if (is_role(message, "tool")) {
            const char *id = json_get_text(message, "tool_call_id");
            const char *name = id ? json_get_text(names, id) : NULL;
            buf_printf(&said, "Result of %s:", name ? name : "the call");
            json_object_set_new(copy, "role", json_string("user"));
        }
        if (said.len) {
            text = local_text_json(buf_view(&said));
            join(copy, text, is_role(message, "tool"));
            json_decref(text);
        }
        json_object_del(copy, "tool_calls");
        json_array_append_new(out, copy);
        buf_release(&said);
    }
    json_decref(names);
    return out;
}

// Where no system may speak, the user says it with what comes next; elsewhere that is so behind
// the beginning.
static void systems_to_users(json_t *messages, bool none)
{
    size_t i;
    json_t *message;
    bool beginning = true;
    json_array_foreach(messages, i, message)
    {
        bool system = is_role(message, "system");
        if (system && (none || !beginning))
            json_object_set_new(message, "role", json_string("user"));
        beginning = beginning && system;
    }
}

// Whether a message is of one row with the one before. A user who speaks behind a call's result
// speaks in it, since templates that count turns want the model's next.
static bool is_of_row(const json_t *before, const json_t *message)
{
    const char *role = json_get_text(message, "role");
    bool same = role && is_role(before, role) && !is_role(before, "tool");
    bool behind = is_role(before, "tool") && is_role(message, "user");
    return (same || behind) && !has_calls(before) && !has_calls(message);
}

static void add_text(struct buf *text, const json_t *message)
{
    const json_t *content = json_object_get(message, "content");
    if (!json_is_string(content) || json_string_length(content) == 0)
        return;
    if (text->len)
        buf_text_add(text, "\n\n");
    buf_slice(text, json_slice(content));
}

// Messages in a row of who may speak but once are one: the first of them, with all texts.
static json_t *rows_joined(const json_t *messages)
{
    json_t *out = json_array();
    for (size_t i = 0, end; i < json_array_size(messages); i = end) {
        json_t *first = json_array_get(messages, i);
        struct buf text = {0};
        for (end = i + 1; is_of_row(first, json_array_get(messages, end)); end++) {
            if (end == i + 1)
                add_text(&text, first);
            add_text(&text, json_array_get(messages, end));
        }
        if (end > i + 1)
            json_object_set_new(first, "content", local_text_json(buf_view(&text)));
        json_array_append(out, first);
        buf_release(&text);
    }
    return out;
}

// A greeting that the conversation begins with answers a user who said nothing.
static void begin_with_user(json_t *messages)
{
    size_t at = 0;
    while (is_role(json_array_get(messages, at), "system"))
        at++;
    if (is_role(json_array_get(messages, at), "assistant"))
        json_array_insert_new(messages, at, json_pack("{s:s, s:s}", "role", "user", "content", ""));
}

json_t *local_turns(const struct local_model *m, json_t *messages)
{
    const struct template_habits *h = &m->habits;
    json_t *made = NULL;
    if (!h->tools && (h->alternates || m->shape.format == ANSWER_JSON))
        made = calls_as_text(messages);
    else if (h->one_call)
        made = calls_apart(messages);
    if (made) {
        json_decref(messages);
        messages = made;
    }
    if (h->no_system || h->alternates)
        systems_to_users(messages, h->no_system);
    if (h->alternates) {
        made = rows_joined(messages);
        json_decref(messages);
        messages = made;
        begin_with_user(messages);
    }
    return messages;
}
