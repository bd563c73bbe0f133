// schema_number.c - numbers between bounds, as texts of digits.
//
// A bound is compared digit by digit, in decimal, as it is written: no number is rounded. A number
// has at most JSON_DIGITS digits where fractions are possible, so that a reader who takes it for a
// double compares it with the bounds as we do.
#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "local/sampling/grammar/schema_impl.h"

enum { DIGITS_MAX = 400, STEP_MAX = 1000 };

// A decimal without sign: digits before and after the point, no leading zeros but one.
struct decimal {
    char whole[DIGITS_MAX], fraction[DIGITS_MAX];
    int n_whole, n_fraction;
};
struct bound {  // of a sign's side
    struct decimal at;
    bool exclusive;
};
struct range {  // both sides are there
    struct bound low, high;
};

static bool is_zero(const struct decimal *d)
{
    for (int i = 0; i < d->n_whole; i++)
        if (d->whole[i] != '0')
            return false;
    for (int i = 0; i < d->n_fraction; i++)
        if (d->fraction[i] != '0')
            return false;
    return true;
}

static char digit_of(const char *digits, int n, int i)
{
    return i >= 0 && i < n ? digits[i] : '0';
}

// As strcmp.
static int compare(const struct decimal *a, const struct decimal *b)
{
    if (a->n_whole != b->n_whole)
        return a->n_whole < b->n_whole ? -1 : 1;
    int c = memcmp(a->whole, b->whole, (size_t)a->n_whole);
    for (int i = 0; !c && i < a->n_fraction + b->n_fraction; i++)
        c = digit_of(a->fraction, a->n_fraction, i) - digit_of(b->fraction, b->n_fraction, i);
    return c;
}

// The shortest text of a number, "-1.5e-7", taken apart. False if it is none.
static bool read_decimal(const json_t *value, struct decimal *d, bool *negative)
{
    struct buf text = {0};
    char digits[64];
    int n = 0, point = -1, exponent = 0;
    if (!json_is_number(value))
        return false;
    json_write(&text, value, JSON_STYLE_COMPACT);
    const char *p = buf_text(&text);
    *negative = *p == '-';
    for (p += *negative; *p && *p != 'e' && *p != 'E' && n < 60; p++) {
        if (*p == '.')
            point = n;
        else
            digits[n++] = *p;
    }
    if (*p == 'e' || *p == 'E')
        exponent = (int)strtol(p + 1, NULL, 10);
    buf_release(&text);
    point = (point < 0 ? n : point) + exponent;
    *d = (struct decimal){0};
    int first = 0;
    while (first < n && digits[first] == '0')
        first++;
    for (int i = first; i < point && d->n_whole < DIGITS_MAX; i++)
        d->whole[d->n_whole++] = digit_of(digits, n, i);
    if (d->n_whole == 0)
        d->whole[d->n_whole++] = '0';
    for (int i = point < first ? point : (point < 0 ? 0 : point); i < n; i++)
        if (i >= point && d->n_fraction < DIGITS_MAX)
            d->fraction[d->n_fraction++] = digit_of(digits, n, i);
    return true;
}

static struct decimal decimal_of(const char *whole)
{
    struct decimal d = {.n_whole = (int)strlen(whole)};
    memcpy(d.whole, whole, strlen(whole));
    return d;
}

// Nodes

struct digits_job {
    struct program *p;
    const struct range *r;
    int n_whole, most_fraction;
    uint32_t next;
    int step;         // multipleOf; 0: none
    uint32_t *loose;  // by digits left and remainder: nodes between no bounds; shared
};

static uint32_t fraction_digits(struct digits_job *j, int at, bool low, bool high);

// The number may end with `at` digits of its fraction.
static bool may_end(const struct range *r, int at, bool low, bool high)
{
    bool low_rest = false, high_rest = false;  // digits other than 0 are left of the bound
    for (int i = at; i < r->low.at.n_fraction; i++)
        low_rest |= r->low.at.fraction[i] != '0';
    for (int i = at; i < r->high.at.n_fraction; i++)
        high_rest |= r->high.at.fraction[i] != '0';
    if (low && (low_rest || r->low.exclusive))
        return false;
    return !high || high_rest || !r->high.exclusive;
}

