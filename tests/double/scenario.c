#include "scenario.h"

#include <stddef.h>

static const char *const bad_names[] = {
    [BAD_NOTHING] = "nothing", [BAD_JSON] = "json",
    [BAD_SSE] = "sse",         [BAD_TYPES] = "types",
    [BAD_DEEP] = "deep",       [BAD_HUGE] = "huge",
    [BAD_HTML] = "html",       [BAD_INSIDE] = "inside",
    [BAD_EVENT] = "event",     [BAD_NO_END] = "no_end",
    [BAD_AFTER] = "after",     [BAD_GZIP] = "gzip",
    [BAD_HTTP] = "http",       [BAD_CLOSE] = "close",
    [BAD_RESET] = "reset",     [BAD_RESET_LATE] = "reset_late",
    [BAD_SILENT] = "silent",   [BAD_SILENT_LATE] = "silent_late",
};
static const char *const frame_names[] = {
    [FRAME_AUTO] = "auto",
    [FRAME_CHUNKED] = "chunked",
    [FRAME_LENGTH] = "length",
    [FRAME_CLOSE] = "close",
};

#define NUMBER(name, field)                                                                        \
    {                                                                                              \
        name, offsetof(struct scenario, field)                                                     \
    }
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    NUMBER("n", n),           NUMBER("echo", echo),     NUMBER("size", size),
    NUMBER("stamp", stamp),   NUMBER("calls", calls),   NUMBER("think", think),
    NUMBER("shown", shown),   NUMBER("in", in),         NUMBER("out", out),
    NUMBER("cached", cached), NUMBER("w5", write_5m),   NUMBER("w1", write_1h),
    NUMBER("usage", usage),   NUMBER("filter", filter), NUMBER("first", first_ms),
    NUMBER("wait", wait_ms),  NUMBER("split", split),   NUMBER("cut", cut),
    NUMBER("stop", stop),     NUMBER("hang", hang),     NUMBER("rst", rst),
    NUMBER("early", early),   NUMBER("status", status), NUMBER("times", times),
    NUMBER("after", after_s), NUMBER("quota", quota),   NUMBER("after_ms", after_ms),
    NUMBER("at", at),         NUMBER("huge", huge),     NUMBER("context", context),
};
#define N_OF(list) (sizeof(list) / sizeof((list)[0]))

const char *scenario_bad_name(int64_t bad)
{
    return bad_names[bad];
}

static bool read_number(struct slice text, int64_t *out)
{
    int64_t v = 0;
    if (text.len == 0 || text.len > 12)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        v = v * 10 + (text.ptr[i] - '0');
    }
    *out = v;
    return true;
}

static bool read_name(struct slice text, const char *const *names, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++)
        if (slice_is(text, names[i])) {
            *out = (int64_t)i;
            return true;
        }
    return false;
}

static bool read_word(struct scenario *s, struct slice key, struct slice value)
{
    if (slice_is(key, "say"))
        s->say = value;
    else if (slice_is(key, "id"))
        s->id = value;
    else if (slice_is(key, "bad"))
        return read_name(value, bad_names, N_OF(bad_names), &s->bad);
    else if (slice_is(key, "frame"))
        return read_name(value, frame_names, N_OF(frame_names), &s->frame);
    else {
        for (size_t i = 0; i < N_OF(numbers); i++)
            if (slice_is(key, numbers[i].name))
                return read_number(value, (int64_t *)((char *)s + numbers[i].offset));
        return false;
    }
    return true;
}

// The next word of *text, which begins behind it then; empty at the end.
static struct slice next_word(struct slice *text)
{
    size_t from = 0, to;
    while (from < text->len && text->ptr[from] == ' ')
        from++;
    for (to = from; to < text->len && text->ptr[to] != ' '; to++)
        ;
    struct slice word = slice_sub(*text, from, to - from);
    *text = slice_sub(*text, to, text->len);
    return word;
}

static bool read_block(struct scenario *s, struct slice block, const char *vendor,
                       const char *model, struct slice folder, struct slice *unknown)
{
    for (struct slice word; (word = next_word(&block)).len > 0;) {
        const char *equals = memchr(word.ptr, '=', word.len);
        size_t at = equals ? (size_t)(equals - word.ptr) : word.len;
        struct slice key = slice_sub(word, 0, at), value = slice_sub(word, at + 1, word.len);
        if (slice_is(key, "for")) {
            if (!slice_is(value, vendor) && !slice_is(value, model) && !slice_eq(value, folder))
                return true;
        } else if (!read_word(s, key, value)) {
            *unknown = word;
            return false;
        }
    }
    return true;
}

bool scenario_read(struct scenario *s, struct slice text, const char *vendor, const char *model,
                   struct slice folder, struct slice *unknown)
{
    static const char open[] = "[[double";
    *s = (struct scenario){.n = 3,
                           .calls = -1,
                           .in = -1,
                           .out = -1,
                           .usage = 1,
                           .at = 1,
                           .cut = -1,
                           .stop = -1,
                           .hang = -1,
                           .status = 200,
                           .huge = 16 << 20};
    for (;;) {
        const char *from = text.len ? memmem(text.ptr, text.len, open, sizeof open - 1) : NULL;
        if (!from)
            return true;
        text = slice_sub(text, (size_t)(from - text.ptr) + sizeof open - 1, text.len);
        const char *to = text.len ? memmem(text.ptr, text.len, "]]", 2) : NULL;
        if (!to)
            return true;
        size_t len = (size_t)(to - text.ptr);
        if (!read_block(s, slice_sub(text, 0, len), vendor, model, folder, unknown))
            return false;
        text = slice_sub(text, len + 2, text.len);
    }
}
