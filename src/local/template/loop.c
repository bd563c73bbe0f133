// loop.c - what templates see as `loop`.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

bool loop_next(struct run *r, struct loop *loop, struct value *out)
{
    if (loop->has_after) {
        *out = loop->after;
        loop->has_after = false;
    } else if (loop->ended || !iterator_next(r, loop->items, out)) {
        loop->ended = true;
        return false;
    }
    loop->index0++;
    loop->before = loop->current;
    loop->current = *out;
    return true;
}

static bool peek(struct run *r, struct loop *loop)
{
    if (!loop->has_after && !loop->ended) {
        loop->has_after = iterator_next(r, loop->items, &loop->after);
        loop->ended = !loop->has_after;
    }
    return loop->has_after;
}

// Of something without a length, by taking all that is left of it.
static size_t loop_length(struct run *r, struct loop *loop)
{
    if (!loop->known_length) {
        struct value rest = {.type = V_ITERATOR, .iterator = loop->items};
        struct list *items = loop->ended ? list_new(r, 0) : value_to_list(r, rest);
        loop->items = iterator_open(r, value_list(items));
        loop->ended = loop->ended || false;
        loop->length = items->n + loop->index0 + 1 + loop->has_after;
        loop->known_length = true;
    }
    return loop->length;
}

static struct value call_cycle(struct run *r, struct value self, struct value *v,
                               const struct args *rest)
{
    (void)v;
    if (rest->n == 0)
        run_fail(r, ERR_FORMAT, "no items for cycling given");
    return rest->items[self.loop->index0 % rest->n];
}

static struct value call_changed(struct run *r, struct value self, struct value *v,
                                 const struct args *rest)
{
    (void)v;
    struct list *now = list_new(r, rest->n);
    for (size_t i = 0; i < rest->n; i++)
        list_add(r, now, rest->items[i]);
    struct loop *loop = self.loop;
    struct value all = value_tuple(now);
    if (loop->last_changed.type == V_TUPLE && value_equal(r, loop->last_changed, all))
        return value_bool(false);
    loop->last_changed = all;
    return value_bool(true);
}

static const struct builtin loop_rows[] = {
    {"cycle", call_cycle, NULL, 0},
    {"changed", call_changed, NULL, 0},
};
const struct builtin_table loop_methods = {loop_rows, sizeof loop_rows / sizeof *loop_rows};

struct value loop_attribute(struct run *r, struct loop *loop, struct slice name)
{
    int64_t index0 = (int64_t)loop->index0;
    if (slice_is(name, "index0"))
        return value_int(index0);
    if (slice_is(name, "index"))
        return value_int(index0 + 1);
    if (slice_is(name, "first"))
        return value_bool(index0 == 0);
    if (slice_is(name, "last"))
        return value_bool(!peek(r, loop));
    if (slice_is(name, "length"))
        return value_int((int64_t)loop_length(r, loop));
    if (slice_is(name, "revindex"))
        return value_int((int64_t)loop_length(r, loop) - index0);
    if (slice_is(name, "revindex0"))
        return value_int((int64_t)loop_length(r, loop) - index0 - 1);
    if (slice_is(name, "depth0"))
        return value_int(loop->depth0);
    if (slice_is(name, "depth"))
        return value_int(loop->depth0 + 1);
    if (slice_is(name, "previtem"))
        return index0 == 0 ? value_undefined_hint(r, "there is no previous item") : loop->before;
    if (slice_is(name, "nextitem"))
        return peek(r, loop) ? loop->after : value_undefined_hint(r, "there is no next item");
    const struct builtin *found = builtin_find(&loop_methods, name);
    if (!found)
        return value_missing();
    struct method *m = run_new(r, struct method, 1);
    *m = (struct method){{.type = V_LOOP, .loop = loop}, found};
    return (struct value){.type = V_METHOD, .method = m};
}
