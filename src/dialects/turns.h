// turns.h - a conversation in another vendor's words, as the messages that chat templates expect.
//
// Templates know OpenAI's messages: calls of tools beside an assistant's text, each result a
// message of its own. Everything made here lives as long as the call. Threads: one at a time.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "chat/chat.h"

struct dialect_call;
struct dialect_error;

enum { TURNS_MAX = 16384, CALLS_MAX = 4096 };

struct turn_call {
    const char *id, *name;
    bool answered;
};
struct turns {
    struct dialect_call *c;
    struct chat_message *messages;
    struct turn_call *calls;
    size_t n, capacity, n_calls, calls_capacity;
    char *joined;  // the last message's text if it was put together here, with room for more
    size_t joined_bytes;
    json_t *joined_parts;  // the last message's parts if they were put together here
};
void turns_init(struct turns *t, struct dialect_call *c);
// Adds text of a role. Neighbours of one role become one message, their texts on lines of their
// own, as templates want roles to alternate. `parts` (NULL: all is text) lives as long as the call.
void turns_text(struct turns *t, enum chat_role role, struct slice text, const json_t *parts);
// A call; arguments are borrowed. id NULL: one is made up. Collected until turns_assistant.
void turns_call(struct turns *t, json_t *calls, const char *id, const char *name,
                const json_t *arguments);
// An assistant's message; thoughts may be empty; takes over calls, an array that may be empty.
// `blobs` may be NULL or empty; `parts` (NULL: all is text) lives as long as the call.
void turns_assistant(struct turns *t, struct slice text, struct slice thoughts, json_t *calls,
                     const json_t *blobs, const json_t *parts);
// The result of a call, by its id; without one (NULL) of the first unanswered call of this name.
// Its message, to which parts and blobs may be added; NULL if there are too many.
struct chat_message *turns_result(struct turns *t, const char *id, const char *name,
                                  struct slice text);
// Adds a blob to an array: what of the message, in bytes of its text and in calls, comes before it.
void turns_blob(json_t *blobs, const char *vendor, json_t *value, size_t bytes, size_t calls);
// OpenAI's parts: a text, and what stands at an address or in one ("data:image/png;base64,...").
json_t *turns_text_part(struct slice text);
json_t *turns_image_part(struct slice url);
json_t *turns_file_part(struct slice name, struct slice url);
// What only its vendor can read.
json_t *turns_vendor_part(const char *vendor, const json_t *value);
// Hands the messages to the request. False with err if there are none, or more of
// them, or of their calls, than the maximum.
bool turns_end(struct turns *t, const char *member, struct dialect_error *err);

// A tool as OpenAI writes it; description and parameters may be NULL, parameters are borrowed.
json_t *turns_tool(const char *name, const json_t *description, const json_t *parameters);
// Arguments that a model wrote, as an object. A new reference, or NULL if they are none.
json_t *turns_arguments(struct slice text);
