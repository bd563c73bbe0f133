// schema_string.c - strings: lengths, patterns and formats.
//
// One pattern alone is written as it is; several, or one beside bounds that it may break, are
// intersected. Patterns are of the text that the JSON string means: what needs an escape is
// written as one.
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/sampling/grammar/schema_impl.h"

// The pattern or format as a tree, read once. NULL on failure.
static struct schema_text *text_of(struct schema_compiler *c, const json_t *at, const char *keyword,
                                   struct slice source, bool search)
{
    struct error err = {0};
    if (!schema_works(c, at, keyword, 1 + c->n_texts / 64))
        return NULL;
    for (size_t i = 0; i < c->n_texts; i++)
        if (c->texts[i].search == search && slice_eq(c->texts[i].source, source))
            return &c->texts[i];
    const struct regex *tree = regex_read(source, search, &c->arena, &err);
    if (!tree) {
        schema_fail(c, at, keyword, "%.100s", err.text);
        return NULL;
    }
    memory_grow(c->texts, c->texts_capacity, c->n_texts + 1);
    struct schema_text *t = &c->texts[c->n_texts++];
    *t = (struct schema_text){.source = source, .search = search, .tree = tree};
    return t;
}

static const struct nfa *nfa_of(struct schema_compiler *c, const json_t *at, const char *keyword,
                                struct schema_text *t)
{
    if (!t->tried)
        t->nfa = nfa_new(t->tree);
    t->tried = true;
    if (!t->nfa)
        schema_fail(c, at, keyword, "the expression is too large beside other keywords");
    return t->nfa;
}

const struct nfa *schema_pattern(struct schema_compiler *c, const json_t *at, const char *keyword,
                                 const char *pattern)
{
    struct schema_text *t = text_of(c, at, keyword, slice_str(pattern), true);
    return t ? nfa_of(c, at, keyword, t) : NULL;
}

// The schema's own pattern or format. False on failure; *t NULL if there is none.
static bool keyword_text(struct schema_compiler *c, const json_t *schema, bool format,
                         struct schema_text **t)
{
    const char *keyword = format ? "format" : "pattern";
    const json_t *value = json_object_get(schema, keyword);
    *t = NULL;
    if (!value)
        return true;
    if (!json_is_string(value)) {
        schema_fail(c, schema, keyword, "is not a string");
        return false;
    }
    struct slice source = json_slice(value);
    if (format && schema_format_is_any(source.ptr))
        return true;
    if (format) {
        const char *expression = schema_format(source.ptr);
        if (!expression) {
            schema_fail(c, schema, "format", "'%.40s' cannot be compiled", source.ptr);
            return false;
        }
        source = slice_str(expression);
    }
    *t = text_of(c, schema, keyword, source, !format);
    return *t != NULL;
}

static bool add_text(struct schema_compiler *c, const json_t *schema, bool format, bool nfas,
                     struct schema_languages *out)
{
    struct schema_text *t;
    if (!keyword_text(c, schema, format, &t))
        return false;
    if (!t)
        return true;
    if (out->n == LANGUAGES_MAX - 8) {
        schema_fail(c, schema, "pattern", "too many patterns at once");
        return false;
    }
    const struct nfa *nfa = nfas ? nfa_of(c, schema, format ? "format" : "pattern", t) : NULL;
    out->list[out->n] = (struct language){.nfa = nfa};
    out->trees[out->n++] = t->tree;
    return !nfas || nfa;
}

bool schema_languages(struct schema_compiler *c, const struct schema_set *flat, bool nfas,
                      struct schema_languages *out)
{
    *out = (struct schema_languages){0};
    schema_bounds(c, flat, "minLength", "maxLength", &out->min, &out->max);
    for (size_t i = 0; i < flat->n && !c->failed; i++)
        if (!add_text(c, flat->items[i].schema, false, nfas, out) ||
            !add_text(c, flat->items[i].schema, true, nfas, out))
            return false;
    return !c->failed;
}

bool schema_matches(struct schema_compiler *c, const json_t *at, const struct nfa *nfa,
                    struct slice text)
{
    // The states are laid out anew for each text, and any number of them may be where it stands.
    size_t work = 1 + nfa_states(nfa) / 64 + text.len / 8;
    return schema_works(c, at, "pattern", work) && nfa_matches(nfa, text);
}

bool schema_product(struct schema_compiler *c, const json_t *at, const char *keyword,
                    const struct schema_languages *all, regex_chars *chars, uint32_t next,
                    uint32_t *node)
{
    enum { STEPS_A_LOOK = 16 };  // of a product, in the time of one look at a schema
    uint64_t work = 0;
    if (!nfa_product(c->p, all->list, all->n, all->min, all->max, chars, next, node, &work)) {
        schema_fail(c, at, keyword, "too large together with lengths, names or other patterns");
        return false;
    }
    return schema_works(c, at, keyword, (size_t)(work / STEPS_A_LOOK));
}

bool schema_text_fits(struct schema_compiler *c, const json_t *schema, struct slice text)
{
    struct schema_item item = {.schema = schema};
    struct schema_set one = {.items = &item, .n = 1};
    struct schema_languages all;
    if (!schema_languages(c, &one, true, &all))
        return false;
    for (size_t i = 0; i < all.n; i++)
        if (!schema_matches(c, schema, all.list[i].nfa, text))
            return false;
    return true;
}

// The only part of a tree, as long as there is but one.
static const struct regex *only_part(const struct regex *r)
{
    while ((r->kind == REGEX_CAT || r->kind == REGEX_ALT) && r->first && !r->first->next)
        r = r->first;
    return r;
}

// The string's characters and its last quote: one expression, if that is enough.
static bool single(struct schema_compiler *c, const struct schema_languages *all, uint32_t quote,
                   uint32_t *node)
{
    uint32_t min, max;
    regex_lengths(all->trees[0], &min, &max);
    const struct regex *r = only_part(all->trees[0]);
    if (all->n != 1)
        return false;
    if (min >= all->min && max <= all->max) {
        *node = regex_emit(c->p, r, json_chars(&c->json), quote);
        return true;
    }
    if (r->kind != REGEX_REPEAT || only_part(r->first)->kind != REGEX_SET)
        return false;
    struct regex counted = *r;
    counted.min = r->min > all->min ? r->min : all->min;
    counted.max = r->max < all->max ? r->max : all->max;
    *node = counted.min > counted.max ? NODE_ID_FAIL
                                      : regex_emit(c->p, &counted, json_chars(&c->json), quote);
    return true;
}

uint32_t schema_string(struct schema_compiler *c, const struct schema_set *flat, uint32_t next)
{
    struct schema_languages all;
    if (json_is_loose(&c->json) || set_is_bare(flat))
        return schema_raw_string(c, flat, set_is_bare(flat), next);
    uint32_t node, quote = node_byte(c->p, '"', '"', NODE_ID_END);
    if (!schema_languages(c, flat, false, &all) || all.min > all.max)
        return NODE_ID_FAIL;
    if (all.n == 0)
        return emit_string_sized(&c->json, all.min, all.max, next);
    if (!single(c, &all, quote, &node)) {
        if (!schema_languages(c, flat, true, &all) ||
            !schema_product(c, flat->items[0].schema, "pattern", &all, json_chars(&c->json), quote,
                            &node))
            return NODE_ID_FAIL;
    }
    uint32_t rule = program_rule(c->p, "string");
    program_set(c->p, rule, node);
    return node_byte(c->p, '"', '"', node_call(c->p, rule, next));
}
