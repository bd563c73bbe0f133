// gemini_answer.h - what the files that read Gemini's requests and write its answers share; only
// gemini.c, gemini_write.c and gemini_stream.c include it.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "chat/chat.h"
#include "dialects/gemini.h"

struct buf;
struct dialect_answer;

enum { GEMINI_CHOICES = 8 };

// How a choice ended: the vendor's word and sentence where it has these words, else ours.
struct gemini_end {
    enum chat_finish finish;
    struct slice word, text;
    const char *malformed;  // a call that could not be read: that is told instead; or NULL
};
struct gemini_choice {  // of a stream
    struct gemini_end end;
    bool calling;  // name and arguments of a call are being collected, in the arena
    const char *id, *name;
    struct slice signature;  // of the call
    char *arguments;
    size_t n_arguments, capacity;
    struct gemini_mean mean;
};
struct gemini_state {
    bool thoughts, sse, begun, told_end;
    struct slice feedback;  // of a stream: why the prompt was blocked, JSON; else empty
    int n_choices;
    struct gemini_choice choices[GEMINI_CHOICES];
};

// What of a vendor's blob is Gemini's: a signature, what it said of the prompt, or a whole part.
struct gemini_mark {
    json_t *value;  // a new reference that holds the rest; NULL: nothing is
    struct slice signature;
    bool thought;
    const json_t *feedback, *part;
};
struct gemini_mark gemini_read_mark(const char *vendor, struct slice blob);

void gemini_write_text(struct slice text, bool thought, struct slice signature, struct buf *out);
// False if the arguments are no object.
bool gemini_write_call(const char *id, const char *name, struct slice arguments,
                       struct slice signature, struct buf *out);
// `vendor` (may be NULL) says `more` of it, an object.
void gemini_write_media(struct slice type, struct slice base64, const char *vendor,
                        struct slice more, struct buf *out);
// What is told of a call that could not be read.
char *gemini_malformed(struct arena *a, const char *name, struct slice arguments);
// A vendor's end if it is Gemini's.
struct gemini_end gemini_end_of(enum chat_finish f, const char *vendor, struct slice word,
                                struct slice text);
void gemini_write_finish(const struct gemini_end *end, struct buf *out);
void gemini_write_usage(const struct chat_usage *u, struct buf *out);
void gemini_write_tail(const struct dialect_call *c, struct buf *out);

void gemini_write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out);
void gemini_write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out);
