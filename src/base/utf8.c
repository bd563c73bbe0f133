#include "base/utf8.h"

// Expected length by lead byte, 0 if it cannot start a character.
static size_t expected(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

// The second byte's range depends on the lead: this is what rules out overlong forms,
// surrogates and code points above U+10FFFF.
static bool second_ok(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return second >= 0x80 && second <= 0xBF;
    }
}

size_t utf8_decode(const char *p, size_t len, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)p;
    if (len == 0)
        return 0;
    size_t n = expected(s[0]);
    if (n == 0 || n > len)
        return 0;
    if (n == 1) {
        *code = s[0];
        return 1;
    }
    if (!second_ok(s[0], s[1]))
        return 0;
    uint32_t c = s[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3Fu);
    }
    *code = c;
    return n;
}

size_t utf8_encode(uint32_t c, char out[4])
{
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        c = 0xFFFD;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

bool utf8_valid(const char *p, size_t len)
{
    uint32_t code;
    for (size_t i = 0; i < len;) {
        size_t n = utf8_decode(p + i, len - i, &code);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t utf8_whole(const char *p, size_t len)
{
    const unsigned char *s = (const unsigned char *)p;
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = s[len - back];
        if ((c & 0xC0) == 0x80)
            continue;
        size_t n = expected(c);
        if (n > back && (back < 2 || second_ok(c, s[len - back + 1])))
            return len - back;
        break;
    }
    return len;
}
