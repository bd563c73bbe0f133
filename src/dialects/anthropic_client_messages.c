// anthropic_client_messages.c - the messages of a request as Anthropic's blocks.
//
// System messages that come first are the request's `system`; later ones are messages of the role
// system. Results of tools that follow each other are blocks of one user's message, which the text
// after them joins. Thoughts are written only with their signature, as the blob they came in: the
// vendor takes no others. So are blocks of the tools that it runs itself.
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"
#include "dialects/anthropic.h"
#include "dialects/anthropic_client.h"

#define VENDOR "Anthropic"

static json_t *text_block(struct slice text)
{
    json_t *block = json_object();
    json_object_set_new(block, "type", json_string("text"));
    json_object_set_new(block, "text", client_string(text));
    return block;
}

// The vendor's ids have letters, digits, _ and - only; others are written so that they stay apart.
static json_t *id_of(const json_t *id)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    struct slice s = json_is_string(id) ? json_slice(id) : slice_str("");
    struct buf made = {0};
    bool plain = s.len > 0;
    for (size_t i = 0; i < s.len; i++) {
        bool fits = s.ptr[i] && strchr(good, s.ptr[i]);
        buf_char(&made, fits ? s.ptr[i] : '_');
        plain = plain && fits;
    }
    if (!plain)
        buf_printf(&made, "_%08" PRIx32, (uint32_t)hash_bytes(s.ptr, s.len, 0));
    json_t *out = client_string(buf_view(&made));
    buf_release(&made);
    return out;
}

static json_t *source_of(struct slice url)
{
    struct slice type, data;
    json_t *source = json_object();
    if (client_data_url(url, &type, &data)) {
        json_object_set_new(source, "type", json_string("base64"));
        json_object_set_new(source, "media_type", client_string(type));
        json_object_set_new(source, "data", client_string(data));
    } else {
        json_object_set_new(source, "type", json_string("url"));
        json_object_set_new(source, "url", client_string(url));
    }
    return source;
}

static json_t *sourced(const char *type, struct slice url)
{
    json_t *block = json_object();
    json_object_set_new(block, "type", json_string(type));
    json_object_set_new(block, "source", source_of(url));
    return block;
}

static bool is_pdf(struct slice url)
{
    return slice_starts(url, slice_str("data:application/pdf;"));
}

// NULL with err if the vendor has nothing of the kind.
static json_t *block_of(const json_t *part, struct error *err)
{
    struct slice type = client_text(part, "type"), vendor = client_text(part, "vendor");
    const json_t *image = json_object_get(part, "image_url"), *file = json_object_get(part, "file");
    struct slice data = client_text(file, "file_data"), name = client_text(file, "filename");
    if (slice_is(type, "text") || slice_is(type, "refusal"))
        return text_block(client_text(part, slice_is(type, "text") ? "text" : "refusal"));
    if (slice_is(type, "image_url"))
        return sourced("image",
                       json_is_string(image) ? json_slice(image) : client_text(image, "url"));
    if (slice_is(type, "vendor") && slice_is(vendor, "anthropic"))
        return json_copy(json_object_get(part, "value"));
    if (slice_is(type, "file") && is_pdf(data)) {
        json_t *block = sourced("document", data);
        if (name.len)
            json_object_set_new(block, "title", client_string(name));
        return block;
    }
    (void)error_set(err, ERR_UNSUPPORTED, VENDOR "'s format cannot express a part of type %.*s",
                    (int)(type.len < 40 ? type.len : 40), type.ptr);
    return NULL;
}

static bool add_parts(json_t *blocks, const json_t *parts, struct error *err)
{
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        json_t *block = block_of(part, err), *cache = json_object_get(part, "cache_control");
        if (!block)
            return false;
        bool empty =
            slice_is(client_text(block, "type"), "text") && client_text(block, "text").len == 0;
        if (cache)
            json_object_set(block, "cache_control", cache);
        if (!empty)  // the vendor refuses empty texts
            json_array_append(blocks, block);
        json_decref(block);
    }
    return true;
}

