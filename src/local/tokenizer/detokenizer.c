// detokenizer.c - ids to text, whole and streamed.
//
// Streaming runs the decoder's steps on one token at a time up to the step that joins tokens, and
// keeps back what a later token may still change: an unfinished character, a run of byte-fallback
// tokens (only a whole run tells whether it is text), the last token of a suffix decoder.
#include <assert.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/unicode.h"

static const char META[] = "\xE2\x96\x81";

// A token as the decoder sees it; added ones in the form in which they were sought.
static struct slice seen(const struct tokenizer *t, int32_t id)
{
    const struct added_token *added = added_of(&t->added, id);
    if (added)
        return added->normalized ? added->sought : added->text;
    return tokenizer_piece(t, id);
}

static bool is_hidden(const struct tokenizer *t, int32_t id, bool skip_special)
{
    if (id < 0 || id >= t->vocab.n || (!t->vocab.pieces[id].ptr && !added_of(&t->added, id)))
        return true;
    bool shown = t->decoders.sentencepiece && id == t->model.unk;  // as U+2047
    return skip_special && tokenizer_is_control(t, id) && !shown;
}

static void replace_meta(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len;) {
        bool meta = s.len - i >= 3 && memcmp(s.ptr + i, META, 3) == 0;
        buf_char(out, meta ? ' ' : s.ptr[i]);
        i += meta ? 3 : 1;
    }
}

void tokenizer_bytes(const struct tokenizer *t, int32_t id, struct buf *out)
{
    if (id < 0 || id >= t->vocab.n)
        return;
    const struct added_token *added = added_of(&t->added, id);
    struct slice piece = tokenizer_piece(t, id);
    int byte = byte_piece(piece);
    bool later = t->model.kind == MODEL_WORDPIECE && t->model.prefix &&
                 slice_starts(piece, slice_str(t->model.prefix));
    if (added)
        buf_slice(out, added->text);
    else if (t->vocab.bytes)
        buf_slice(out, t->vocab.bytes[id]);
    else if (byte >= 0 && t->model.byte_fallback)
        buf_char(out, (char)byte);
    else if (t->vocab.kinds[id] == TOKEN_CONTROL)
        buf_slice(out, piece);
    else if (later)
        buf_slice(out, slice_sub(piece, strlen(t->model.prefix), piece.len));
    else {
        if (t->model.kind == MODEL_WORDPIECE)
            buf_char(out, ' ');
        replace_meta(piece, out);
    }
}

// Whole characters out, each broken part as U+FFFD; an unfinished one at the end stays.
static void release_bytes(struct detokenizer *d, bool all, struct buf *out)
{
    size_t i = 0;
    while (i < d->n_held) {
        uint32_t c;
        size_t left = d->n_held - i, n = utf8_decode(d->held + i, left, &c);
        if (n) {
            buf_add(out, d->held + i, n);
        } else {
            n = utf8_broken(d->held + i, left);
            if (!all && n == left && utf8_whole(d->held + i, left) == 0)
                break;  // may still become a character
            buf_utf8(out, 0xFFFD);
        }
        i += n;
    }
    memmove(d->held, d->held + i, d->n_held - i);
    d->n_held -= i;
}

static void take_bytes(struct detokenizer *d, struct slice bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (d->n_held == sizeof d->held)
            release_bytes(d, false, out);
        if (d->n_held == sizeof d->held)
            release_bytes(d, true, out);
        d->held[d->n_held++] = bytes.ptr[i];
    }
}

// SentencePiece: every byte of a broken run is a U+FFFD, but whole characters in it are text.
static void release_spm_bytes(struct detokenizer *d, bool all, struct buf *out)
{
    size_t i = 0;
    while (i < d->n_held) {
        uint32_t c;
        size_t left = d->n_held - i, n = utf8_decode(d->held + i, left, &c);
        if (n == 0 && !all && utf8_whole(d->held + i, left) == 0 && left < 4)
            break;
        if (n)
            buf_add(out, d->held + i, n);
        else
            buf_utf8(out, 0xFFFD);
        i += n ? n : 1;
    }
    memmove(d->held, d->held + i, d->n_held - i);
    d->n_held -= i;
}

