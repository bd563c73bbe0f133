// regex_dialect.h - rewrites an expression of Oniguruma's Ruby syntax into one for PCRE2.
#pragma once
#include <stdbool.h>

#include "base/slice.h"

struct buf;
struct error;

// Appends the translation. False with err (ERR_UNSUPPORTED) for what PCRE2 has no form for.
bool regex_translate(struct slice source, const char *field, struct buf *out, struct error *err);
