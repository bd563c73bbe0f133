// media.h - images and sounds in an answer whose client's format has no place for them.
//
// They are never left out in silence: a text names what is missing.
#pragma once
#include <stdbool.h>

struct buf;
struct chat_event;
struct dialect;

// Whether the dialect's answers can hold what this CHAT_MEDIA has.
bool media_is_shown(const struct dialect *d, const struct chat_event *e);
// Appends what it is: "image/png, 10248 bytes".
void media_name(const struct chat_event *e, struct buf *out);
// Appends a line of text that stands for it in an answer.
void media_note(const struct chat_event *e, struct buf *out);