static void push_sentencepiece(struct detokenizer *d, int32_t id, struct buf *out)
{
    const struct tokenizer *t = d->t;
    const struct added_token *added = added_of(&t->added, id);
    struct slice piece = seen(t, id);
    int byte = t->vocab.kinds[id] == TOKEN_BYTE ? byte_piece(piece) : -1;
    size_t before = out->len;
    if (byte >= 0) {
        d->held[d->n_held++] = (char)byte;
        release_spm_bytes(d, false, out);
        d->stripping &= out->len == before && d->n_held == 0;
        return;
    }
    release_spm_bytes(d, true, out);
    d->stripping &= out->len == before;
    if (id == t->model.unk) {
        buf_text_add(out, " \xE2\x81\x87 ");
        d->stripping = false;
        return;
    }
    if (added || t->vocab.kinds[id] == TOKEN_CONTROL) {
        buf_slice(out, piece);
        d->stripping &= piece.len == 0;
        return;
    }
    if (d->stripping && slice_starts(piece, slice_of(META, 3))) {
        piece = slice_sub(piece, 3, piece.len);
        d->stripping = t->decoders.strip_all;
    }
    if (piece.len)
        d->stripping = false;
    replace_meta(piece, out);
}

// The step at which tokens are joined; n if there is none.
static int joining_step(const struct decoders *d)
{
    for (int i = 0; i < d->n; i++)
        if (d->items[i].kind == DECODE_BYTE_LEVEL || d->items[i].kind == DECODE_FUSE ||
            d->items[i].kind == DECODE_BYTE_FALLBACK)
            return i;
    return d->n;
}

static bool waits(const struct decoders *d)
{
    for (int i = 0; i < d->n; i++)
        if (d->items[i].kind == DECODE_BPE)
            return true;
    return false;
}

// What a Strip behind the joining step takes from the front of the text.
static void give(struct detokenizer *d, struct slice text, struct buf *out)
{
    const struct decoders *all = &d->t->decoders;
    for (int i = all->n; d->stripping && i-- > 0;) {
        const struct decoder *step = &all->items[i];
        struct slice what = slice_of(step->text, step->text_len);
        if (step->kind != DECODE_STRIP || i < joining_step(all))
            continue;
        while (text.len && d->n_strip > 0 && what.len && slice_starts(text, what)) {
            text = slice_sub(text, what.len, text.len);
            d->n_strip--;
        }
        break;
    }
    if (text.len)
        d->stripping = false;
    buf_slice(out, text);
}

static void end_byte_run(struct detokenizer *d, struct buf *out)
{
    if (d->n_held && utf8_valid(d->held, d->n_held))
        give(d, slice_of(d->held, d->n_held), out);
    else
        for (size_t i = 0; i < d->n_held; i++)
            give(d, slice_str("\xEF\xBF\xBD"), out);
    d->n_held = 0;
}

static void push_byte_token(struct detokenizer *d, char byte, struct buf *out)
{
    if (d->n_held == sizeof d->held) {  // so long a run is given up to what is whole
        size_t whole = utf8_whole(d->held, d->n_held), rest = d->n_held - whole;
        char keep[4] = {0};
        if (rest < sizeof keep)
            memcpy(keep, d->held + whole, rest);
        d->n_held = rest < sizeof keep ? whole : d->n_held;
        rest = rest < sizeof keep ? rest : 0;
        end_byte_run(d, out);
        memcpy(d->held, keep, rest);
        d->n_held = rest;
    }
    d->held[d->n_held++] = byte;
}

