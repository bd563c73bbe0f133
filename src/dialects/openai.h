// openai.h - what OpenAI's wire formats share; only openai_*.c include it.
//
// Source: the types of the official Python package `openai` and the public API reference.
#pragma once
#include "dialects/answer.h"
#include "dialects/dialect.h"

// Sampling members that chat completions and completions have in common, with the ones that other
// servers add (top_k, min_p, typical_p, repetition_penalty): everything but logprobs.
bool openai_sampling(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// stream, and *include_usage of stream_options.
bool openai_stream(struct dialect_call *c, const json_t *body, bool *include_usage,
                   struct dialect_error *err);
// What the client calls whatever belongs together: prompt_cache_key, else user or
// safety_identifier.
bool openai_session(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// "stop", "length" ...
const char *openai_finish(enum chat_finish f);
void openai_write_usage(const struct chat_usage *u, struct buf *out);
// [{"token","logprob","bytes","top_logprobs":[...]}, ...]
void openai_write_tokens(const struct chat_token *tokens, size_t n, struct buf *out);
// {"error":{...}} without a line end.
void openai_write_error_body(const struct dialect_error *err, struct buf *out);
int openai_write_error(const struct dialect_error *err, struct buf *out);
// The same of an event, as a line of a stream.
void openai_write_error_event(const struct dialect_call *c, const struct chat_event *event,
                              struct buf *out);

// The form that an answer must have, as `format` says it: text, json_object or json_schema. `at` is
// its path; the schema is a member of it, or of its member `wrapper` (may be NULL). No format:
// text.
bool openai_format(struct dialect_call *c, const json_t *format, const char *at,
                   const char *wrapper, struct dialect_error *err);
// The same, as other servers' members say it (openai_constraint_members, NULL last), for what has
// no form yet: two of them are refused.
extern const char *const openai_constraint_members[];
bool openai_constraint(struct dialect_call *c, const json_t *body, struct dialect_error *err);
