// page_files.h - the web page's files as they stand in src/server/page/, inside the binary.
// Threads: constant.
#pragma once
#include <stddef.h>

struct page_file {
    const char *path, *type;  // as it is asked for, as it is answered
    const char *begin, *end;  // its bytes
};
extern const struct page_file page_files[];
extern const size_t n_page_files;
