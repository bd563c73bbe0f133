#include "local/tokenizer/added.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/unicode.h"
#include "local/tokenizer/vocab.h"

bool added_set(struct added_tokens *a, struct added_token token, const char *field,
               struct error *err)
{
    if (token.text.len == 0)
        return true;
    if (token.text.len > SCANNED_MAX_BYTES)
        return error_set(err, ERR_LIMIT, "%s: the added token of id %d has %zu bytes, at most %d",
                         field, (int)token.id, token.text.len, SCANNED_MAX_BYTES);
    if (!utf8_valid(token.text.ptr, token.text.len))
        return error_set(err, ERR_FORMAT, "%s: the added token of id %d is not UTF-8", field,
                         (int)token.id);
    if (a->n == ADDED_MAX || a->text.used_bytes > ADDED_MAX_BYTES)
        return error_set(err, ERR_LIMIT, "%s: more than %d added tokens, or more than %d bytes",
                         field, ADDED_MAX, ADDED_MAX_BYTES);
    memory_grow(a->items, a->capacity, a->n + 1);
    token.text = slice_of(arena_text(&a->text, token.text), token.text.len);
    token.sought = token.text;
    token.order = (uint32_t)a->n;
    a->items[a->n++] = token;
    return true;
}

static int by_id(const void *x, const void *y)
{
    const struct added_token *a = x, *b = y;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

void added_sort(struct added_tokens *a)
{
    size_t n = 0;
    if (a->n)
        qsort(a->items, a->n, sizeof *a->items, by_id);
    for (size_t i = 0; i < a->n; i++)
        if (i + 1 == a->n || a->items[i + 1].id != a->items[i].id)
            a->items[n++] = a->items[i];
    a->n = n;
}

const struct added_token *added_of(const struct added_tokens *a, int32_t id)
{
    size_t low = 0, high = a->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (a->items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->n && a->items[low].id == id ? &a->items[low] : NULL;
}

const struct added_token *added_find(const struct added_tokens *a, struct slice text)
{
    for (size_t i = 0; i < a->n; i++)
        if (slice_eq(a->items[i].text, text))
            return &a->items[i];
    return NULL;
}

void added_index(struct added_tokens *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i].sought.len && a->items[i].sought.len <= SCANNED_MAX_BYTES)
            trie_add(a->items[i].normalized ? &a->normalized : &a->raw, a->items[i].sought,
                     (int32_t)i);
}

void added_release(struct added_tokens *a)
{
    arena_release(&a->text);
    free(a->items);
    trie_release(&a->raw);
    trie_release(&a->normalized);
    *a = (struct added_tokens){0};
}

static unsigned classes_before(const uint16_t *classes, struct slice text, size_t i, size_t *len)
{
    size_t start = i;
    do
        start--;
    while (start > 0 && i - start < 4 && ((unsigned char)text.ptr[start] & 0xC0) == 0x80);
    uint32_t c = 0;
    *len = i - start;
    return utf8_decode(text.ptr + start, i - start, &c) == i - start ? classes[c] : 0;
}

static unsigned classes_at(const uint16_t *classes, struct slice text, size_t i, size_t *len)
{
    uint32_t c = 0;
    *len = utf8_decode(text.ptr + i, text.len - i, &c);
    return *len ? classes[c] : 0;
}

static bool is_tainted(const struct added_filter *f, size_t start, size_t end)
{
    return f->tainted && memchr(f->tainted + start, 1, end - start);
}

// The longest token at i that may match there.
static const struct added_token *longest(const struct added_tokens *a, const struct trie *t,
                                         struct slice text, const struct added_filter *f, size_t i,
                                         size_t *len)
{
    const struct added_token *best = NULL;
    int32_t node = 0;
    for (size_t k = i; k < text.len; k++) {
        node = trie_next(t, node, (uint8_t)text.ptr[k]);
        if (node < 0)
            break;
        if (trie_value(t, node) < 0)
            continue;
        const struct added_token *token = &a->items[trie_value(t, node)];
        if ((token->special || token->guarded) && is_tainted(f, i, k + 1))
            continue;
        best = token;
        *len = k + 1 - i;
    }
    return best;
}

static bool stands_alone(const struct added_filter *f, struct slice text, size_t start, size_t end)
{
    size_t len;
    return (start == 0 || !(classes_before(f->classes, text, start, &len) & CHAR_WORD)) &&
           (end == text.len || !(classes_at(f->classes, text, end, &len) & CHAR_WORD));
}

bool added_next(const struct added_tokens *a, const struct trie *t, struct slice text,
                const struct added_filter *f, size_t *from, size_t taken, struct added_match *m)
{
    if (t->n_nodes == 0)
        return false;
    size_t len = 0;
    for (size_t i = *from; i < text.len; i++) {
        if (!t->from_root[(uint8_t)text.ptr[i]])
            continue;
        const struct added_token *token = longest(a, t, text, f, i, &len);
        if (!token)
            continue;
        size_t start = i, end = i + len;
        i = end - 1;
        if ((token->special && !f->special) ||
            (token->single_word && !stands_alone(f, text, start, end)))
            continue;
        *from = end;
        size_t step;
        while (token->lstrip && start > taken &&
               (classes_before(f->classes, text, start, &step) & CHAR_SPACE))
            start -= step;
        if (start < taken)
            start = taken;
        while (token->rstrip && end < text.len &&
               (classes_at(f->classes, text, end, &step) & CHAR_SPACE))
            end += step;
        *m = (struct added_match){start, end, token};
        return true;
    }
    *from = text.len;
    return false;
}
