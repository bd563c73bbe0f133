// http_head.h - what the header fields of an answer say; parsed from text that is not trusted.
// Threads: any.
#pragma once
#include <stdbool.h>

struct http_head;

// "bytes 0-99/1234" or "bytes 0-99/*". False if it is anything else, or makes no sense.
bool http_head_range(struct http_head *head, const char *field);
// Seconds, or a date, seen from `now` (seconds since 1970). -1 if it is neither.
long long http_head_retry_after(const char *field, long long now);