static uint32_t fraction_digits(struct digits_job *j, int at, bool low, bool high)
{
    // Beyond both bounds' digits all is loose or tight in the same way.
    struct byte_edge edges[10];
    size_t n = 0;
    if (at == j->most_fraction)
        return at > 0 && may_end(j->r, at, low, high) ? j->next : NODE_ID_FAIL;
    char from = low ? digit_of(j->r->low.at.fraction, j->r->low.at.n_fraction, at) : '0';
    char to = high ? digit_of(j->r->high.at.fraction, j->r->high.at.n_fraction, at) : '9';
    uint32_t middle = NODE_ID_FAIL;
    bool have_middle = false;
    for (char d = from; d <= to; d++) {
        bool on_low = low && d == from, on_high = high && d == to;
        uint32_t node;
        if (!on_low && !on_high && have_middle) {
            node = middle;
        } else {
            node = fraction_digits(j, at + 1, on_low, on_high);
            if (!on_low && !on_high) {
                middle = node;
                have_middle = true;
            }
        }
        edges[n++] = (struct byte_edge){(uint8_t)d, (uint8_t)d, node};
    }
    uint32_t more = node_bytes(j->p, edges, n);
    return at > 0 && may_end(j->r, at, low, high) ? node_either(j->p, more, j->next) : more;
}

static uint32_t after_whole(struct digits_job *j, bool low, bool high, int remainder)
{
    if (j->step && remainder)
        return NODE_ID_FAIL;
    uint32_t end = may_end(j->r, 0, low, high) ? j->next : NODE_ID_FAIL;
    if (!j->most_fraction)
        return end;
    uint32_t fraction = node_byte(j->p, '.', '.', fraction_digits(j, 0, low, high));
    return end == NODE_ID_FAIL ? fraction : node_either(j->p, fraction, end);
}

static uint32_t whole_digits(struct digits_job *j, int at, bool low, bool high, int remainder)
{
    int left = j->n_whole - at;
    uint32_t *known = NULL;
    if (left == 0 && (low || high))
        return after_whole(j, low, high, remainder);
    if (!low && !high && at > 0) {
        known = &j->loose[(size_t)left * (size_t)(j->step ? j->step : 1) + (size_t)remainder];
        if (*known)
            return *known - 1;
    }
    struct byte_edge edges[10];
    size_t n = 0;
    char from = low ? j->r->low.at.whole[at] : at == 0 && j->n_whole > 1 ? '1' : '0';
    char to = high ? j->r->high.at.whole[at] : '9';
    for (char d = from; d <= to && left; d++) {
        int rest = j->step ? (remainder * 10 + (d - '0')) % j->step : 0;
        uint32_t node = whole_digits(j, at + 1, low && d == from, high && d == to, rest);
        edges[n++] = (struct byte_edge){(uint8_t)d, (uint8_t)d, node};
    }
    uint32_t node = left ? node_bytes(j->p, edges, n) : after_whole(j, low, high, remainder);
    if (known)
        *known = node + 1;
    return node;
}

// Numbers without a sign from low to high.
static uint32_t unsigned_range(struct program *p, const struct range *r, bool integer, int step,
                               uint32_t next)
{
    int most = integer ? JSON_INTEGER_DIGITS : JSON_DIGITS;
    uint32_t any[JSON_INTEGER_DIGITS + 1];
    size_t n = 0;
    int c = compare(&r->low.at, &r->high.at);
    if (c > 0 || (c == 0 && (r->low.exclusive || r->high.exclusive)))
        return NODE_ID_FAIL;
    int last = r->high.at.n_whole < most ? r->high.at.n_whole : most;
    uint32_t *loose = memory_array(uint32_t, (size_t)(most + 2) * (size_t)(step ? step : 1));
    for (int len = r->low.at.n_whole; len <= last && !p->overflow; len++) {
        struct digits_job j = {.p = p,
                               .r = r,
                               .n_whole = len,
                               .most_fraction = integer ? 0 : most - len,
                               .next = next,
                               .step = step,
                               .loose = loose};
        // What follows the point differs with the digits before it.
        if (!integer)
            memset(loose, 0, (size_t)(most + 2) * sizeof *loose);
        any[n++] = whole_digits(&j, 0, len == r->low.at.n_whole, len == r->high.at.n_whole, 0);
    }
    free(loose);
    return node_split(p, any, n);
}

// Bounds of a set

struct limit {
    bool there, negative, exclusive;
    struct decimal at;
};

