#include "base/base64.h"

#include <stdint.h>

#include "base/buf.h"

void base64_encode(struct buf *out, const void *bytes, size_t len)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    buf_reserve(out, (len + 2) / 3 * 4 + 1);
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16;
        bits |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= n > 2 ? p[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            buf_char(out, k <= n ? letters[bits >> (18 - 6 * k) & 63] : '=');
    }
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(struct buf *out, struct slice text)
{
    uint32_t bits = 0;
    size_t n = 0, n_padding = 0;
    buf_reserve(out, text.len / 4 * 3 + 3);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            continue;
        int digit = digit_of(c);
        n_padding += c == '=';
        if (c == '=')
            continue;
        if (digit < 0 || n_padding)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        if (++n % 4 == 0)
            for (int shift = 16; shift >= 0; shift -= 8)
                buf_char(out, (char)(bits >> shift & 255));
    }
    size_t rest = n % 4;
    if (rest == 1 || (n_padding && rest + n_padding != 4))
        return false;
    if (rest >= 2)
        buf_char(out, (char)(bits >> (rest == 2 ? 4 : 10) & 255));
    if (rest == 3)
        buf_char(out, (char)(bits >> 2 & 255));
    return true;
}
