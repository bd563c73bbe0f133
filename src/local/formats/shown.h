// shown.h - names from files, made fit for one line of an error message.
//
// A name in a file may be of any length and hold any bytes; here it is cut, and what is not
// printable ASCII becomes '?'. The result is a value: it lives to the end of the full expression.
#pragma once
#include "base/slice.h"

struct shown {
    char text[84];
};
struct shown shown_name(struct slice name);
struct shown shown_path(const char *path);  // keeps the end, which tells files apart
