// template.h - chat templates: a Jinja interpreter with bounds on steps, depth and output.
//
// Rendered text equals transformers' apply_chat_template byte for byte. The template is not
// trusted: it sees only the values it is given, and every loop, recursion and string is bounded.
// Threads: a template is immutable after open; rendering keeps its own state.
// Source: jinja.palletsprojects.com/en/stable/templates; transformers, chat_template_utils.py
// (trim_blocks, lstrip_blocks, loop controls, tojson, raise_exception, strftime_now, generation).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct error;
struct json_t;
struct template;

struct template_limits {
    uint64_t max_steps;  // 0: 20 million
    size_t max_output;   // 0: 64 MiB
    int max_depth;       // 0: 200
    int64_t now;         // strftime_now's clock, seconds since 1970; 0: the system's local time
};

// Which bytes of the output were copied from the caller's strings rather than written by the
// template: ascending, disjoint. There special tokens must not be parsed. Not counted as the
// caller's: variables named ..._token, and the well-known roles of messages.
struct rendered_span {
    size_t start, end;
};
struct rendered {
    struct buf text;
    struct rendered_span *from_values;
    size_t n_from_values, capacity;
};
void rendered_release(struct rendered *r);

// NULL with err (ERR_FORMAT), which names the line.
struct template *template_open(struct slice source, struct error *err);
void template_close(struct template *t);

// variables: a JSON object: messages, tools, add_generation_prompt, bos_token, ... . False with
// err: the line, and for raise_exception its message; ERR_LIMIT when a bound was reached.
bool template_render(const struct template *t, const struct json_t *variables,
                     const struct template_limits *limits, struct rendered *out, struct error *err);
