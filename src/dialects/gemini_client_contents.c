// gemini_client_contents.c - the messages of a request as Gemini's contents.
//
// System messages that come first are the systemInstruction; the format has none between others.
// Results of tools that follow each other are parts of one content, which the text after them
// joins. A text that is no JSON object is a result's "output". Images that are behind an address
// are fileData if the address tells their type.
//
// Code that the vendor ran, and its results, are parts as they came. Signatures stand in the part
// they came with. Models from 3 refuse a call of their own without
// one; for a call that another model made, the vendor documents a value that says so.
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "dialects/gemini_client.h"
#include "dialects/gemini_code.h"
#include "dialects/turns.h"

#define VENDOR "Gemini"
enum { SIGNED = 3000 };

static json_t *text_part(struct slice text)
{
    json_t *part = json_object();
    json_object_set_new(part, "text", client_string(text));
    return part;
}

static json_t *inline_part(struct slice type, struct slice data)
{
    json_t *blob = json_object(), *part = json_object();
    json_object_set_new(blob, "mimeType", client_string(type));
    json_object_set_new(blob, "data", client_string(data));
    json_object_set_new(part, "inlineData", blob);
    return part;
}

static const char *type_of_address(struct slice url)
{
    static const struct {
        const char *end, *type;
    } types[] = {{".png", "image/png"},   {".jpg", "image/jpeg"},     {".jpeg", "image/jpeg"},
                 {".webp", "image/webp"}, {".heic", "image/heic"},    {".heif", "image/heif"},
                 {".gif", "image/gif"},   {".pdf", "application/pdf"}};
    size_t n = 0;
    while (n < url.len && url.ptr[n] != '?' && url.ptr[n] != '#')
        n++;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t len = strlen(types[i].end);
        if (n >= len && strncasecmp(url.ptr + n - len, types[i].end, len) == 0)
            return types[i].type;
    }
    return NULL;
}

static json_t *url_part(struct slice url, struct error *err)
{
    struct slice type, data;
    if (client_data_url(url, &type, &data))
        return inline_part(type, data);
    const char *guessed = type_of_address(url);
    if (!guessed) {
        (void)client_lacks(VENDOR, "an image behind an address that does not tell its type", err);
        return NULL;
    }
    json_t *file = json_object(), *part = json_object();
    json_object_set_new(file, "mimeType", json_string(guessed));
    json_object_set_new(file, "fileUri", client_string(url));
    json_object_set_new(part, "fileData", file);
    return part;
}

static json_t *audio_part(const json_t *audio)
{
    struct buf type = {0};
    buf_text_add(&type, "audio/");
    buf_slice(&type, client_text(audio, "format"));
    json_t *part = inline_part(buf_view(&type), client_text(audio, "data"));
    buf_release(&type);
    return part;
}

// NULL with err if the vendor has nothing of the kind.
static json_t *part_of(const json_t *part, struct error *err)
{
    struct slice type = client_text(part, "type"), media, data;
    const json_t *image = json_object_get(part, "image_url");
    if (slice_is(type, "text") || slice_is(type, "refusal"))
        return text_part(client_text(part, slice_is(type, "text") ? "text" : "refusal"));
    if (slice_is(type, "image_url"))
        return url_part(json_is_string(image) ? json_slice(image) : client_text(image, "url"), err);
    if (slice_is(type, "input_audio"))
        return audio_part(json_object_get(part, "input_audio"));
    if (slice_is(type, "vendor") && slice_is(client_text(part, "vendor"), "gemini"))
        return json_copy(json_object_get(part, "value"));
    if (slice_is(type, "file") &&
        client_data_url(client_text(json_object_get(part, "file"), "file_data"), &media, &data))
        return inline_part(media, data);
    (void)error_set(err, ERR_UNSUPPORTED, VENDOR "'s format cannot express a part of type %.*s",
                    (int)(type.len < 40 ? type.len : 40), type.ptr);
    return NULL;
}

