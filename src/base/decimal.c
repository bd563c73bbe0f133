#include "base/decimal.h"

#include <stddef.h>

// Exponents beyond this are all alike: such a number is 0 or too large, however long its digits.
enum { EXPONENT_MAX = 1 << 28 };

struct digits {  // whole.part times 10 to the power of exponent
    struct slice whole, part;
    int64_t exponent;
    bool negative;
};

static size_t count_digits(struct slice text, size_t at)
{
    size_t n = 0;
    while (at + n < text.len && text.ptr[at + n] >= '0' && text.ptr[at + n] <= '9')
        n++;
    return n;
}

static bool read_exponent(struct slice text, size_t *at, int64_t *exponent)
{
    bool negative = false;
    if (*at == text.len || (text.ptr[*at] != 'e' && text.ptr[*at] != 'E'))
        return true;
    ++*at;
    if (*at < text.len && (text.ptr[*at] == '+' || text.ptr[*at] == '-'))
        negative = text.ptr[(*at)++] == '-';
    size_t n = count_digits(text, *at);
    for (size_t i = 0; i < n; i++)
        if (*exponent < EXPONENT_MAX)
            *exponent = *exponent * 10 + (text.ptr[*at + i] - '0');
    if (negative)
        *exponent = -*exponent;
    *at += n;
    return n > 0;
}

static bool read_digits(struct slice text, struct digits *d)
{
    size_t at = 0;
    *d = (struct digits){.negative = text.len > 0 && text.ptr[0] == '-'};
    at += d->negative;
    size_t n = count_digits(text, at);
    if (n == 0 || (n > 1 && text.ptr[at] == '0'))
        return false;
    d->whole = slice_sub(text, at, n);
    at += n;
    if (at < text.len && text.ptr[at] == '.') {
        n = count_digits(text, ++at);
        if (n == 0)
            return false;
        d->part = slice_sub(text, at, n);
        at += n;
    }
    return read_exponent(text, &at, &d->exponent) && at == text.len;
}

static int digit_at(const struct digits *d, size_t i)
{
    return (i < d->whole.len ? d->whole.ptr[i] : d->part.ptr[i - d->whole.len]) - '0';
}

bool decimal_scaled(struct slice text, int scale, int64_t *value, bool *exact)
{
    struct digits d;
    int64_t sum = 0;
    bool whole = true;
    if (text.len > EXPONENT_MAX || !read_digits(text, &d))
        return false;
    size_t n = d.whole.len + d.part.len, first = 0;
    while (first < n && digit_at(&d, first) == 0)
        first++;
    // Digits before `point` are of the result, those behind are rounded away.
    int64_t point = (int64_t)d.whole.len + d.exponent + scale;
    for (int64_t i = (int64_t)first; first < n && i < point; i++)
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, i < (int64_t)n ? digit_at(&d, (size_t)i) : 0, &sum))
            return false;
    int64_t behind = point < (int64_t)first ? (int64_t)first : point;
    for (int64_t i = behind; i < (int64_t)n; i++)
        whole = whole && digit_at(&d, (size_t)i) == 0;
    if (point >= (int64_t)first && point < (int64_t)n && digit_at(&d, (size_t)point) >= 5 &&
        __builtin_sub_overflow(sum, 1, &sum))
        return false;
    // The sum is of the negative, which reaches one further.
    if (!d.negative && __builtin_sub_overflow((int64_t)0, sum, &sum))
        return false;
    *value = sum;
    if (exact)
        *exact = whole;
    return true;
}
