// encoding.h - bytes of unknown encoding as UTF-8, and back to where each character stood.
//
// Order: byte order mark; the declaration of HTML or XML; valid UTF-8; zero bytes that look like
// UTF-16; ICU's detection; Windows-1252, which every byte is a character of. Bytes that the
// encoding does not have become U+FFFD. Threads: pure functions. Source: encoding.spec.whatwg.org
// (names of ISO-8859-1 mean Windows-1252).
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct error;

struct decoded {
    struct slice text;  // UTF-8; a view of the bytes where they were that already
    struct buf owned;
    char charset[64];  // ICU's name
    size_t mark;       // bytes of a byte order mark in front
    bool same;         // text is bytes[mark..]
};

// The bytes must outlive `out`. False with err.
bool encoding_decode(struct slice bytes, bool declared, struct decoded *out, struct error *err);
void encoding_release(struct decoded *d);
// Turns ascending positions in the text into offsets in the bytes, each in place.
void encoding_map(struct slice bytes, const struct decoded *d, size_t *const *positions, size_t n);
