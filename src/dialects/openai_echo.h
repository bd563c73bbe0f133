// openai_echo.h - the prompt that stands before its completion: its text, and where its tokens
// begin in it (/v1/completions with `echo`). Threads: one at a time.
//
// A prompt that came as a text is shown as it came. Its tokens join to the same text but for what
// tokenizers put before it: a token that begins texts, a space. One that came as ids is shown as
// its tokens' bytes joined.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buf;
struct chat_token;

struct openai_echo {
    bool given;         // as a text
    struct slice text;  // then it
    size_t at;          // of the shown text, before the next token
    size_t n_shown;     // bytes of it that were told
    char held[4];       // of ids: the beginning of a character that is not whole yet
    size_t n_held;
};

// Where in the text the token begins; moves behind it.
size_t openai_echo_place(struct openai_echo *e, struct slice token);
// Moves behind these tokens and appends what can be told with them: whole characters.
void openai_echo_add(struct openai_echo *e, const struct chat_token *tokens, size_t n,
                     struct buf *out);
// Appends what was not told yet after so many bytes, at the prompt's end.
void openai_echo_rest(const struct openai_echo *e, size_t n_shown, struct buf *out);
