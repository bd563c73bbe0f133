// Messages come in the form that dialects give them: content is a string, arguments of calls are
// objects, thoughts are in reasoning_content. Some templates want it otherwise; what they want
// stands in their text and is read once, when the model is opened.
#include "base/hash.h"
#include "base/utf8.h"
#include "providers/local_impl.h"

static bool has(struct slice s, const char *text)
{
    return s.len && memmem(s.ptr, s.len, text, strlen(text));
}

struct template_habits local_habits(struct slice t)
{
    bool asks_none = has(t, "content'] is not none") || has(t, "content\"] is not none") ||
                     has(t, ".content is not none");
    return (struct template_habits){
        .null_content = asks_none,
        .short_ids = has(t, "length != 9"),
        .thinking = has(t, "message.thinking") && !has(t, "reasoning_content"),
        .developer = has(t, "developer"),
        .tools = has(t, "tools"),
        .no_system = has(t, "ystem role not supported"),
        .alternates = has(t, "roles must alternate"),
        .one_call = has(t, "only supports single tool-calls"),
    };
}

static const char *role_name(enum chat_role role)
{
    static const char *const names[] = {
        [ROLE_SYSTEM] = "system", [ROLE_USER] = "user",           [ROLE_ASSISTANT] = "assistant",
        [ROLE_TOOL] = "tool",     [ROLE_DEVELOPER] = "developer",
    };
    return names[role];
}

json_t *local_text_json(struct slice s)
{
    if (utf8_valid(s.ptr, s.len))
        return json_stringn_nocheck(s.len ? s.ptr : "", s.len);
    struct buf whole = {0};
    uint32_t code;
    for (size_t i = 0, n; i < s.len; i += n ? n : 1) {
        n = utf8_decode(s.ptr + i, s.len - i, &code);
        buf_utf8(&whole, n ? code : 0xFFFD);
    }
    json_t *j = json_stringn_nocheck(whole.ptr, whole.len);
    buf_release(&whole);
    return j;
}

// Templates that insist on nine letters and digits get them, the same for the same id.
static json_t *short_id(const json_t *id)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    struct slice text = json_slice(id);
    bool fits = text.len == 9;
    for (size_t i = 0; i < text.len && fits; i++)
        fits = (text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
               ((text.ptr[i] | 32) >= 'a' && (text.ptr[i] | 32) <= 'z');
    if (fits)
        return json_incref((json_t *)id);
    char out[9];
    uint64_t bits = hash_bytes(text.ptr, text.len, 9);
    for (size_t i = 0; i < sizeof out; i++, bits /= 36)
        out[i] = digits[bits % 36];
    return json_stringn_nocheck(out, sizeof out);
}

static void shorten_ids(json_t *message)
{
    size_t i;
    json_t *call, *calls = json_object_get(message, "tool_calls"), *list = json_array();
    const json_t *id = json_object_get(message, "tool_call_id");
    if (json_is_string(id))
        json_object_set_new(message, "tool_call_id", short_id(id));
    json_array_foreach(calls, i, call)
    {
        json_t *copy = json_copy(call);
        id = json_object_get(call, "id");
        if (json_is_string(id))
            json_object_set_new(copy, "id", short_id(id));
        json_array_append_new(list, copy);
    }
    if (json_array_size(list) > 0)
        json_object_set(message, "tool_calls", list);
    json_decref(list);
}

// A message that a client wrote, as this template wants it.
static json_t *adapted(const struct template_habits *h, const json_t *raw)
{
    json_t *m = json_copy((json_t *)raw);
    const json_t *content = json_object_get(m, "content");
    const json_t *thoughts = json_object_get(m, "reasoning_content");
    if (h->short_ids)
        shorten_ids(m);
    if (h->null_content && json_object_get(m, "tool_calls") && json_is_string(content) &&
        json_string_length(content) == 0)
        json_object_set_new(m, "content", json_null());
    if (h->thinking && json_is_string(thoughts)) {
        // Such a template takes thoughts or text beside a call, not both.
        if (!json_object_get(m, "tool_calls") || json_string_length(content) == 0)
            json_object_set(m, "thinking", (json_t *)thoughts);
        json_object_del(m, "reasoning_content");
    }
    return m;
}

json_t *local_messages(const struct local_model *m, const struct chat_request *req)
{
    json_t *list = json_array();
    for (size_t i = 0; i < req->n_messages; i++) {
        const struct chat_message *message = &req->messages[i];
        bool unknown = message->role == ROLE_DEVELOPER && !m->habits.developer;
        json_t *o = message->raw ? adapted(&m->habits, message->raw) : json_object();
        if (!message->raw)
            json_object_set_new(o, "content", local_text_json(message->text));
        if (!message->raw || unknown)
            json_object_set_new(o, "role",
                                json_string(role_name(unknown ? ROLE_SYSTEM : message->role)));
        json_array_append_new(list, o);
    }
    local_tools_tell(m, req, list);
    return local_turns(m, list);
}
