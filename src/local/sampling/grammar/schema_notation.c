// schema_notation.c - values as some models write them in calls of tools: strings that stand as
// they are, between quotes of the model's own or between tags, and members between tags.
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/raw_text.h"
#include "local/sampling/grammar/schema.h"
#include "local/sampling/grammar/schema_impl.h"

enum { NAME_BYTES_MAX = 256, DEPTH_MAX = 60 };  // what the parsers of answers take

bool set_is_bare(const struct schema_set *s)
{
    bool bare = false;
    for (size_t i = 0; i < s->n; i++)
        bare |= (s->items[i].done & BARE_TEXT) != 0;
    return bare;
}

uint32_t schema_raw_string(struct schema_compiler *c, const struct schema_set *flat, bool bare,
                           uint32_t next)
{
    struct schema_languages all;
    uint32_t end = bare ? next : node_text(c->p, c->json.quote, next), text;
    if (!schema_languages(c, flat, true, &all) || all.min > all.max)
        return NODE_ID_FAIL;
    if (all.n == 0 && all.min == 0 && all.max == REPEAT_NO_MAX) {
        text = emit_raw(&c->json, end);
    } else if (all.n == 0) {
        text = raw_text_sized(c->p, c->json.raw, all.min, all.max, end);
    } else {
        uint32_t rule = program_rule(c->p, "string"), node;
        all.list[all.n++] = (struct language){raw_text_broken(c->json.raw), true};
        if (!schema_product(c, flat->items[0].schema, "pattern", &all, node_chars, NODE_ID_END,
                            &node))
            return NODE_ID_FAIL;
        program_set(c->p, rule, node);
        text = node_call(c->p, rule, end);
    }
    return bare ? text : node_text(c->p, c->json.quote, text);
}

// Texts

static bool add_raw(struct schema_compiler *c, const json_t *at, struct slice text, bool bare,
                    struct buf *out)
{
    if (nfa_matches(raw_text_broken(c->json.raw), text)) {
        schema_fail(c, at, "enum", "'%.40s' cannot stand in a call as this model writes them",
                    text.ptr);
        return false;
    }
    if (!bare)
        buf_slice(out, c->json.quote);
    buf_slice(out, text);
    if (!bare)
        buf_slice(out, c->json.quote);
    return true;
}

static bool add_loose(struct schema_compiler *c, const json_t *at, const json_t *value, int depth,
                      struct buf *out)
{
    const char *key;
    json_t *item;
    bool ok = depth < DEPTH_MAX;
    size_t n = 0;
    if (json_is_string(value))
        return add_raw(c, at, json_slice(value), false, out);
    if (!json_is_object(value) && !json_is_array(value)) {
        json_write(out, value, JSON_STYLE_COMPACT);
        return true;
    }
    buf_char(out, json_is_object(value) ? '{' : '[');
    json_object_foreach((json_t *)value, key, item)
    {
        if (n++)
            buf_char(out, ',');
        ok = ok && schema_notation_of_name(c, at, key, out);
        buf_char(out, ':');
        ok = ok && add_loose(c, at, item, depth + 1, out);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i)
            buf_char(out, ',');
        ok = ok && add_loose(c, at, json_array_get(value, i), depth + 1, out);
    }
    buf_char(out, json_is_object(value) ? '}' : ']');
    return ok;
}

bool schema_notation_of(struct schema_compiler *c, const json_t *at, const json_t *value, bool bare,
                        struct buf *out)
{
    struct buf text = {0};
    if (bare && json_is_string(value))
        return add_raw(c, at, json_slice(value), true, out);
    if (json_is_loose(&c->json)) {
        bool ok = add_loose(c, at, value, 0, out);
        if (!ok)
            schema_fail(c, at, "enum", "nests too deep");
        return ok;
    }
    json_write(&text, value, JSON_STYLE_COMPACT);
    json_notate(&c->json, buf_view(&text), out);
    buf_release(&text);
    return true;
}

// Whether a name can stand without quotes: letters, digits, _, - and what is beyond ASCII.
static bool is_word(struct slice name)
{
    bool word = name.len > 0;
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch & 0x80);
        word = word && (letter || ch == '_' || ch == '-' || (ch >= '0' && ch <= '9'));
    }
    return word;
}

bool schema_notation_of_name(struct schema_compiler *c, const json_t *at, const char *name,
                             struct buf *out)
{
    struct slice text = slice_str(name);
    struct buf key = {0};
    if (!json_is_loose(&c->json)) {
        json_write_text(&key, text);
        json_notate(&c->json, buf_view(&key), out);
        buf_release(&key);
        return true;
    }
    if (is_word(text) && text.len <= NAME_BYTES_MAX) {
        buf_slice(out, text);
        return true;
    }
    if (text.len > 0 && text.len <= NAME_BYTES_MAX)
        return add_raw(c, at, text, false, out);
    schema_fail(c, at, "properties", "this model cannot write the name '%.20s'", name);
    return false;
}