// What the vendor said of a result or a call: whether it failed, and marks for its cache.
static void add_marks(json_t *block, const struct chat_message *m, const char *type)
{
    static const char *const written[] = {"type", NULL};
    for (size_t i = 0; i < json_array_size(m->blobs); i++) {
        const json_t *blob = json_array_get(m->blobs, i), *value = json_object_get(blob, "value");
        if (slice_is(client_text(blob, "vendor"), "anthropic") &&
            slice_is(client_text(value, "type"), type))
            client_pass_on(block, value, written);
    }
}

static json_t *result_of(const struct chat_message *m, struct error *err)
{
    json_t *block = json_object(), *content = json_array();
    json_object_set_new(block, "type", json_string("tool_result"));
    json_object_set_new(block, "tool_use_id", id_of(json_object_get(m->raw, "tool_call_id")));
    if (m->parts && !add_parts(content, m->parts, err)) {
        json_decref(content);
        json_decref(block);
        return NULL;
    }
    if (m->parts)
        json_object_set(block, "content", content);
    else
        json_object_set_new(block, "content", client_string(m->text));
    json_decref(content);
    add_marks(block, m, "tool_result");
    return block;
}

// Text and thoughts of an assistant's message up to `end` bytes of its text.
static void add_text_until(json_t *blocks, struct slice text, size_t *written, size_t end)
{
    struct slice run;
    if (end > text.len || end < *written)
        return;
    run = slice_sub(text, *written, end - *written);
    if (run.len && *written && run.ptr[0] == '\n')  // which joined two blocks
        run = slice_sub(run, 1, run.len);
    if (run.len && utf8_valid(run.ptr, run.len)) {
        json_array_append_new(blocks, text_block(run));
        *written = end;
    }
}

static void add_call(json_t *blocks, const json_t *call)
{
    json_t *block = json_object();
    const json_t *name = json_object_get(json_object_get(call, "function"), "name");
    json_object_set_new(block, "type", json_string("tool_use"));
    json_object_set_new(block, "id", id_of(json_object_get(call, "id")));
    json_object_set(block, "name", (json_t *)name);
    json_object_set_new(block, "input", client_arguments(call));
    json_array_append_new(blocks, block);
}

static void add_calls_until(json_t *blocks, const json_t *calls, size_t *written, size_t end)
{
    for (; *written < end && *written < json_array_size(calls); ++*written)
        add_call(blocks, json_array_get(calls, *written));
}

// Signed thoughts, and blocks of tools that the vendor runs.
static bool is_block(const json_t *blob)
{
    const json_t *value = json_object_get(blob, "value");
    struct slice type = client_text(value, "type");
    return slice_is(client_text(blob, "vendor"), "anthropic") &&
           ((slice_is(type, "thinking") && client_text(value, "signature").len) ||
            slice_is(type, "redacted_thinking") || anthropic_is_server_block(value));
}

// Blobs tell how much of the text, and how many calls, came before them.
static void add_said(json_t *blocks, const struct chat_message *m)
{
    size_t n_text = 0, n_calls = 0;
    const json_t *calls = client_calls(m);
    for (size_t i = 0; i < json_array_size(m->blobs); i++) {
        const json_t *blob = json_array_get(m->blobs, i);
        if (!is_block(blob))
            continue;
        size_t before = (size_t)client_count(blob, "calls");
        add_text_until(blocks, m->text, &n_text,
                       before ? m->text.len : (size_t)client_count(blob, "bytes"));
        add_calls_until(blocks, calls, &n_calls, before);
        json_array_append(blocks, json_object_get(blob, "value"));
    }
    add_text_until(blocks, m->text, &n_text, m->text.len);
    add_calls_until(blocks, calls, &n_calls, SIZE_MAX);
    json_t *last = json_array_get(blocks, json_array_size(blocks) - 1);
    struct slice type = client_text(last, "type");
    if (json_array_size(m->blobs) > 0 && (slice_is(type, "text") || slice_is(type, "tool_use"))) {
        json_t *copy = json_copy(last);
        add_marks(copy, m, "last");
        json_array_set_new(blocks, json_array_size(blocks) - 1, copy);
    }
}

