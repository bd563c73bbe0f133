// asked.h - what a request to the double asks for, in one vendor's words or another's.
//
// Only what an answer depends on is read. Everything points into the parsed body, which the asked
// owns. Threads: one.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "scenario.h"

enum vendor { VENDOR_OPENAI, VENDOR_ANTHROPIC, VENDOR_GEMINI, VENDOR_N };
enum ask { ASK_CHAT, ASK_EMBED, ASK_COUNT, ASK_MODELS, ASK_NOTHING };

struct asked {
    enum vendor vendor;
    enum ask what;
    bool stream, sse;            // sse: Gemini's alt=sse; without it a stream is an array
    struct slice folder, model;  // the path's first folder; the model in a Gemini path
    const char *model_name;
    json_t *body;
    size_t body_bytes;
    bool wants_usage;         // OpenAI's stream_options
    int64_t max_tokens;       // -1: not said
    const json_t *tools[16];  // the declarations: name, and a schema of arguments
    size_t n_tools;
    bool must_call;
    const char *must_name;  // NULL: any
    bool json;
    const json_t *schema;         // NULL: any JSON object
    size_t n_inputs, dimensions;  // ASK_EMBED
    bool as_base64;
    struct buf text;  // of the last user message, or of the inputs
    struct scenario s;
};

const char *vendor_name(enum vendor v);
// From a path with its query: vendor, what, stream. False: no route of any vendor.
bool asked_route(struct asked *a, const char *method, struct slice target);
// False with a text of what is wrong, in English.
bool asked_read(struct asked *a, struct slice body, char error[256]);
void asked_release(struct asked *a);
// A declared tool's name, and the schema of its arguments or NULL.
const char *asked_tool(const struct asked *a, size_t i, const json_t **schema);
// Appends a small value that satisfies a schema, as far as types, enum, const and required go.
void sample_write(struct buf *out, const json_t *schema);
