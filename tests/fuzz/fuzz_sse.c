// fuzz_sse.c - any bytes as a stream of events, cut at places that the first byte decides: the
// events are those of the uncut stream, and none is longer than allowed.
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 200 };

static void check(bool good)
{
    if (!good)
        abort();
}

// False: it was too long.
static bool read_piece(struct sse *s, const char *bytes, size_t n, struct buf *out)
{
    char *piece = malloc(n);
    memcpy(piece, bytes, n);
    struct slice in = slice_of(piece, n);
    enum sse_result got;
    while ((got = sse_read(s, &in)) == SSE_EVENT) {
        check(s->data.len < MAX_BYTES && s->event.len < MAX_BYTES);
        buf_printf(out, "%zu %zu ", s->event.len, s->data.len);
        buf_slice(out, s->event);
        buf_slice(out, s->data);
    }
    check(got == SSE_TOO_LONG || in.len == 0);
    free(piece);
    return got == SSE_MORE;
}

static void read_all(struct slice text, uint64_t cut, struct buf *out)
{
    struct sse s = {.max_bytes = MAX_BYTES};
    bool good = true;
    for (size_t at = 0, n = text.len; at < text.len && good; at += n) {
        if (cut)
            n = 1 + hash_mix(cut + at) % (cut % 8 + 1);
        if (n > text.len - at)
            n = text.len - at;
        good = read_piece(&s, text.ptr + at, n, out);
    }
    if (good && sse_end(&s))
        buf_slice(out, s.data);
    buf_printf(out, "%d", good);
    sse_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, cut = {0};
    if (size < 2)
        return 0;
    struct slice text = slice_of((const char *)data + 1, size - 1);
    read_all(text, 0, &whole);
    read_all(text, 1 + (uint64_t)data[0], &cut);
    check(slice_eq(buf_view(&whole), buf_view(&cut)));
    buf_release(&whole);
    buf_release(&cut);
    return 0;
}
