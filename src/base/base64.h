// base64.h - bytes as text of 64 letters and back (RFC 4648). Threads: any.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buf;

void base64_encode(struct buf *out, const void *bytes, size_t len);  // appends, with padding
// Appends the bytes. Both alphabets (+/ and -_) are read, white space between letters is skipped,
// padding may be missing. False for anything else; then some bytes may have been appended.
bool base64_decode(struct buf *out, struct slice text);
