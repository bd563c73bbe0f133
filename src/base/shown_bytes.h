// shown_bytes.h - numbers of bytes as people read them.
#pragma once

// "4.68 GB", "491 MB", "12.0 kB": three digits, powers of ten. A value: it lives to the end of the
// full expression.
struct shown_bytes {
    char text[16];
};
struct shown_bytes shown_bytes(double bytes);
