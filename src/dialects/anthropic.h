// anthropic.h - what the files of the Anthropic dialect share; only anthropic*.c include it.
//
// Source: the types of the official Python package `anthropic` and the public API reference
// (messages, streaming, tool use, errors), version 2023-06-01.
#pragma once
#include "dialects/dialect.h"

// As a dialect's read_request: all of a request, and what counts of one.
bool anthropic_read_request(const struct http_request *in, struct dialect_call *c,
                            struct dialect_error *err);
bool anthropic_read_count(const struct http_request *in, struct dialect_call *c,
                          struct dialect_error *err);
// system and messages of the body, as the request's messages.
bool anthropic_messages(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// tools and tool_choice.
bool anthropic_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// Whether a block of an assistant's is of a tool that the vendor runs itself: a use of it or what
// it gave ("server_tool_use", "web_search_tool_result"). Such blocks are blobs (CHAT_BLOB) as they
// came.
bool anthropic_is_server_block(const json_t *block);
int anthropic_write_error(const struct dialect_error *err, struct buf *out);
