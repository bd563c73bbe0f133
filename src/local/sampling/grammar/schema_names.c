// schema_names.c - names of members that are not named in a schema.
//
// Without patterns, a tree of the known names is left at the first character that differs; what
// follows is any string. In the tree characters stand for themselves or have their shortest escape,
// so that no known name comes in another spelling. With patterns the names are a product (nfa.h).
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/charset.h"
#include "local/sampling/grammar/raw_text.h"
#include "local/sampling/grammar/schema_impl.h"

enum { NAME_BYTES_MAX = 200 };

struct name_tree {
    struct schema_compiler *c;
    uint32_t *codes;  // of all names, one after another
    size_t *first;    // [n + 1]
    size_t n, capacity, n_codes;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The names, sorted, as code points.
static bool read_names(struct name_tree *t, const struct schema_names *names)
{
    const char **sorted = memory_array(const char *, names->n_names + 1);
    t->first = memory_array(size_t, names->n_names + 1);
    t->n = names->n_names;
    if (t->n)
        memcpy(sorted, names->names, t->n * sizeof *sorted);
    qsort(sorted, t->n, sizeof *sorted, compare_names);
    for (size_t i = 0; i < t->n && !t->c->failed; i++) {
        size_t len = strlen(sorted[i]);
        if (len > NAME_BYTES_MAX) {
            (void)error_set(t->c->err, ERR_LIMIT,
                            "schema: the name \"%.40s...\" is too long beside others", sorted[i]);
            t->c->failed = true;
        }
        for (size_t at = 0, step; at < len; at += step) {
            uint32_t code;
            step = utf8_decode(sorted[i] + at, len - at, &code);
            memory_grow(t->codes, t->capacity, t->n_codes + 1);
            t->codes[t->n_codes++] = step ? code : 0xFFFD;
            step = step ? step : 1;
        }
        t->first[i + 1] = t->n_codes;
    }
    free(sorted);
    return !t->c->failed;
}

// The rest of a name that is none of names from..to, which agree in their first characters.
static uint32_t other_name(const struct name_tree *t, size_t from, size_t to, size_t depth)
{
    struct program *p = t->c->p;
    regex_chars *chars = json_chars(&t->c->json);
    struct charset own = {0};
    uint32_t *targets = memory_array(uint32_t, to - from + 2);
    size_t n = 0;
    bool is_name = false;
    for (size_t i = from, k; i < to; i = k) {
        k = i + 1;
        if (t->first[i + 1] - t->first[i] == depth) {
            is_name = true;
            continue;
        }
        uint32_t code = t->codes[t->first[i] + depth];
        while (k < to && t->codes[t->first[k] + depth] == code)
            k++;
        struct code_range one = {code, code};
        targets[n++] = chars(p, &one, 1, other_name(t, i, k, depth + 1));
        charset_add(&own, code, code);
    }
    charset_sort(&own);
    charset_negate(&own);
    targets[n++] = chars(p, own.ranges, own.n, emit_string_rest(&t->c->json, NODE_ID_END));
    if (!is_name)
        targets[n++] = node_byte(p, '"', '"', NODE_ID_END);
    uint32_t node = node_split(p, targets, n);
    free(targets);
    charset_release(&own);
    return node;
}

// A tree that matches one of the names.
static struct regex *names_tree(struct schema_compiler *c, const struct schema_names *names)
{
    struct regex *alt = arena_new(&c->arena, struct regex, 1);
    alt->kind = REGEX_ALT;
    for (size_t i = names->n_names; i-- > 0;) {
        struct regex *cat = arena_new(&c->arena, struct regex, 1), **end = &cat->first;
        size_t len = strlen(names->names[i]);
        cat->kind = REGEX_CAT;
        for (size_t at = 0, step; at < len; at += step) {
            struct regex *one = arena_new(&c->arena, struct regex, 1);
            struct code_range *range = arena_new(&c->arena, struct code_range, 1);
            step = utf8_decode(names->names[i] + at, len - at, &range->low);
            range->high = range->low;
            step = step ? step : 1;
            *one = (struct regex){.kind = REGEX_SET, .ranges = range, .n = 1};
            *end = one;
            end = &one->next;
        }
        cat->next = alt->first;
        alt->first = cat;
    }
    return alt;
}

// The languages of propertyNames of a flat set. False on failure.
static bool name_languages(struct schema_compiler *c, const struct schema_set *flat,
                           struct schema_languages *out)
{
    struct schema_set set = {0}, names = {0};
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = json_object_get(flat->items[i].schema, "propertyNames");
        if (schema)
            set_add(&set, schema, 0);
    }
    *out = (struct schema_languages){.max = REPEAT_NO_MAX};
    bool ok = set.n == 0 || schema_flatten(c, &set, &names);
    for (size_t i = 0; ok && i < names.n; i++) {
        const json_t *schema = names.items[i].schema;
        static const char *const not_here[] = {"enum", "const", "anyOf", "oneOf"};
        for (size_t k = 0; k < 4; k++)
            if (json_object_get(schema, not_here[k]))
                schema_fail(c, schema, not_here[k],
                            "cannot be compiled in propertyNames beside other members");
        ok = !c->failed && (schema_types(c, &names) & TYPE_STRING);
    }
    ok = ok && (names.n == 0 || schema_languages(c, &names, true, out));
    set_release(&set);
    set_release(&names);
    return ok;
}

static uint32_t names_product(struct schema_compiler *c, const struct schema_set *flat,
                              const struct schema_names *names, unsigned which,
                              struct schema_languages *all)
{
    uint32_t node = NODE_ID_FAIL;
    struct nfa *known = nfa_new(names_tree(c, names));
    bool loose = json_is_loose(&c->json);
    bool ok = known != NULL && all->n + names->n_patterns + 2 <= LANGUAGES_MAX;
    if (ok && loose) {
        all->list[all->n++] = (struct language){raw_text_unplain(c->json.raw), true};
        all->min = all->min ? all->min : 1;  // the empty name and long ones are none there
        all->max = all->max < JSON_LOOSE_NAME ? all->max : JSON_LOOSE_NAME;
    }
    if (ok) {
        all->list[all->n++] = (struct language){.nfa = known, .negated = true};
        for (size_t i = 0; i < names->n_patterns; i++)
            all->list[all->n++] = (struct language){names->patterns[i], !(which >> i & 1)};
        uint32_t quote = node_text(c->p, loose ? c->json.quote : slice_str("\""), NODE_ID_END);
        ok = schema_product(c, flat->items[0].schema, "patternProperties", all,
                            loose ? node_chars : json_chars(&c->json), quote, &node);
    }
    nfa_free(known);
    if (!ok)
        schema_fail(c, flat->items[0].schema, "patternProperties",
                    "names and patterns are too large together");
    return node;
}

uint32_t schema_other_names(struct schema_compiler *c, const struct schema_set *flat,
                            const struct schema_names *names, unsigned which)
{
    uint32_t rule = program_rule(c->p, "name"), node = NODE_ID_FAIL;
    struct schema_languages all;
    if (!name_languages(c, flat, &all))
        return rule;
    if (json_is_loose(&c->json) || all.n || all.min || all.max != REPEAT_NO_MAX ||
        names->n_patterns) {
        node = names_product(c, flat, names, which, &all);
    } else if (names->n_names == 0) {
        node = emit_string_rest(&c->json, NODE_ID_END);
    } else {
        struct name_tree t = {.c = c};
        if (read_names(&t, names))
            node = other_name(&t, 0, t.n, 0);
        free(t.codes);
        free(t.first);
    }
    program_set(c->p, rule, node);
    return rule;
}
