// faults.c - what is wrong on purpose, put into an answer that was right.
#include "answer.h"

#include <stdio.h>

enum { DEEP = 100000, HUGE_MAX = 128 << 20, GZIP_BYTES = 1 << 30 };

// How many pieces there are up to so many chunks of text; with 0, what comes before the first.
static size_t pieces_until(const struct answer *o, int64_t chunks)
{
    int64_t seen = 0;
    for (size_t i = 0; i < o->n_pieces; i++) {
        if (o->pieces[i].chunk && chunks == 0)
            return i;
        if (o->pieces[i].chunk && ++seen == chunks)
            return i + 1;
    }
    return o->n_pieces;
}

static size_t body_until(const struct answer *o, size_t n_pieces)
{
    return n_pieces ? o->pieces[n_pieces - 1].end : 0;
}

static void cut_pieces(struct answer *o, size_t n)
{
    size_t end = body_until(o, n);
    o->n_pieces = n;
    o->body.len = end;
}

// Puts a piece of its own behind the first n, with or without what followed.
static void insert(struct answer *o, size_t n, struct slice what, bool rest)
{
    size_t at = body_until(o, n);
    struct buf tail = {0};
    buf_add(&tail, buf_text(&o->body) + at, o->body.len - at);
    o->body.len = at;
    buf_slice(&o->body, what);
    size_t end = o->body.len;
    if (!rest)
        o->n_pieces = n;
    else
        buf_slice(&o->body, buf_view(&tail));
    answer_piece(o);  // room for one more; the others move behind it
    for (size_t i = o->n_pieces - 1; i > n; i--) {
        o->pieces[i] = o->pieces[i - 1];
        o->pieces[i].end += what.len;
        if (o->pieces[i].stamp)
            o->pieces[i].stamp += what.len;
    }
    o->pieces[n] = (struct piece){.end = end, .told_in = -1, .told_out = -1};
    buf_release(&tail);
}

static const char *types_event(const struct asked *a)
{
    static const char *const bodies[VENDOR_N] = {
        "{\"id\":7,\"object\":\"chat.completion\",\"choices\":{\"index\":\"x\",\"delta\":[]}}",
        "{\"type\":\"content_block_delta\",\"index\":\"zero\",\"content\":5,\"delta\":[1]}",
        "{\"candidates\":{\"content\":[\"parts\"]},\"usageMetadata\":\"many\"}"};
    return bodies[a->vendor];
}

// An event with this data; of a whole answer, its body.
static void wrong_event(struct answer *o, const struct asked *a, const char *name,
                        struct slice data, bool rest)
{
    struct buf event = {0};
    if (a->stream && a->sse) {
        if (name && a->vendor == VENDOR_ANTHROPIC)
            buf_printf(&event, "event: %s\n", name);
        buf_text_add(&event, "data: ");
        buf_slice(&event, data);
        buf_text_add(&event, "\n\n");
    } else {
        buf_slice(&event, data);
    }
    insert(o, a->stream ? pieces_until(o, a->s.at) : 0, buf_view(&event), rest);
    buf_release(&event);
}

static void deep_event(struct answer *o, const struct asked *a)
{
    struct buf b = {0};
    buf_text_add(&b, "{\"x\":");
    for (int i = 0; i < DEEP; i++)
        buf_char(&b, '[');
    for (int i = 0; i < DEEP; i++)
        buf_char(&b, ']');
    buf_char(&b, '}');
    wrong_event(o, a, "content_block_delta", buf_view(&b), false);
    buf_release(&b);
}

static void huge_event(struct answer *o, const struct asked *a)
{
    struct buf b = {0};
    size_t n = a->s.huge < HUGE_MAX ? (size_t)a->s.huge : HUGE_MAX;
    buf_text_add(&b, "{\"x\":\"");
    buf_reserve(&b, n + 8);
    memset(b.ptr + b.len, 'x', n);
    b.len += n;
    buf_text_add(&b, "\"}");
    wrong_event(o, a, "content_block_delta", buf_view(&b), false);
    buf_release(&b);
}

static void replace(struct answer *o, const char *type, struct slice body)
{
    o->n_pieces = 0;
    o->body.len = 0;
    buf_slice(&o->body, body);
    answer_piece(o);
    if (type)
        o->type = type;
}

