// utf8.h - strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Length (1-4) of the character at p, its code point in *code; 0 if the bytes there are not a
// whole valid character (len is what is left). A caller that goes on takes one byte.
size_t utf8_decode(const char *p, size_t len, uint32_t *code);

// Writes 1-4 bytes; an invalid code point is written as U+FFFD.
size_t utf8_encode(uint32_t code, char out[4]);

bool utf8_valid(const char *p, size_t len);

// How many of the first len bytes are whole characters, when the last one may still be arriving:
// len minus the 0-3 bytes of an unfinished but so far valid character at the end.
size_t utf8_whole(const char *p, size_t len);
