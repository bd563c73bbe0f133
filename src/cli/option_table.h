// option_table.h - a row of the option table, for those who read it (parsing, help, manual).
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct command;

enum option_type { OPT_BOOL, OPT_INT, OPT_INT64, OPT_FLOAT, OPT_TEXT, OPT_LIST };
struct option {
    const char *name;
    char letter;           // 0: none
    const char *argument;  // NULL: a switch
    const char *help;
    enum option_type type;
    size_t offset;    // in struct settings
    double min, max;  // of numbers
};

const struct option *option_table(size_t *n);
bool option_applies(const struct option *o, const struct command *c);
const char *option_name(const struct option *o, const struct command *c);
