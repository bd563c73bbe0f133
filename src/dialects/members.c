#include "dialects/members.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "dialects/dialect.h"

enum { STOPS_MAX = 16, STOP_BYTES_MAX = 256 };

const char *member_type(const json_t *value)
{
    if (!value)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "null";
    }
}

struct member_path member_path(const char *at, const char *key, int index)
{
    struct member_path p;
    const char *dot = *at && *key ? "." : "";
    if (index >= 0)
        (void)snprintf(p.text, sizeof p.text, "%s%s%s[%d]", at, dot, key, index);
    else
        (void)snprintf(p.text, sizeof p.text, "%s%s%s", at, dot, key);
    return p;
}

// The value of a member that is there and not null.
static const json_t *present(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v) ? v : NULL;
}

static bool wrong_type(const char *at, const char *key, const char *wanted, const json_t *v,
                       struct dialect_error *err)
{
    struct member_path p = member_path(at, key, -1);
    return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' must be %s, not %s", p.text, wanted,
                          member_type(v));
}

bool member_i64(const json_t *o, const char *at, const char *key, int64_t min, int64_t max,
                int64_t *value, struct dialect_error *err)
{
    const json_t *v = present(o, key);
    if (!v)
        return true;
    double real = json_number_value(v);
    struct member_path p = member_path(at, key, -1);
    if (!json_is_integer(v) && !(json_is_real(v) && real == trunc(real)))
        return wrong_type(at, key, "a whole number", v, err);
    if (json_is_real(v) && fabs(real) >= 9223372036854775808.0)  // 2^63
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'%s' is %.17g, which is not from %" PRId64 " to %" PRId64, p.text,
                              real, min, max);
    int64_t n = json_is_integer(v) ? (int64_t)json_integer_value(v) : (int64_t)real;
    if (n < min || n > max)
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'%s' is %" PRId64 ", which is not from %" PRId64 " to %" PRId64,
                              p.text, n, min, max);
    *value = n;
    return true;
}

bool member_int(const json_t *o, const char *at, const char *key, int min, int max, int *value,
                struct dialect_error *err)
{
    int64_t n = *value;
    if (!member_i64(o, at, key, min, max, &n, err))
        return false;
    *value = (int)n;
    return true;
}

bool member_float(const json_t *o, const char *at, const char *key, double min, double max,
                  float *value, struct dialect_error *err)
{
    const json_t *v = present(o, key);
    if (!v)
        return true;
    if (!json_is_number(v))
        return wrong_type(at, key, "a number", v, err);
    double n = json_number_value(v);
    struct member_path p = member_path(at, key, -1);
    if (!(n >= min && n <= max))
        return dialect_refuse(err, PROBLEM_REQUEST, p.text,
                              "'%s' is %g, which is not from %g to %g", p.text, n, min, max);
    *value = (float)n;
    return true;
}

bool member_bool(const json_t *o, const char *at, const char *key, bool *value,
                 struct dialect_error *err)
{
    const json_t *v = present(o, key);
    if (!v)
        return true;
    if (!json_is_boolean(v))
        return wrong_type(at, key, "a boolean", v, err);
    *value = json_is_true(v);
    return true;
}

bool member_text(const json_t *o, const char *at, const char *key, struct slice *value,
                 struct dialect_error *err)
{
    const json_t *v = present(o, key);
    if (!v)
        return true;
    if (!json_is_string(v))
        return wrong_type(at, key, "a string", v, err);
    *value = slice_of(json_string_value(v), json_string_length(v));
    return true;
}

bool member_array(const json_t *o, const char *at, const char *key, const json_t **value,
                  struct dialect_error *err)
{
    const json_t *v = present(o, key);
    if (v && !json_is_array(v))
        return wrong_type(at, key, "an array", v, err);
    if (v)
        *value = v;
    return true;
}

bool member_object(const json_t *o, const char *at, const char *key, const json_t **value,
                   struct dialect_error *err)
{
    const json_t *v = present(o, key);
    if (v && !json_is_object(v))
        return wrong_type(at, key, "an object", v, err);
    if (v)
        *value = v;
    return true;
}

static bool read_stop(const json_t *v, const char *path, struct slice *stop,
                      struct dialect_error *err)
{
    if (!json_is_string(v))
        return dialect_refuse(err, PROBLEM_REQUEST, path, "'%s' must be a string, not %s", path,
                              member_type(v));
    *stop = slice_of(json_string_value(v), json_string_length(v));
    return (stop->len > 0 && stop->len <= STOP_BYTES_MAX) ||
           dialect_refuse(err, PROBLEM_REQUEST, path, "'%s' has %zu bytes, not from 1 to %d", path,
                          stop->len, STOP_BYTES_MAX);
}

bool member_stops(struct dialect_call *c, const json_t *o, const char *key,
                  struct dialect_error *err)
{
    const json_t *v = present(o, key);
    struct chat_sampling *s = &c->request.sampling;
    if (!v)
        return true;
    if (!json_is_string(v) && !json_is_array(v))
        return wrong_type("", key, "a string or an array of strings", v, err);
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n > STOPS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, key, "'%s' has %zu entries, more than %d", key,
                              n, STOPS_MAX);
    struct slice *stops = arena_new(c->arena, struct slice, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct member_path p = member_path("", key, json_is_array(v) ? (int)i : -1);
        if (!read_stop(json_is_array(v) ? json_array_get(v, i) : v, p.text, &stops[i], err))
            return false;
    }
    s->stops = stops;
    s->n_stops = n;
    return true;
}
