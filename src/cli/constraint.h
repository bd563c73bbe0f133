// constraint.h - what an answer must be, from the command line: --schema, --grammar, --regex.
#pragma once
#include <stdbool.h>

#include "base/buf.h"
#include "chat/chat.h"

struct error;
struct settings;

struct constraint_source {  // what a constraint points to; zeroed: nothing
    struct json_t *schema;
    struct buf text;
};
// Reads the file that is named. False with err: more than one of them, or a file that cannot be
// read.
bool constraint_from(struct chat_constraint *out, const struct settings *s,
                     struct constraint_source *source, struct error *err);
void constraint_source_release(struct constraint_source *source);
