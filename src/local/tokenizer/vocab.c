#include "local/tokenizer/vocab.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/utf8.h"

static uint64_t hash_of(struct slice s)
{
    return hash_bytes(s.ptr, s.len, 7);
}

static int32_t *slot_of(const struct vocab *v, struct slice piece)
{
    size_t mask = v->n_slots - 1;
    for (size_t i = hash_of(piece) & mask;; i = (i + 1) & mask) {
        int32_t id = v->slots[i] - 1;
        if (id < 0 || slice_eq(v->pieces[id], piece))
            return &v->slots[i];
    }
}

static void grow_slots(struct vocab *v)
{
    int32_t *old = v->slots;
    size_t n_old = v->n_slots;
    v->n_slots = n_old ? n_old * 2 : 1024;
    v->slots = memory_array(int32_t, v->n_slots);
    for (size_t i = 0; i < n_old; i++)
        if (old[i])
            *slot_of(v, v->pieces[old[i] - 1]) = old[i];
    free(old);
}

void vocab_reserve(struct vocab *v, int32_t n)
{
    if ((size_t)n > v->capacity) {
        size_t capacity = v->capacity ? v->capacity : 256;
        while (capacity < (size_t)n)
            capacity *= 2;
        v->pieces = memory_resize(v->pieces, capacity, sizeof *v->pieces);
        v->kinds = memory_resize(v->kinds, capacity, sizeof *v->kinds);
        v->capacity = capacity;
    }
    for (; v->n < n; v->n++) {
        v->pieces[v->n] = (struct slice){0};
        v->kinds[v->n] = TOKEN_UNUSED;
    }
}

bool vocab_set(struct vocab *v, int64_t id, struct slice piece, enum token_kind kind,
               const char *field, struct error *err)
{
    if (id < 0 || id >= VOCAB_MAX)
        return error_set(err, ERR_FORMAT, "%s: id %lld is not in 0 .. %d", field, (long long)id,
                         VOCAB_MAX - 1);
    if (piece.len > PIECE_MAX_BYTES)
        return error_set(err, ERR_LIMIT, "%s: the piece of id %lld has %zu bytes, at most %d",
                         field, (long long)id, piece.len, PIECE_MAX_BYTES);
    if (!v->any_bytes && !utf8_valid(piece.ptr, piece.len))
        return error_set(err, ERR_FORMAT, "%s: the piece of id %lld is not UTF-8", field,
                         (long long)id);
    vocab_reserve(v, (int32_t)id + 1);
    struct slice old = v->pieces[id];
    if (old.ptr && !slice_eq(old, piece))
        return error_set(err, ERR_FORMAT, "%s: id %lld is given to '%.*s' and to '%.*s'", field,
                         (long long)id, (int)(old.len > 40 ? 40 : old.len), old.ptr,
                         (int)(piece.len > 40 ? 40 : piece.len), piece.ptr);
    if (!old.ptr)
        v->pieces[id] = slice_of(arena_text(&v->text, piece), piece.len);
    v->kinds[id] = (uint8_t)kind;
    if (v->n_used * 2 >= v->n_slots)
        grow_slots(v);
    int32_t *slot = slot_of(v, piece);
    if (*slot == 0)
        v->n_used++;
    *slot = (int32_t)id + 1;
    return true;
}

int32_t vocab_find(const struct vocab *v, struct slice piece)
{
    return v->n_slots ? *slot_of(v, piece) - 1 : -1;
}

// Bytes that print stay themselves; the other 68 take the letters from U+0100 on, in order.
static bool prints(unsigned b)
{
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
}

uint32_t byte_letter(uint8_t byte)
{
    if (prints(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xAD ? 0x143u : 0x121u + (byte - 0x7Fu);
}

int byte_of_letter(uint32_t c)
{
    if (c < 0x100)
        return prints(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)c - 0x100;
    if (c <= 0x142)
        return (int)c - 0x121 + 0x7F;
    return c == 0x143 ? 0xAD : -1;
}

void byte_letters(struct slice bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_utf8(out, byte_letter((uint8_t)bytes.ptr[i]));
}

void vocab_make_bytes(struct vocab *v)
{
    v->bytes = memory_array(struct slice, (size_t)v->n);
    for (int32_t id = 0; id < v->n; id++) {
        struct slice p = v->pieces[id];
        char *raw = arena_alloc(&v->text, p.len + 1, 1);
        size_t n = 0;
        for (size_t i = 0, step; i < p.len; i += step) {
            uint32_t c;
            step = utf8_decode(p.ptr + i, p.len - i, &c);
            int byte = step ? byte_of_letter(c) : -1;
            if (byte < 0) {  // a piece with other letters stands for its own text
                memcpy(raw, p.ptr, p.len);
                n = p.len;
                break;
            }
            raw[n++] = (char)byte;
        }
        v->bytes[id] = slice_of(raw, n);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int byte_piece(struct slice p)
{
    if (p.len != 6 || memcmp(p.ptr, "<0x", 3) != 0 || p.ptr[5] != '>')
        return -1;
    int high = hex_digit(p.ptr[3]), low = hex_digit(p.ptr[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void vocab_release(struct vocab *v)
{
    arena_release(&v->text);
    free(v->pieces);
    free(v->bytes);
    free(v->kinds);
    free(v->scores);
    free(v->slots);
    *v = (struct vocab){0};
}
