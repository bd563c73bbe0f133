// openai_responses.h - what the files of POST /v1/responses share; only openai_responses*.c
// include it.
//
// openai_responses.c is the dialect and reads what a request asks for, openai_responses_input.c
// its items and tools, openai_responses_write.c writes the object of an answer, and
// openai_responses_stream.c its events. Nothing is stored: a conversation comes whole with every
// request. Source: the types of the official Python package `openai` 2.54.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dialects/answer.h"

struct dialect_call;
struct dialect_error;

struct responses_state {
    const json_t *body;  // the request, borrowed: its answer repeats much of it
    bool logprobs;
    // Of streams:
    struct dialect_answer answer;  // what was said so far
    int64_t sequence;              // number of the next event
    bool begun, open;              // open: the last item that was begun has not ended
    bool refusing;                 // of the open item, the refusal is open
    size_t n_items;                // that were begun
    size_t n_tokens;               // of the answer's whose logprobs were written
};

// Input

// Reads "instructions" and "input" into the request's messages.
bool responses_input(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// Reads "tools", "tool_choice" and "parallel_tool_calls".
bool responses_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err);

// Output

// One item of the output: what was said in one go.
struct responses_item {
    enum chat_event_kind kind;  // CHAT_TEXT, CHAT_REASONING, CHAT_TOOL_CALL
    size_t index;
    struct slice text;  // or the arguments of a call
    // A message's text is up to here what the model says, and from here on why it says no more: a
    // part of its own.
    size_t n_plain;
    bool refuses;
    const struct dialect_tool *tool;
    const struct chat_token *tokens;
    size_t n_tokens;
};
// The item of this place; an answer without any has one of empty text. Borrows from the choice.
struct responses_item responses_item_of(const struct dialect_choice *choice, size_t index);
// `status`: "in_progress", "completed" or "incomplete".
void responses_write_item(const struct dialect_call *c, const struct responses_item *item,
                          const char *status, struct buf *out);
void responses_write_item_id(const struct dialect_call *c, const struct responses_item *item,
                             struct buf *out);
// The content part of a message or of thoughts; or that of the message's refusal.
void responses_write_part(const struct dialect_call *c, const struct responses_item *item,
                          bool refusal, struct buf *out);
// Whether all that the message says is a refusal.
bool responses_only_refuses(const struct responses_item *item);
// The status of a finished choice.
const char *responses_status(enum chat_finish f);
// The whole object. `a` holds the output; usage and error may be NULL.
void responses_write(const struct dialect_call *c, const struct dialect_answer *a,
                     const char *status, const struct chat_usage *usage,
                     const struct dialect_error *error, struct buf *out);
// Appends what an event looks like in a stream.
void responses_write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out);
