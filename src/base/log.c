#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int current_level = LOG_WARN;

void log_set_level(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "note", "debug"};
    if ((int)level > atomic_load(&current_level))
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "hearth: %s: %s\n", names[level], text);
}
