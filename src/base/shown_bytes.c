#include "base/shown_bytes.h"

#include <stddef.h>
#include <stdio.h>

struct shown_bytes shown_bytes(double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    struct shown_bytes s;
    size_t u = 0;
    for (; bytes >= 999.5 && u + 1 < sizeof units / sizeof *units; u++)
        bytes /= 1000;
    int decimals = u == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
    (void)snprintf(s.text, sizeof s.text, "%.*f %s", decimals, bytes, units[u]);
    return s;
}
