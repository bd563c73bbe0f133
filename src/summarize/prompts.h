// prompts.h - the exact words that a model is asked to summarize with.
//
// Training depends on every byte of prompts.c: the small model that ships with Hearth was trained
// on exactly these prompts (train/), so a changed word there means a model trained again. The
// instructions come first and the text last, so that all parts of a run share their opening in the
// prefix cache. There is no system message. What comes from a document (title, section, text) is
// data: title and section are folded to one line and cut, the text closes the message, and no
// instruction follows it that the text could pretend to be. Threads: any; pure functions.
#pragma once
#include "base/slice.h"
#include "summarize/summarize.h"

struct buf;

enum prompt_task {
    PROMPT_SUMMARIZE,  // a whole document, or one part of it
    PROMPT_MERGE,      // text: summaries of consecutive parts, in order, blank lines between
};

enum {
    PROMPT_TITLE_BYTES = 120,  // longer ones are cut at a word, with an ellipsis
    PROMPT_SECTION_BYTES = 160,
    PROMPT_ASK_BYTES = 2000,
};

struct prompt {
    enum prompt_task task;
    enum summary_style style;
    int words;             // about how many; see prompt_words()
    const char *ask;       // a question, or NULL
    const char *language;  // "French", or NULL: the text's own
    struct slice title;    // of the document; empty: no line
    struct slice section;  // "Chapter 2 > Tragedy"; empty: no line
    struct slice text;
};

// Appends the one user message.
void prompt_write(struct buf *out, const struct prompt *p);

// A number of words as prompts say it: 10 to 100 in tens, beyond that in fifties. Few different
// numbers are easier to learn than all of them.
int prompt_words(int words);
