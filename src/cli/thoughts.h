// thoughts.h - shows an answer as it comes, with the model's thoughts between <think> and </think>.
#pragma once
#include <stdbool.h>

#include "base/slice.h"

struct chat_event;

struct thoughts {  // zeroed: an answer begins
    bool open;
};
void thoughts_print(struct thoughts *t,
                    const struct chat_event *e);  // text or reasoning; others: nothing
void thoughts_end(struct thoughts *t);            // where an answer ends
// CHAT_MEDIA: says on standard error what is not shown; others: nothing.
void thoughts_miss(const struct chat_event *e);
