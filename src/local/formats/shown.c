#include "local/formats/shown.h"

static void copy_printable(char *to, const char *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
    for (size_t i = 0; i < n; i++)
        if (from[i] < 0x20 || from[i] > 0x7E)
            to[i] = '?';
    to[n] = 0;
}

static const char dots[] = "...";
enum { DOTS = sizeof dots - 1, SHOWN_MAX = sizeof(struct shown) - 1 };

struct shown shown_name(struct slice name)
{
    struct shown s = {""};
    if (name.len <= SHOWN_MAX) {
        copy_printable(s.text, name.ptr, name.len);
        return s;
    }
    copy_printable(s.text, name.ptr, SHOWN_MAX - DOTS);
    memcpy(s.text + SHOWN_MAX - DOTS, dots, sizeof dots);
    return s;
}

// A path is the user's own word, so only control characters would be odd: its bytes stay.
struct shown shown_path(const char *path)
{
    struct shown s = {""};
    size_t len = strlen(path);
    if (len <= SHOWN_MAX) {
        memcpy(s.text, path, len + 1);
        return s;
    }
    memcpy(s.text, dots, DOTS);
    memcpy(s.text + DOTS, path + len - (SHOWN_MAX - DOTS), SHOWN_MAX - DOTS + 1);
    return s;
}
