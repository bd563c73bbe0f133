// fresh_file.h - a file that appears under its name whole or not at all.
//
// What is written goes into a file in the same folder, which takes the name at the end; until then,
// and if it never comes to that, whatever had the name before stays. Where the file system can,
// that file has no name (O_TMPFILE), so that the system frees it however the process ends; else it
// is PATH.PID-N.tmp. A device or a pipe is written to as it is. Threads: a file belongs to one at a
// time. Errors: false with errno.
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct fresh_file {
    FILE *f;
    char *path, *temporary;  // temporary: the name that it has meanwhile, or NULL
    bool nameless;
};

bool fresh_file_open(struct fresh_file *f, const char *path);
// All of it is on the disk before it gets its name. Closes it in any case.
bool fresh_file_finish(struct fresh_file *f);
void fresh_file_drop(struct fresh_file *f);  // closes it and leaves nothing; a zeroed one is fine