// The content of a message: its text, or blocks.
static json_t *content_of(const struct chat_message *m, struct error *err)
{
    json_t *blocks = json_array();
    bool ok = true;
    if (m->role == ROLE_ASSISTANT && client_has_media(m))
        ok = client_lacks(VENDOR, "an image in an assistant's message", err);
    else if (m->role == ROLE_ASSISTANT && (m->raw || m->blobs))
        add_said(blocks, m);
    else if (m->parts)
        ok = add_parts(blocks, m->parts, err);
    else {
        json_decref(blocks);
        return client_string(m->text);
    }
    if (ok)
        return blocks;
    json_decref(blocks);
    return NULL;
}

static void append(json_t *list, const char *role, json_t *content)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", content);
    json_array_append_new(list, m);
}

// The blocks of a user's message that holds results only so far, or NULL.
static json_t *open_results(const json_t *list, const struct chat_request *req, size_t i)
{
    if (i == 0 || req->messages[i - 1].role != ROLE_TOOL)
        return NULL;
    return json_object_get(json_array_get(list, json_array_size(list) - 1), "content");
}

static bool add_result(json_t *list, const struct chat_request *req, size_t i, struct error *err)
{
    json_t *block = result_of(&req->messages[i], err), *open = open_results(list, req, i);
    if (!block)
        return false;
    if (!open) {
        open = json_array();
        append(list, "user", open);
    }
    json_array_append_new(open, block);
    return true;
}

static bool add_message(json_t *list, const struct chat_request *req, size_t i, struct error *err)
{
    const struct chat_message *m = &req->messages[i];
    json_t *open = open_results(list, req, i);
    if (m->role == ROLE_TOOL)
        return add_result(list, req, i, err);
    json_t *content = content_of(m, err);
    if (!content)
        return false;
    if (m->role == ROLE_USER && open) {
        if (json_is_string(content) && json_string_length(content) > 0)
            json_array_append_new(open, text_block(json_slice(content)));
        else if (json_is_array(content))
            json_array_extend(open, content);
        json_decref(content);
        return true;
    }
    append(list,
           m->role == ROLE_USER        ? "user"
           : m->role == ROLE_ASSISTANT ? "assistant"
                                       : "system",
           content);
    return true;
}

static bool is_system(const struct chat_message *m)
{
    return m->role == ROLE_SYSTEM || m->role == ROLE_DEVELOPER;
}

// The first messages, if they are the system's: one text, or blocks. *n: how many.
static bool write_system(json_t *body, const struct chat_request *req, size_t *n, struct error *err)
{
    json_t *blocks = json_array();
    bool ok = true;
    for (*n = 0; ok && *n < req->n_messages && is_system(&req->messages[*n]); ++*n) {
        const struct chat_message *m = &req->messages[*n];
        if (m->parts)
            ok = add_parts(blocks, m->parts, err);
        else if (m->text.len)
            json_array_append_new(blocks, text_block(m->text));
    }
    const json_t *first = json_array_get(blocks, 0);
    if (json_array_size(blocks) == 1 && json_object_size(first) == 2)
        json_object_set(body, "system", json_object_get(first, "text"));
    else if (json_array_size(blocks) > 0)
        json_object_set(body, "system", blocks);
    json_decref(blocks);
    return ok;
}

bool anthropic_client_messages(json_t *body, const struct chat_request *req, struct error *err)
{
    json_t *list = json_array();
    size_t n = 0;
    json_object_set_new(body, "messages", list);
    if (!write_system(body, req, &n, err))
        return false;
    if (n == req->n_messages)
        return client_lacks(VENDOR, "a conversation of system messages only", err);
    for (size_t i = n; i < req->n_messages; i++) {
        if (!add_message(list, req, i, err)) {
            error_wrap(err, "message %zu", i);
            return false;
        }
    }
    return true;
}
