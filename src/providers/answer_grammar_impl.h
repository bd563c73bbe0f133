// answer_grammar_impl.h - what the files of answers' grammars share; nobody else includes it.
//
// answer_grammar.c makes the parts of an answer, answer_calls.c the calls of each format.
#pragma once
#include "base/json.h"
#include "local/sampling/grammar/json_text.h"
#include "local/sampling/grammar/program.h"
#include "local/sampling/grammar/raw_text.h"
#include "providers/answer_grammar.h"

struct answer_builder {
    const struct answer_grammar *g;
    struct program *p;
    struct json_text json;  // of what stands around arguments
    struct json_text own;   // of arguments, in the format's notation
    struct raw_text *raw;   // what may stand between tags or quotes
    uint32_t *arguments;    // rules by tool
    bool *allowed;          // by tool
    char quote[2];          // a mark that is a control token
    struct error *err;
};

// Nodes before `next`: a mark, nothing if the format has none of this number; white space.
uint32_t answer_mark_node(struct answer_builder *b, enum mark mark, uint32_t next);
uint32_t answer_text_node(struct answer_builder *b, const char *text, uint32_t next);
uint32_t answer_line_node(struct answer_builder *b, uint32_t next);  // a line's end or none
// The name of a tool of the request, and the schema of its parameters (NULL: none).
struct slice answer_tool_name(const json_t *tool);
const json_t *answer_tool_schema(const json_t *tool);

// answer_calls.c. False with err: a tool whose schema or name the format cannot hold.
bool answer_calls_begin(struct answer_builder *b);
// One call or several, as the format has them, up to the end of the answer.
uint32_t answer_calls(struct answer_builder *b, uint32_t next);
void answer_calls_end(struct answer_builder *b);
