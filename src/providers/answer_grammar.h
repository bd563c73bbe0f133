// answer_grammar.h - what a model may write as an answer, as a grammar over its own format:
// thoughts, calls of tools, and a text or what the text is held to.
//
// It says of answers what the parser (local/template/answer_parser.h) reads: a call of it has a
// name that is allowed and arguments that validate. Marks that are control tokens stand in it as
// GRAMMAR_MARK and their number (vocab.h). Threads: any.
#pragma once
#include <stdbool.h>

#include "chat/chat.h"
#include "local/template/answer_syntax.h"

struct program;

enum answer_begins {
    ANSWER_BEGINS,               // with thoughts or without
    ANSWER_BEGINS_THINKING,      // inside of thoughts
    ANSWER_BEGINS_THOUGHT_OVER,  // behind them
};

struct answer_grammar {
    struct answer_shape shape;
    unsigned control;  // bit i: mark i is a control token
    enum answer_begins begins;
    // The tools that may be called, as a request has them; NULL: none.
    const struct json_t *tools;
    const char *only;  // of them this one; NULL: any
    bool must_call;    // no text, at least one call
    bool one_call;     // not more
    bool strict;       // every tool's schema must hold, not only of those that say so
    bool known;        // calls are of these tools, whatever else
    const struct chat_constraint *text;  // what the text is if there is no call
};
// Whether the request needs one: a call must come or be right, or the text is held to something.
bool answer_grammar_needed(const struct answer_grammar *g);
// A finished program, or NULL with err: it names the tool and the keyword.
struct program *answer_grammar_compile(const struct answer_grammar *g, struct error *err);