static void error_event(struct answer *o, const struct asked *a)
{
    struct buf b = {0};
    error_body(&b, a->vendor, a->vendor == VENDOR_ANTHROPIC ? 529 : 503, NULL, &a->s);
    wrong_event(o, a, "error", buf_view(&b), false);
    buf_release(&b);
}

// 1 GiB of zeros in 6.5 MB: one block of fixed codes, a zero and then copies of 258 bytes, which
// take 13 bits each, so that 8 of them are 13 bytes, again and again. Source: RFC 1951, 1952.
static void gzip_bomb(struct answer *o)
{
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    unsigned bits = 0, n_bits = 0;
    struct buf b = {0};
    buf_add(&b, head, sizeof head);
    bits = 3 | 0x0c << 3;  // last block, fixed codes; the literal 0 is 00110000, first bit first
    n_bits = 11;
    for (int i = 0; i <= GZIP_BYTES / 258; i++) {
        bits |= 0xa3u << n_bits;  // length 258 is 11000101, distance 1 is 00000
        n_bits += 13;
        for (; n_bits >= 8; n_bits -= 8, bits >>= 8)
            buf_char(&b, (char)(bits & 0xff));
    }
    buf_add(&b, "\0\0\0\0\0\0\0\0\0\0", 10);
    replace(o, NULL, buf_view(&b));
    snprintf(o->headers, sizeof o->headers, "content-encoding: gzip\r\n");
    buf_release(&b);
}

static void apply_bad(struct answer *o, const struct asked *a)
{
    struct buf b = {0};
    switch (a->s.bad) {
    case BAD_JSON: wrong_event(o, a, NULL, slice_str("{\"id\": nonsense}}]"), false); break;
    case BAD_SSE:
        insert(o, pieces_until(o, a->s.at),
               slice_str("dat\xff\xfe: x\ndata\n: remark\n:\rnothing: at all\r\n\n"), true);
        break;
    case BAD_TYPES: wrong_event(o, a, NULL, slice_str(types_event(a)), false); break;
    case BAD_DEEP: deep_event(o, a); break;
    case BAD_HUGE: huge_event(o, a); break;
    case BAD_HTML:
        replace(o, "text/html",
                slice_str("<!doctype html><title>502</title><h1>Bad gateway</h1>\n"));
        break;
    case BAD_INSIDE:
        error_body(&b, a->vendor, 500, NULL, &a->s);
        replace(o, "application/json", buf_view(&b));
        break;
    case BAD_EVENT: error_event(o, a); break;
    case BAD_NO_END: cut_pieces(o, pieces_until(o, a->s.at)); break;
    case BAD_AFTER:
        insert(o, o->n_pieces, slice_str(a->sse ? "data: {\"late\": true}\n\n" : "{}"), true);
        break;
    case BAD_GZIP: gzip_bomb(o); break;
    case BAD_RESET_LATE:
        cut_pieces(o, 0);
        o->ending = END_RESET;
        break;
    case BAD_SILENT_LATE:
        cut_pieces(o, 0);
        o->ending = END_HANG;
        break;
    default: break;  // the rest is done to the connection (serve.c)
    }
    buf_release(&b);
}

void faults_apply(struct answer *o, const struct asked *a)
{
    const struct scenario *s = &a->s;
    size_t whole = o->body.len;
    apply_bad(o, a);
    if (whole < o->body.len || o->ending == END_KEEP)
        whole = o->body.len;  // what the headers promise
    int64_t until = s->hang >= 0 ? s->hang : s->stop;
    if (until >= 0) {
        cut_pieces(o, pieces_until(o, until));
        o->ending = s->hang >= 0 ? END_HANG : s->rst ? END_RESET : END_CLOSE;
    }
    if (s->cut >= 0 && (size_t)s->cut < o->body.len) {
        size_t n = 0, cut = (size_t)s->cut;
        while (n < o->n_pieces && o->pieces[n].end <= cut)
            n++;
        // An event's empty line may end with CR and LF, of which the first is enough.
        if (n < o->n_pieces && o->pieces[n].end == cut + 1 && o->body.ptr[cut - 1] == '\r') {
            o->pieces[n].end = cut;
            n++;
        }
        o->n_pieces = n;
        o->body.len = cut;
        if (body_until(o, n) < cut)
            answer_piece(o);
        o->ending = s->rst ? END_RESET : END_CLOSE;
    }
    if (o->ending != END_KEEP) {
        o->unfinished = true;
        o->declared = whole;
    }
}
