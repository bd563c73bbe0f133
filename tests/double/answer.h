// answer.h - the body of an answer, in pieces that are sent one after the other, and its count.
//
// A piece is an event of a stream, or a whole body. The vendors' words are in openai.c, anthropic.c
// and gemini.c; what is wrong on purpose is put in afterwards (faults.c), the same for all. An
// answer is used again and again, and keeps its memory. Threads: one.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asked.h"
#include "base/buf.h"

struct piece {
    size_t end;          // in the body
    size_t stamp;        // where 19 digits of time belong; 0: nowhere
    int64_t text_bytes;  // of text, thoughts, tools' names and arguments that it carries
    bool finish;         // with it, the answer has come to its end
    bool chunk;          // counts as one for `stop`, `hang`, `at` and waits
    // The usage that it tells; -1: none. told_out is with told_thoughts.
    int64_t told_in, told_out, told_thoughts;
};
struct counts {
    int64_t in, cached, write_5m, write_1h;  // in: with the other three
    int64_t out, reasoning;                  // out: with reasoning
};
enum ending { END_KEEP, END_CLOSE, END_RESET, END_HANG };

struct answer {
    int status;
    const char *type;   // of the content
    char headers[512];  // more of them, each with its CRLF
    struct buf body;
    struct piece *pieces;
    size_t n_pieces, capacity;
    size_t declared;     // what Content-Length says; 0: as long as it is
    enum ending ending;  // after the last piece
    bool unfinished;     // HTTP's own end is left out
    struct counts counts;
    const char *finish;  // "stop", "length", "tools", "filter"; "" of an error
    uint64_t number;     // of the request: ids are made of it
    // What is told, in any vendor's words.
    struct buf text, arguments;
    struct slice thought;  // of each chunk of them
    size_t *text_ends, text_capacity;
    int64_t n_text, n_thoughts, n_calls;
    size_t call_ends[16], call_tools[16];
};

// The whole answer to a request that was read.
void answer_make(struct answer *o, const struct asked *a, bool again);
// The answer to one that could not be, in the vendor's words.
void answer_refuse(struct answer *o, enum vendor vendor, int status, const char *text);
void answer_release(struct answer *o);
// Ends the piece that was written since the last one.
struct piece *answer_piece(struct answer *o);
struct slice answer_text(const struct answer *o, int64_t chunk);
struct slice answer_arguments(const struct answer *o, int64_t call);
// The piece tells this usage, the whole of it so far, unless the scenario has none.
void answer_tells(struct answer *o, const struct asked *a, int64_t out, int64_t thoughts);
// As answer_piece, of a chunk of text; `at` is where its JSON string begins in the body.
void answer_chunk(struct answer *o, const struct asked *a, size_t at, size_t bytes);

size_t answer_name_bytes(const struct asked *a, size_t tool);

void openai_whole(struct answer *o, const struct asked *a);
void openai_stream(struct answer *o, const struct asked *a);
void openai_embed(struct answer *o, const struct asked *a);
void anthropic_whole(struct answer *o, const struct asked *a);
void anthropic_stream(struct answer *o, const struct asked *a);
void gemini_whole(struct answer *o, const struct asked *a);
void gemini_stream(struct answer *o, const struct asked *a);
void gemini_embed(struct answer *o, const struct asked *a);
float embed_value(size_t input, size_t i);

// errors.c: the vendor's body of a failure, as an answer of its own or for inside one.
void error_body(struct buf *out, enum vendor vendor, int status, const char *text,
                const struct scenario *s);
// faults.c: what is wrong on purpose, put into an answer that was right.
void faults_apply(struct answer *o, const struct asked *a);
