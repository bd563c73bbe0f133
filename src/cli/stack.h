// stack.h - the parts below a command that talks to models: provider and gateway, built bottom-up.
#pragma once
#include <stdbool.h>

#include "chat/chat.h"
#include "cli/progress.h"

struct error;
struct gateway;
struct provider;
struct settings;

struct stack {
    struct provider *local;
    struct gateway *gateway;
    struct progress progress;  // of loading; commands use it for their own work too
};

// For a command that will ask for this model (NULL: nobody named one; then a line on standard error
// says that the one in the box is used). Nothing is loaded before it is asked for. False with err.
bool stack_open(struct stack *st, const struct settings *s, const char *model, struct error *err);
void stack_close(struct stack *st);

// The sampling members of a request from the command line; lists live as long as the arena.
struct arena;
bool sampling_from(struct chat_sampling *out, const struct settings *s, struct arena *a,
                   struct error *err);