static bool add_parts(json_t *list, const struct chat_message *m, struct error *err)
{
    for (size_t i = 0; i < json_array_size(m->parts); i++) {
        json_t *part = part_of(json_array_get(m->parts, i), err);
        if (!part)
            return false;
        json_array_append_new(list, part);
    }
    if (!m->parts)
        json_array_append_new(list, text_part(m->text));
    return true;
}

static bool only_texts(const json_t *parts)
{
    for (size_t i = 0; i < json_array_size(parts); i++) {
        if (!slice_is(client_text(json_array_get(parts, i), "type"), "text"))
            return false;
    }
    return true;
}

static json_t *result_part(const struct chat_request *req, size_t i, struct error *err)
{
    const struct chat_message *m = &req->messages[i];
    const char *name = client_result_name(req, i);
    json_t *result = json_object(), *response = turns_arguments(m->text);
    json_t *id = json_object_get(m->raw, "tool_call_id"), *part = json_object();
    if (!response) {
        response = json_object();
        json_object_set_new(response, "output", client_string(m->text));
    }
    if (json_is_string(id))
        json_object_set(result, "id", id);
    json_object_set_new(result, "name", client_string(slice_str(name ? name : "unknown")));
    json_object_set_new(result, "response", response);
    json_object_set_new(part, "functionResponse", result);
    if (only_texts(m->parts))
        return part;
    (void)client_lacks(VENDOR, "an image in a tool's result", err);
    json_decref(part);
    return NULL;
}

static json_t *call_part(const json_t *call)
{
    json_t *o = json_object(), *part = json_object(), *id = json_object_get(call, "id");
    if (json_is_string(id))
        json_object_set(o, "id", id);
    json_object_set(o, "name", json_object_get(json_object_get(call, "function"), "name"));
    json_object_set_new(o, "args", client_arguments(call));
    json_object_set_new(part, "functionCall", o);
    return part;
}

struct said {  // an assistant's message while its parts are written
    const struct chat_message *m;
    json_t *parts;
    size_t n_text, n_calls;   // bytes and calls that were written
    size_t n_parts, n_media;  // of the message's own parts; and of those that are no text
};

static void add_text_until(struct said *s, size_t end)
{
    struct slice run = slice_sub(s->m->text, s->n_text, end > s->n_text ? end - s->n_text : 0);
    if (run.len && utf8_valid(run.ptr, run.len)) {
        json_array_append_new(s->parts, text_part(run));
        s->n_text += run.len;
    }
}

// The same of a message that is not all text: whole parts.
static bool add_parts_until(struct said *s, size_t bytes, size_t media, struct error *err)
{
    for (; s->n_parts < json_array_size(s->m->parts); s->n_parts++) {
        const json_t *part = json_array_get(s->m->parts, s->n_parts);
        bool is_text = slice_is(client_text(part, "type"), "text");
        size_t n_text = s->n_text + client_text(part, "text").len;
        if (is_text ? n_text > bytes : s->n_media >= media)
            break;
        json_t *made = part_of(part, err);
        if (!made)
            return false;
        json_array_append_new(s->parts, made);
        s->n_text = is_text ? n_text : s->n_text;
        s->n_media += !is_text;
    }
    return true;
}

static void add_calls_until(struct said *s, size_t end)
{
    const json_t *calls = client_calls(s->m);
    for (; s->n_calls < end && s->n_calls < json_array_size(calls); s->n_calls++)
        json_array_append_new(s->parts, call_part(json_array_get(calls, s->n_calls)));
}

static bool add_said_until(struct said *s, size_t bytes, size_t media, size_t calls,
                           struct error *err)
{
    if (!client_has_media(s->m))
        add_text_until(s, calls ? s->m->text.len : bytes);
    else if (!add_parts_until(s, calls ? SIZE_MAX : bytes, calls ? SIZE_MAX : media, err))
        return false;
    add_calls_until(s, calls);
    return true;
}

