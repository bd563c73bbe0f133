// web_page_files.h - the web page's files as they stand in src/server/web_page/, inside the binary.
// Threads: constant.
#pragma once
#include <stddef.h>

struct web_file {
    const char *path, *type;  // as it is asked for, as it is answered
    const char *begin, *end;  // its bytes
};
extern const struct web_file web_page_files[];
extern const size_t n_web_page_files;
