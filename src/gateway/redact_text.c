// redact_text.c - one text with placeholders for what the rules find, and back again.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "gateway/redact_impl.h"

static uint32_t *slot_of(const struct redaction *r, uint32_t *table, struct slice key,
                         bool placeholder)
{
    size_t at = hash_bytes(key.ptr, key.len, 0) & (r->n_slots - 1);
    for (; table[at]; at = (at + 1) & (r->n_slots - 1)) {
        const struct replaced *e = &r->entries[table[at] - 1];
        if (slice_eq(placeholder ? e->placeholder : e->text, key))
            break;
    }
    return &table[at];
}

static void grow_tables(struct redaction *r)
{
    free(r->by_text);
    free(r->by_placeholder);
    r->n_slots = r->n_slots ? 2 * r->n_slots : 64;
    r->by_text = memory_array(uint32_t, r->n_slots);
    r->by_placeholder = memory_array(uint32_t, r->n_slots);
    for (uint32_t i = 0; i < r->n_entries; i++) {
        *slot_of(r, r->by_text, r->entries[i].text, false) = i + 1;
        *slot_of(r, r->by_placeholder, r->entries[i].placeholder, true) = i + 1;
    }
}

const struct replaced *redact_lookup(const struct redaction *r, struct slice placeholder)
{
    uint32_t i = r->n_slots ? *slot_of(r, r->by_placeholder, placeholder, true) : 0;
    return i ? &r->entries[i - 1] : NULL;
}

// "EMAIL_", or "EMAIL_B_" and so on where the request has a text with that in it: what is put back
// was then surely put in here.
static bool prefix_is_free(const struct redaction *r, const char *prefix)
{
    for (size_t i = 0; i < rules_n(r->rules); i++)
        if (r->prefixes[i] && strcmp(r->prefixes[i], prefix) == 0)
            return false;
    return !memmem(buf_text(&r->corpus), r->corpus.len, prefix, strlen(prefix));
}

static const char *prefix_of(struct redaction *r, uint32_t rule)
{
    if (r->prefixes[rule])
        return r->prefixes[rule];
    if (!r->corpus.len)
        redact_gather(r->in, &r->corpus);
    char prefix[PLACEHOLDER_BYTES];
    (void)snprintf(prefix, sizeof prefix, "%.32s_", rules_name(r->rules, rule));
    for (int i = 1; !prefix_is_free(r, prefix); i++)
        (void)snprintf(prefix, sizeof prefix, "%.32s_%c%d_", rules_name(r->rules, rule),
                       'A' + i % 26, i);
    return r->prefixes[rule] = memory_text(prefix);
}

static const struct replaced *entry_of(struct redaction *r, struct slice text, uint32_t rule,
                                       struct error *err)
{
    uint32_t i = r->n_slots ? *slot_of(r, r->by_text, text, false) : 0;
    if (i)
        return &r->entries[i - 1];
    if (r->n_entries == PLACEHOLDERS_MAX) {
        (void)error_set(err, ERR_UNSUPPORTED, "more than %d texts to redact in one request",
                        PLACEHOLDERS_MAX);
        return NULL;
    }
    const char *prefix = prefix_of(r, rule);
    const char *name = arena_printf(r->arena, "[%s%d]", prefix, ++r->numbers[rule]);
    struct replaced one = {slice_of(arena_text(r->arena, text), text.len), slice_str(name)};
    memory_grow(r->entries, r->capacity, r->n_entries + 1);
    r->entries[r->n_entries++] = one;
    if (r->n_entries * 2 > r->n_slots) {
        grow_tables(r);
    } else {
        *slot_of(r, r->by_text, one.text, false) = (uint32_t)r->n_entries;
        *slot_of(r, r->by_placeholder, one.placeholder, true) = (uint32_t)r->n_entries;
    }
    return &r->entries[r->n_entries - 1];
}