// Tags

static bool can_be_tag(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > NAME_BYTES_MAX || name[0] == ' ' || name[n - 1] == ' ')
        return false;
    return !strpbrk(name, "<>\n\r\t");
}

static uint32_t tagged_member(struct schema_compiler *c, const struct schema_set *flat,
                              const struct schema_tags *tags, const char *name, uint32_t next)
{
    struct schema_set set = {0}, own = {0};
    bool bare = tags->is_text(c->root, name);
    if (!can_be_tag(name))
        return schema_fail(c, c->root, "properties", "this model cannot write the name '%.20s'",
                           name);
    schema_member_set(c, flat, name, &set);
    for (size_t i = 0; i < set.n; i++)
        set_add(&own, set.items[i].schema, set.items[i].done | (bare ? BARE_TEXT : 0));
    uint32_t rule = schema_rule_of(c, &own);
    set_release(&set);
    set_release(&own);
    if (c->failed)
        return NODE_ID_FAIL;
    next = node_call(c->p, rule, node_text(c->p, tags->after_value, next));
    next = node_text(c->p, slice_str(name), node_text(c->p, tags->after_name, next));
    return node_text(c->p, tags->before_name, next);
}

// Members that nothing names: words, whose values are JSON.
static uint32_t tagged_others(struct schema_compiler *c, const struct schema_set *flat,
                              const struct schema_tags *tags)
{
    static const struct code_range letters[] = {{'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const struct code_range more[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    struct schema_set values = {0};
    bool any = true;
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema;
        const json_t *others = json_object_get(schema, "additionalProperties");
        others = others ? others : json_object_get(schema, "unevaluatedProperties");
        any = any && !json_is_false(others) && !json_object_get(schema, "patternProperties") &&
              !json_object_get(schema, "propertyNames");
        if (others)
            set_add(&values, others, 0);
    }
    uint32_t node = NODE_ID_FAIL, value = any ? schema_rule_of(c, &values) : 0;
    set_release(&values);
    if (any && !c->failed) {
        uint32_t letter = program_rule(c->p, "letter");
        program_set(c->p, letter, node_chars(c->p, more, 4, NODE_ID_END));
        node = node_call(c->p, value, node_text(c->p, tags->after_value, NODE_ID_END));
        node = node_text(c->p, tags->after_name, node);
        node = node_chars(c->p, letters, 3, node_repeat(c->p, letter, 0, 63, node));
        node = node_text(c->p, tags->before_name, node);
    }
    return node;
}

static uint32_t tagged_members(struct schema_compiler *c, const struct schema_set *flat,
                               const struct schema_tags *tags, const struct members *m)
{
    uint32_t min, max, node = NODE_ID_END;
    uint32_t other = m->n ? NODE_ID_FAIL : tagged_others(c, flat, tags);
    if (c->failed || !schema_member_counts(c, flat, m, other != NODE_ID_FAIL, &min, &max))
        return NODE_ID_FAIL;
    if (other != NODE_ID_FAIL) {
        uint32_t rule = program_rule(c->p, "member");
        program_set(c->p, rule, other);
        return node_repeat(c->p, rule, min, max, NODE_ID_END);
    }
    if (min > 0)
        return schema_fail(c, c->root, "minProperties", "cannot be compiled but by `required`");
    for (size_t i = m->n; i-- > 0 && !c->failed;) {
        uint32_t one = tagged_member(c, flat, tags, m->items[i].name, node);
        node = m->items[i].required ? one : node_either(c->p, one, node);
    }
    return node;
}

uint32_t schema_tagged(struct schema_compiler *c, const struct schema_set *set,
                       const struct schema_tags *tags)
{
    static const char *const not_here[] = {"anyOf", "oneOf", "enum", "const"};
    struct schema_set flat = {0};
    struct members m = {0};
    uint32_t node = NODE_ID_FAIL;
    bool ok = schema_flatten(c, set, &flat);
    for (size_t i = 0; ok && i < flat.n; i++)
        for (size_t k = 0; k < 4; k++)
            if (json_object_get(flat.items[i].schema, not_here[k]))
                schema_fail(c, flat.items[i].schema, not_here[k],
                            "cannot be compiled where a call's arguments stand between tags");
    if (ok && !c->failed && (schema_types(c, &flat) & TYPE_OBJECT)) {
        schema_members(c, &flat, &m);
        node = c->failed ? NODE_ID_FAIL : tagged_members(c, &flat, tags, &m);
    }
    members_release(&m);
    set_release(&flat);
    return node;
}
