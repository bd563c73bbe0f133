#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Cuts a UTF-8 text that filled its buffer back to the last whole character.
static void cut_whole(char *text, size_t capacity)
{
    size_t n = strlen(text);
    if (n + 1 < capacity)
        return;
    size_t i = n;
    while (i > 0 && ((unsigned char)text[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0)
        return;
    unsigned char lead = (unsigned char)text[i - 1];
    size_t want = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (i - 1 + want > n)
        text[i - 1] = 0;
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    err->code = code;
    err->retry_after_s = err->status = 0;
    err->said = (struct error_words){0};
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    cut_whole(err->text, sizeof err->text);
    return false;
}

bool error_wrap(struct error *err, const char *format, ...)
{
    if (!err)
        return false;
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    int room = (int)sizeof err->text - n - 1;
    if (n >= 0 && room > 2)
        (void)snprintf(err->text + n, (size_t)room + 1, ": %.*s", room - 2, inner);
    cut_whole(err->text, sizeof err->text);
    return false;
}
