// http_head.c - Content-Range and Retry-After.
#include "net/http_head.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include <curl/curl.h>

#include "net/http.h"

// Digits only, no sign or space; false if there are none, or too many for 63 bits.
static bool read_number(const char **p, int64_t *value)
{
    char *end;
    if (!isdigit((unsigned char)**p))
        return false;
    errno = 0;
    *value = strtoll(*p, &end, 10);
    *p = end;
    return errno == 0;
}

bool http_head_range(struct http_head *head, const char *field)
{
    int64_t first, last, total = -1;
    const char *p = field + 6;
    if (strncasecmp(field, "bytes ", 6) != 0 || !read_number(&p, &first) || *p++ != '-' ||
        !read_number(&p, &last) || *p++ != '/')
        return false;
    if (*p == '*')
        p++;
    else if (!read_number(&p, &total))
        return false;
    if (*p || last < first || (total >= 0 && last >= total))
        return false;
    head->has_range = true;
    head->first = first;
    head->last = last;
    head->total = total;
    return true;
}

long long http_head_retry_after(const char *field, long long now)
{
    int64_t seconds;
    const char *p = field;
    if (read_number(&p, &seconds) && *p == 0)
        return seconds;
    time_t when = curl_getdate(field, NULL);
    if (when == (time_t)-1)
        return -1;
    return (long long)when > now ? (long long)when - now : 0;
}