static void push_steps(struct detokenizer *d, int32_t id, bool last, struct buf *out)
{
    const struct decoders *all = &d->t->decoders;
    struct matcher m = {.classes = d->t->classes};
    struct strings a = {0}, b = {0}, *result = NULL;
    int join = joining_step(all);
    buf_slice(&a.text, seen(d->t, id));
    strings_end(&a);
    if (decoders_run(all, 0, join, &m, &a, &b, &result, !d->started, last, NULL)) {
        struct slice text = buf_view(&result->text);
        enum decoder_kind kind = join < all->n ? all->items[join].kind : DECODE_FUSE;
        int byte = kind == DECODE_BYTE_FALLBACK ? byte_piece(text) : -1;
        if (kind == DECODE_BYTE_LEVEL) {
            struct buf bytes = {0};
            decode_letters(text, &bytes);
            take_bytes(d, buf_view(&bytes), out);
            release_bytes(d, false, out);
            buf_release(&bytes);
        } else if (byte >= 0) {
            push_byte_token(d, (char)byte, out);
        } else {
            end_byte_run(d, out);
            give(d, text, out);
        }
    }
    strings_release(&a);
    strings_release(&b);
    matcher_release(&m);
    d->started = true;
}

void detokenizer_init(struct detokenizer *d, const struct tokenizer *t, bool skip_special)
{
    *d = (struct detokenizer){.t = t, .skip_special = skip_special, .waiting = -1};
    d->stripping = true;
    for (int i = joining_step(&t->decoders); i < t->decoders.n; i++)
        if (t->decoders.items[i].kind == DECODE_STRIP)
            d->n_strip =
                (int32_t)(t->decoders.items[i].start > 1000 ? 1000 : t->decoders.items[i].start);
    if (t->decoders.sentencepiece)
        d->stripping = t->decoders.strip_prefix || t->decoders.strip_all;
}

void detokenizer_push(struct detokenizer *d, int32_t id, struct buf *out)
{
    const struct tokenizer *t = d->t;
    if (is_hidden(t, id, d->skip_special))
        return;
    if (t->decoders.sentencepiece) {
        push_sentencepiece(d, id, out);
    } else if (t->decoders.none) {
        if (d->started)
            buf_char(out, ' ');
        buf_slice(out, seen(t, id));
        d->started = true;
    } else if (waits(&t->decoders)) {
        if (d->waiting >= 0)
            push_steps(d, d->waiting, false, out);
        d->waiting = id;
    } else {
        push_steps(d, id, false, out);
    }
}

void detokenizer_finish(struct detokenizer *d, struct buf *out)
{
    const struct decoders *all = &d->t->decoders;
    if (d->waiting >= 0)
        push_steps(d, d->waiting, true, out);
    d->waiting = -1;
    int join = joining_step(all);
    if (all->sentencepiece)
        release_spm_bytes(d, true, out);
    else if (join < all->n && all->items[join].kind == DECODE_BYTE_LEVEL)
        release_bytes(d, true, out);
    else
        end_byte_run(d, out);
}

static bool decode_steps(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                         struct buf *out, struct error *err)
{
    struct matcher m = {.classes = t->classes};
    struct strings a = {0}, b = {0}, *result = NULL;
    for (size_t i = 0; i < n; i++) {
        if (is_hidden(t, ids[i], skip_special))
            continue;
        buf_slice(&a.text, seen(t, ids[i]));
        strings_end(&a);
    }
    bool ok = a.n == 0 ||
              decoders_run(&t->decoders, 0, t->decoders.n, &m, &a, &b, &result, true, true, err);
    if (ok && a.n)
        buf_slice(out, buf_view(&result->text));
    strings_release(&a);
    strings_release(&b);
    matcher_release(&m);
    return ok;
}

bool tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                      struct buf *out, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= t->vocab.n)
            return error_set(err, ERR_USAGE, "token id %d is not in 0 .. %d", (int)ids[i],
                             (int)t->vocab.n - 1);
    if (!t->decoders.sentencepiece && !t->decoders.none)
        return decode_steps(t, ids, n, skip_special, out, err);
    struct detokenizer d;
    detokenizer_init(&d, t, skip_special);
    for (size_t i = 0; i < n; i++)
        detokenizer_push(&d, ids[i], out);
    detokenizer_finish(&d, out);
    return true;
}
