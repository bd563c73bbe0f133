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

// Of one call per message: each with its result behind it, whatever order the results came in.
static json_t *calls_apart(const json_t *messages)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        json_t *calls = json_object_get(message, "tool_calls");
        size_t n = json_array_size(calls), end = i + 1;
        if (n < 2) {
            json_array_append(out, message);
            continue;
        }
        while (is_role(json_array_get(messages, end), "tool"))
            end++;
        json_t *results = json_array();
        for (size_t k = i + 1; k < end; k++)
            json_array_append(results, json_array_get(messages, k));
        for (size_t k = 0; k < n; k++) {
            json_t *call = json_array_get(calls, k), *one = json_copy(message);
            const char *id = json_get_text(call, "id");
            json_object_set_new(one, "tool_calls", json_pack("[O]", call));
            if (k > 0) {
                json_object_set_new(one, "content", json_string(""));
                json_object_del(one, "reasoning_content");
                json_object_del(one, "thinking");
            }
            json_array_append_new(out, one);
            for (size_t r = 0; r < json_array_size(results); r++) {
                json_t *result = json_array_get(results, r);
                const char *of = json_get_text(result, "tool_call_id");
                if (id && of && strcmp(id, of) == 0) {
                    json_array_append(out, result);
                    json_array_remove(results, r--);
                }
            }
        }
        json_array_extend(out, results);
        json_decref(results);
        i = end - 1;
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

static const char *name_of_call(const json_t *messages, size_t end, const char *id)
{
    for (size_t i = end; id && i-- > 0;) {
        const json_t *calls = json_object_get(json_array_get(messages, i), "tool_calls");
        for (size_t k = 0; k < json_array_size(calls); k++) {
            const json_t *call = json_array_get(calls, k);
            const char *its = json_get_text(call, "id");
            if (its && strcmp(its, id) == 0)
                return json_get_text(json_object_get(call, "function"), "name");
        }
    }
    return NULL;
}

// Calls and results as texts: calls as local_tools.c taught them, results as the user's.
static json_t *calls_as_text(const json_t *messages)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        json_t *copy = json_copy((json_t *)message), *text;
        const json_t *calls = json_object_get(message, "tool_calls");
        struct buf said = {0};
        for (size_t k = 0; k < json_array_size(calls); k++)
            write_call(json_array_get(calls, k), &said);
        if (is_role(message, "tool")) {
            const char *name = name_of_call(messages, i, json_get_text(message, "tool_call_id"));
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

// Messages in a row of who may speak but once are one. A user who speaks behind a call's result
// speaks in it, since templates that count turns want the model's next.
static void join_rows(json_t *messages)
{
    for (size_t i = 1; i < json_array_size(messages);) {
        json_t *before = json_array_get(messages, i - 1), *message = json_array_get(messages, i);
        const char *role = json_get_text(message, "role");
        bool same = role && is_role(before, role) && !is_role(before, "tool");
        bool behind = is_role(before, "tool") && is_role(message, "user");
        if ((!same && !behind) || has_calls(before) || has_calls(message)) {
            i++;
            continue;
        }
        join(before, json_object_get(message, "content"), false);
        json_array_remove(messages, i);
    }
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
        join_rows(messages);
        begin_with_user(messages);
    }
    return messages;
}
