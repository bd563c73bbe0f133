// strftime.c - dates as Python's datetime.strftime writes them in the C locale.
#include <time.h>

#include "local/template/run.h"
#include "local/template/text.h"

// The system's clock and time zone only where the caller fixed no time; a fixed one is UTC.
static struct tm broken_down(int64_t now)
{
    struct tm tm = {0};
    time_t t = now ? (time_t)now : time(NULL);
    if (now)
        gmtime_r(&t, &tm);
    else
        localtime_r(&t, &tm);
    return tm;
}

void add_strftime(struct builder *b, const struct text *format, int64_t now)
{
    static const char known[] = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%";
    struct tm tm = broken_down(now);
    for (size_t i = 0; i < format->len; i++) {
        char c = format->ptr[i];
        char spec[4] = {'%', 0, 0, 0}, text[128];
        size_t n = 1;
        if (c != '%' || i + 1 == format->len) {
            builder_part(b, format, i, i + 1);
            continue;
        }
        c = format->ptr[++i];
        if ((c == '-' || c == '_' || c == '0' || c == '^') && i + 1 < format->len) {
            spec[n++] = c;
            c = format->ptr[++i];
        }
        spec[n] = c;
        run_charge(b->r, 4);
        if (c == 'f') {  // microseconds, which this clock does not have
            builder_str(b, "000000");
        } else if ((c == 'z' || c == 'Z') && n == 1) {
            // datetime.now() knows no zone, so Python writes nothing.
        } else if (c && strchr(known, c)) {
            text[0] = 0;
            size_t len = strftime(text, sizeof text, spec, &tm);
            builder_add(b, text, len);
        } else {
            builder_part(b, format, i - n, i + 1);
        }
    }
}
