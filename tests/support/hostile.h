// hostile.h - corpora of files that lie, and what must be said of each.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct error;

struct hostile {
    const char *file;   // in the corpus' folder
    const char *error;  // what the error's text must be, or end with if it starts with "..."
};

// Runs open_it over every file of the folder. A file in the table must fail with its text, every
// other must be named good-* and succeed; each file of the table must be there.
typedef bool (*hostile_open)(const char *path, struct error *err);
void check_hostile(const char *folder, const struct hostile *table, size_t n, hostile_open open_it);