void redact_undo(const struct redaction *r, struct slice text, struct buf *out)
{
    size_t from = 0;
    if (text.len == 0)
        return;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '[')
            continue;
        size_t end = i + 1;
        while (end < text.len && end - i < PLACEHOLDER_BYTES && text.ptr[end] != ']' &&
               text.ptr[end] != '[')
            end++;
        if (end == text.len || text.ptr[end] != ']')
            continue;
        const struct replaced *e = redact_lookup(r, slice_of(text.ptr + i, end + 1 - i));
        if (!e)
            continue;
        buf_add(out, text.ptr + from, i - from);
        buf_slice(out, e->text);
        from = end + 1;
        i = end;
    }
    buf_add(out, text.ptr + from, text.len - from);
}

// A text between passes: placeholders in it are whole, and no longer looked into.
struct work {
    struct buf text;
    struct spans done;   // the placeholders
    struct spans found;  // by the rules, in the text with placeholders
};

// Of what was found, what is more than placeholders; where it overlaps some, with these as a whole.
static void keep_news(struct work *w)
{
    size_t n = 0, d = 0;
    for (size_t i = 0; i < w->found.n; i++) {
        struct span s = w->found.items[i];
        while (d < w->done.n && w->done.items[d].end <= s.start)
            d++;
        size_t covered = s.start;
        for (size_t k = d; k < w->done.n && w->done.items[k].start < s.end; k++) {
            struct span p = w->done.items[k];
            if (p.start <= covered)  // up to here there are only placeholders
                covered = p.end;
            s.start = p.start < s.start ? p.start : s.start;
            s.end = p.end > s.end ? p.end : s.end;
        }
        if (covered < s.end)
            w->found.items[n++] = s;
    }
    w->found.n = n;
    spans_merge(&w->found);
}

// Replaces what was found, and moves the placeholders that were there before.
static bool replace(struct redaction *r, struct work *w, struct error *err)
{
    struct buf next = {0}, original = {0};
    struct spans done = {0};
    size_t from = 0, d = 0;
    bool ok = true;
    for (size_t i = 0; ok && i <= w->found.n; i++) {
        bool last = i == w->found.n;
        struct span s = last ? (struct span){w->text.len, w->text.len, 0} : w->found.items[i];
        for (; d < w->done.n && w->done.items[d].end <= s.start; d++)
            spans_add(&done, (struct span){next.len + w->done.items[d].start - from,
                                           next.len + w->done.items[d].end - from, 0});
        while (d < w->done.n && w->done.items[d].start < s.end)
            d++;
        buf_add(&next, buf_text(&w->text) + from, s.start - from);
        if (last)
            break;
        buf_clear(&original);
        redact_undo(r, slice_of(w->text.ptr + s.start, s.end - s.start), &original);
        const struct replaced *e = entry_of(r, buf_view(&original), s.rule, err);
        ok = e;
        if (e) {
            spans_add(&done, (struct span){next.len, next.len + e->placeholder.len, 0});
            buf_slice(&next, e->placeholder);
        }
        from = s.end;
    }
    buf_release(&original);
    buf_release(&w->text);
    free(w->done.items);
    w->text = next;
    w->done = done;
    return ok;
}

// Passes until nothing is found but placeholders: what was replaced can change what a rule finds
// beside it. Each pass leaves fewer bytes outside of placeholders, so there is an end.
static bool passes(struct redaction *r, struct work *w, struct error *err)
{
    for (;;) {
        if (!rules_find(r->rules, &r->search, buf_view(&w->text), &w->found, err))
            return false;
        keep_news(w);
        if (w->found.n == 0)
            return true;
        if (!replace(r, w, err))
            return false;
    }
}

bool redact_text(struct redaction *r, struct slice text, struct slice *out, struct error *err)
{
    *out = text;
    if (text.len == 0)
        return true;
    if (slice_eq(text, r->last_in)) {  // a message's text is there twice
        *out = r->last_out;
        return true;
    }
    struct work w = {0};
    bool ok = rules_find(r->rules, &r->search, text, &w.found, err);
    if (ok && w.found.n) {
        buf_slice(&w.text, text);
        ok = passes(r, &w, err);
        *out = slice_of(arena_text(r->arena, buf_view(&w.text)), w.text.len);
    }
    r->last_in = text;
    r->last_out = *out;
    buf_release(&w.text);
    free(w.done.items);
    free(w.found.items);
    return ok;
}