static int compare_limits(const struct limit *a, const struct limit *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int c = compare(&a->at, &b->at);
    return a->negative ? -c : c;
}

// Takes the bound if it is narrower; sign 1: a lower one.
static void narrow(struct schema_compiler *c, const json_t *schema, const char *keyword,
                   bool exclusive, int sign, struct limit *limit)
{
    const json_t *value = json_object_get(schema, keyword);
    struct limit new = {.there = true, .exclusive = exclusive};
    if (!value)
        return;
    if (!read_decimal(value, &new.at, &new.negative)) {
        schema_fail(c, schema, keyword, "is not a number");
        return;
    }
    if (is_zero(&new.at))
        new.negative = false;
    int order = limit->there ? compare_limits(&new, limit) * sign : 1;
    if (order > 0 || (order == 0 && exclusive))
        *limit = new;
}

static int gcd(int a, int b)
{
    return b ? gcd(b, a % b) : a;
}

// The least common multiple of what numbers must be multiples of; 0: nothing.
static int step_of(struct schema_compiler *c, const struct schema_set *flat)
{
    int step = 0;
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema;
        int64_t n;
        if (!json_object_get(schema, "multipleOf"))
            continue;
        if (!json_get_i64(schema, "multipleOf", &n) || n < 1) {
            schema_fail(c, schema, "multipleOf", "only whole numbers can be compiled");
            return 0;
        }
        int64_t all = n > STEP_MAX ? n : step ? n / gcd(step, (int)n) * step : n;
        if (all > STEP_MAX) {
            schema_fail(c, schema, "multipleOf", "more than %d cannot be compiled", STEP_MAX);
            return 0;
        }
        step = (int)all;
    }
    return step == 1 ? 0 : step;
}

static bool fits_nothing(const struct limit *low, const struct limit *high)
{
    return low->there && high->there && compare_limits(low, high) > 0;
}

// For integers: the whole numbers next to the bounds, inside of them.
static void round_inwards(struct range *r)
{
    if (r->low.at.n_fraction) {
        struct decimal *d = &r->low.at;
        bool more = false;
        for (int i = 0; i < d->n_fraction; i++)
            more |= d->fraction[i] != '0';
        d->n_fraction = 0;
        r->low.exclusive |= more;  // greater than the part before the point
    }
    if (r->high.at.n_fraction) {
        struct decimal *d = &r->high.at;
        for (int i = 0; i < d->n_fraction; i++)
            if (d->fraction[i] != '0')
                r->high.exclusive = false;
        d->n_fraction = 0;
    }
}

static uint32_t one_sign(struct program *p, struct range r, bool integer, int step, uint32_t next)
{
    if (integer)
        round_inwards(&r);
    return unsigned_range(p, &r, integer, step, next);
}

uint32_t schema_number(struct schema_compiler *c, const struct schema_set *flat, bool integer,
                       uint32_t next)
{
    struct limit low = {0}, high = {0};
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema;
        narrow(c, schema, "minimum", false, 1, &low);
        narrow(c, schema, "exclusiveMinimum", true, 1, &low);
        narrow(c, schema, "maximum", false, -1, &high);
        narrow(c, schema, "exclusiveMaximum", true, -1, &high);
    }
    int step = step_of(c, flat);
    if (!low.there && !high.there && !step)
        return integer ? emit_integer(&c->json, next) : emit_number(&c->json, next);
    if (c->failed || fits_nothing(&low, &high))
        return NODE_ID_FAIL;
    integer |= step > 0;
    struct bound zero = {.at = decimal_of("0")}, below = {.at = decimal_of("0"), .exclusive = true};
    struct bound most = {.at = decimal_of(integer ? "999999999999999999" : "999999999999999")};
    struct bound from = {low.at, low.exclusive}, to = {high.at, high.exclusive};
    uint32_t any[2] = {NODE_ID_FAIL, NODE_ID_FAIL};
    if (!high.there || !high.negative) {
        struct range r = {low.there && !low.negative ? from : zero, high.there ? to : most};
        any[0] = one_sign(c->p, r, integer, step, next);
    }
    if (!low.there || low.negative) {
        struct range r = {high.there && high.negative ? to : below, low.there ? from : most};
        any[1] = node_byte(c->p, '-', '-', one_sign(c->p, r, integer, step, next));
    }
    return node_either(c->p, any[0], any[1]);
}
