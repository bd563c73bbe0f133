// run_result.h - what `hearth run` collects from an answer's events, and how it prints it.
#pragma once
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "chat/chat.h"

struct run_choice {
    struct buf text, thoughts;
    struct chat_token *tokens;  // with their alternatives, in the arena
    size_t n_tokens, capacity;
    enum chat_finish finish;
};
struct run_result {
    struct arena arena;
    struct run_choice *choices;
    int n_choices;
    int32_t *prompt;
    size_t n_prompt;
    bool has_ids;             // false: nobody told the ids
    struct chat_token *next;  // likeliest tokens for the position after the prompt
    size_t n_next;
    struct chat_usage usage;
    double load_s;
    struct error error;  // code 0 if the answer ended well
};

void run_result_init(struct run_result *r, int n_choices);
void run_result_release(struct run_result *r);
void run_result_add(struct run_result *r, const struct chat_event *e);
// How many choices came, if only their beginning: a vendor may give fewer than it was asked for.
int run_result_delivered(const struct run_result *r);
// What came. interfaces.md's shape; model is echoed. with_logprobs: the user asked for them.
void run_result_print_json(const struct run_result *r, const char *model, bool with_logprobs);
void run_result_print_texts(const struct run_result *r);  // choices, parted by a line "---"