// The part before a signature takes it, or one without text. Parts of code have their own.
static void sign(struct said *s, const json_t *value)
{
    json_t *last = json_array_get(s->parts, json_array_size(s->parts) - 1);
    json_t *signature = json_object_get(value, "thoughtSignature");
    bool thought = json_is_true(json_object_get(value, "thought"));
    if (!last || thought || gemini_is_code(last) || json_object_get(last, "thoughtSignature")) {
        last = text_part(slice_str(""));
        if (thought)
            json_object_set_new(last, "thought", json_true());
        json_array_append_new(s->parts, last);
    }
    json_object_set(last, "thoughtSignature", signature);
}

// Of calls of one answer only the first is signed.
static void sign_foreign(struct said *s)
{
    for (size_t i = 0; i < json_array_size(s->parts); i++) {
        json_t *part = json_array_get(s->parts, i);
        if (!json_object_get(part, "functionCall"))
            continue;
        if (!json_object_get(part, "thoughtSignature"))
            json_object_set_new(part, "thoughtSignature",
                                json_string("skip_thought_signature_validator"));
        return;
    }
}

static bool add_said(json_t *parts, const struct chat_message *m, const char *model,
                     struct error *err)
{
    struct said s = {.m = m, .parts = parts};
    bool any = false;
    for (size_t i = 0; i < json_array_size(m->blobs); i++) {
        const json_t *blob = json_array_get(m->blobs, i), *value = json_object_get(blob, "value");
        bool code = gemini_is_code(value), is_signed = client_text(value, "thoughtSignature").len;
        if (!slice_is(client_text(blob, "vendor"), "gemini") || (!code && !is_signed))
            continue;
        if (!add_said_until(&s, (size_t)client_count(blob, "bytes"),
                            (size_t)client_count(blob, "media"),
                            (size_t)client_count(blob, "calls"), err))
            return false;
        if (code)
            json_array_append(s.parts, (json_t *)value);
        else
            sign(&s, value);
        any = any || is_signed;
    }
    if (!add_said_until(&s, m->text.len, SIZE_MAX, SIZE_MAX, err))
        return false;
    if (!any && client_model_version(model) >= SIGNED)
        sign_foreign(&s);
    if (json_array_size(parts) == 0)
        json_array_append_new(parts, text_part(m->text));
    return true;
}

static bool is_system(const struct chat_message *m)
{
    return m->role == ROLE_SYSTEM || m->role == ROLE_DEVELOPER;
}

static json_t *new_content(json_t *contents, const char *role)
{
    json_t *content = json_object(), *parts = json_array();
    json_object_set_new(content, "role", json_string(role));
    json_object_set_new(content, "parts", parts);
    json_array_append_new(contents, content);
    return parts;
}

static bool add_message(json_t *contents, const struct chat_request *req, size_t i,
                        const char *model, struct error *err)
{
    const struct chat_message *m = &req->messages[i];
    bool joins = i > 0 && req->messages[i - 1].role == ROLE_TOOL;
    if (is_system(m))
        return client_lacks(VENDOR, "a system message after others", err);
    if (m->role == ROLE_ASSISTANT)
        return add_said(new_content(contents, "model"), m, model, err);
    json_t *parts =
        joins ? json_object_get(json_array_get(contents, json_array_size(contents) - 1), "parts")
              : new_content(contents, "user");
    if (m->role != ROLE_TOOL)
        return add_parts(parts, m, err);
    json_t *part = result_part(req, i, err);
    if (part)
        json_array_append_new(parts, part);
    return part != NULL;
}

bool gemini_client_contents(json_t *body, const struct chat_request *req, const char *model,
                            struct error *err)
{
    json_t *contents = json_array(), *system = json_array();
    bool ok = true;
    size_t i = 0;
    for (; ok && i < req->n_messages && is_system(&req->messages[i]); i++)
        ok = add_parts(system, &req->messages[i], err);
    if (json_array_size(system) > 0)
        json_object_set_new(body, "systemInstruction", json_pack("{s:O}", "parts", system));
    json_decref(system);
    json_object_set_new(body, "contents", contents);
    if (ok && i == req->n_messages)
        return client_lacks(VENDOR, "a conversation of system messages only", err);
    for (; ok && i < req->n_messages; i++) {
        ok = add_message(contents, req, i, model, err);
        if (!ok)
            error_wrap(err, "message %zu", i);
    }
    return ok;
}
