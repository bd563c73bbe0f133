// iterate.c - going over things, one item at a time, as Python's iterators do.
//
// Filters such as map and select are lazy (filters_items.c): they give an iterator which can be
// gone over once, is true even if nothing will come, and has no length.
#include "local/template/run.h"
#include "local/template/text.h"

static bool next_list(struct run *r, struct iterator *it, struct value *out)
{
    (void)r;
    const struct list *l = it->source.list;
    if (it->at >= l->n)
        return false;
    *out = l->items[it->at++];
    return true;
}

static bool next_text(struct run *r, struct iterator *it, struct value *out)
{
    const struct text *t = it->source.text;
    if (it->at >= t->len)
        return false;
    size_t n;
    text_code(t, it->at, &n);
    *out = text_as_markup(r, text_part(r, t, it->at, it->at + n).text, false);
    it->at += n;
    return true;
}

static bool next_entry(struct run *r, struct iterator *it, struct value *out)
{
    const struct dict *d = it->source.type == V_DICT ? it->source.dict : it->source.view->dict;
    enum view_kind kind = it->source.type == V_DICT ? VIEW_KEYS : it->source.view->kind;
    if (it->at >= d->n)
        return false;
    const struct entry *e = d->entries + it->at++;
    *out = kind == VIEW_KEYS     ? e->key
           : kind == VIEW_VALUES ? e->value
                                 : value_pair(r, e->key, e->value);
    return true;
}

static bool next_range(struct run *r, struct iterator *it, struct value *out)
{
    (void)r;
    const struct range *range = it->source.range;
    if (it->at >= range->n)
        return false;
    *out = value_int(range_item(range, it->at++));
    return true;
}

static bool next_of_loop(struct run *r, struct iterator *it, struct value *out)
{
    struct value v;
    if (!loop_next(r, it->source.loop, &v))
        return false;
    *out = value_pair(r, v, it->source);
    return true;
}

static bool next_nothing(struct run *r, struct iterator *it, struct value *out)
{
    (void)r;
    (void)it;
    (void)out;
    return false;
}

bool value_is_iterable(struct value v)
{
    switch (v.type) {
    case V_UNDEFINED:
    case V_TEXT:
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_VIEW:
    case V_RANGE:
    case V_ITERATOR:
    case V_LOOP: return true;
    default: return false;
    }
}

struct iterator *iterator_new(struct run *r, const char *type,
                              bool (*next)(struct run *, struct iterator *, struct value *))
{
    struct iterator *it = run_new(r, struct iterator, 1);
    it->type = type;
    it->next = next;
    return it;
}

struct iterator *iterator_open(struct run *r, struct value v)
{
    bool (*next)(struct run *, struct iterator *, struct value *) = NULL;
    switch (v.type) {
    case V_ITERATOR: return v.iterator;
    case V_UNDEFINED: next = next_nothing; break;
    case V_TEXT: next = next_text; break;
    case V_LIST:
    case V_TUPLE: next = next_list; break;
    case V_DICT:
    case V_VIEW: next = next_entry; break;
    case V_RANGE: next = next_range; break;
    case V_LOOP: next = next_of_loop; break;
    default: run_fail(r, ERR_FORMAT, "'%s' object is not iterable", type_name(v));
    }
    struct iterator *it = iterator_new(r, "iterator", next);
    it->source = v;
    return it;
}

// Iterators over iterators over ... are as deep as the template likes.
bool iterator_next(struct run *r, struct iterator *it, struct value *out)
{
    run_charge(r, 1);
    run_enter(r);
    bool more = it->next(r, it, out);
    run_leave(r);
    return more;
}

struct list *value_to_list(struct run *r, struct value v)
{
    struct iterator *it = iterator_open(r, v);
    int64_t n = v.type == V_ITERATOR || v.type == V_LOOP ? 0 : value_length(r, v);
    struct list *l = list_new(r, n > 0 ? (size_t)n : 0);
    struct value item;
    while (iterator_next(r, it, &item))
        list_add(r, l, item);
    return l;
}
