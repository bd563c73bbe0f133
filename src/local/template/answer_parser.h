// answer_parser.h - the text of an answer, as it comes, into text, thoughts and calls of tools.
//
// What comes out does not depend on how the text was cut into pieces. Text that may be the
// beginning of a mark is held back until it is known, no longer. A call begins when its name is
// known and its arguments begin; they are handed on as they come, so that what stands in their
// place is theirs even if it is broken or cut off, as with the vendors. What is no call in spite
// of its mark comes out as text; only white space beside marks and marks that are control tokens
// are dropped. Memory: what is held, CALL_BYTES_MAX at most beside the longest piece; time is
// linear in the text but for the heads of calls, which are short. Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "chat/chat.h"
#include "local/template/answer_syntax.h"

struct answer_parser;
struct json_t;

// Stands in front of every mark that is a control token; no byte of UTF-8.
enum { ANSWER_MARK = 0xFF };

struct answer_options {
    struct answer_shape shape;
    unsigned control;  // bit i: mark i is a control token of this model, and no text is it
    bool thinking;     // the prompt ends where thoughts begin
    // The request's tools, borrowed: which may be called, and of which types their arguments are.
    // NULL: calls are text.
    const struct json_t *tools;
    bool one_call;  // all after the first call is dropped, from the next one on
    int choice;
    uint64_t id_seed;  // of the calls' ids: nine letters and digits, which every template takes
    struct chat_sink sink;
};

struct answer_parser *answer_parser_new(const struct answer_options *o);
void answer_parser_free(struct answer_parser *p);  // NULL is fine
// Text goes in; events CHAT_TEXT, CHAT_REASONING, CHAT_TOOL_CALL, CHAT_TOOL_ARGUMENTS come out.
void answer_parser_push(struct answer_parser *p, struct slice text);
// The answer's end: what was held back comes out. `cut`: the model had more to say. Then what waits
// for the rest of a mark, or of a call behind its mark, is dropped (a single byte only in or behind
// a call); a bare object that may yet be the answer's text comes out.
void answer_parser_finish(struct answer_parser *p, bool cut);
int answer_parser_n_calls(const struct answer_parser *p);
// What a token that gave no text of its own belongs to: CHAT_TEXT or CHAT_REASONING.
enum chat_event_kind answer_parser_kind(const struct answer_parser *p);
