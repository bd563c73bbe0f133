#include "providers/answer_grammar_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/sampling/grammar/gbnf.h"
#include "local/sampling/grammar/schema.h"
#include "local/sampling/grammar/vocab.h"

static bool is_control(const struct answer_builder *b, int mark)
{
    return b->g->control >> mark & 1;
}

uint32_t answer_mark_node(struct answer_builder *b, enum mark mark, uint32_t next)
{
    const char *text = answer_mark(&b->g->shape, mark);
    if (!text)
        return next;
    if (!is_control(b, mark))
        return node_text(b->p, slice_str(text), next);
    next = node_byte(b->p, (uint8_t)mark, (uint8_t)mark, next);
    return node_byte(b->p, GRAMMAR_MARK, GRAMMAR_MARK, next);
}

uint32_t answer_text_node(struct answer_builder *b, const char *text, uint32_t next)
{
    return node_text(b->p, slice_str(text), next);
}

uint32_t answer_line_node(struct answer_builder *b, uint32_t next)
{
    return node_either(b->p, node_byte(b->p, '\n', '\n', next), next);
}

// Nothing, a space, or up to two lines' ends.
static uint32_t white_node(struct answer_builder *b, uint32_t next)
{
    uint32_t any[] = {next, node_byte(b->p, ' ', ' ', next),
                      node_byte(b->p, '\n', '\n', answer_line_node(b, next))};
    return node_split(b->p, any, 3);
}

// Any text without the marks of a set (bits) that are ordinary text.
static uint32_t text_without(struct answer_builder *b, unsigned set, const char *not_first,
                             uint32_t next)
{
    struct slice ends[RAW_TEXT_ENDS_MAX];
    size_t n = 0;
    for (int i = 0; i < ANSWER_MARKS && n < RAW_TEXT_ENDS_MAX; i++) {
        const char *text = answer_mark(&b->g->shape, i);
        if (set >> i & 1 && text && !is_control(b, i))
            ends[n++] = slice_str(text);
    }
    struct raw_text *raw = raw_text_new(ends, n);
    uint32_t node =
        not_first ? raw_text_begun(b->p, raw, not_first, next) : raw_text_emit(b->p, raw, next);
    raw_text_free(raw);
    return node;
}

#define BIT(mark) (1u << (mark))
enum {
    HARMONY_MARKS = BIT(MARK_SECTION) | BIT(MARK_SECTION_END) | BIT(MARK_CALL) |
                    BIT(MARK_CALL_END) | BIT(MARK_INNER) | BIT(MARK_HIDE)
};

// Thoughts from where the prompt or their mark has begun them, and the answer's rest.
static uint32_t rest_of_thoughts(struct answer_builder *b, uint32_t next)
{
    next = answer_mark_node(b, MARK_THINK_END, white_node(b, next));
    return text_without(b, BIT(MARK_THINK_END), NULL, next);
}

static uint32_t with_thoughts(struct answer_builder *b, uint32_t next)
{
    const char *label = answer_thinking_label(b->g->shape.thinking);
    if (b->g->shape.format == ANSWER_HARMONY) {  // a message on the channel analysis
        uint32_t node = answer_text_node(b, "assistant", next);
        node = answer_mark_node(b, MARK_SECTION_END, answer_mark_node(b, MARK_SECTION, node));
        node = answer_mark_node(b, MARK_INNER, text_without(b, HARMONY_MARKS, NULL, node));
        node = answer_mark_node(b, MARK_CALL, answer_text_node(b, "analysis", node));
        return node_either(b->p, node, next);
    }
    if (b->g->shape.thinking == THINKING_NONE || b->g->begins == ANSWER_BEGINS_THOUGHT_OVER)
        return next;
    uint32_t rest = rest_of_thoughts(b, next);
    if (b->g->begins == ANSWER_BEGINS_THINKING)
        return rest;
    if (label)
        rest = answer_text_node(b, label, node_byte(b->p, '\n', '\n', rest));
    rest = answer_mark_node(b, MARK_THINK, rest);
    uint32_t any[] = {rest, node_byte(b->p, '\n', '\n', rest), next};
    return node_split(b->p, any, 3);
}

// Texts

// A text of what the request holds it to, as a rule. False with err.
static bool constraint_rule(struct answer_builder *b, uint32_t *rule)
{
    const struct chat_constraint *c = b->g->text;
    // Where marks are text, none may stand in a string.
    bool marks = b->g->tools || b->g->shape.format == ANSWER_HARMONY;
    struct json_text json = {.p = b->p, .tagged = marks && !is_control(b, MARK_CALL)};
    struct arena arena = {0};
    bool ok = true;
    if (c->kind == CONSTRAINT_JSON_SCHEMA) {
        ok = schema_add(&json, c->schema, NULL, rule, b->err);
    } else if (c->kind == CONSTRAINT_GBNF) {
        ok = gbnf_add(b->p, c->text, rule, b->err);
    } else if (c->kind == CONSTRAINT_JSON_OBJECT) {
        *rule = program_rule(b->p, "object");
        program_set(b->p, *rule, emit_object_any(&json, NODE_ID_END));
    } else {
        const struct regex *tree = regex_read(c->text, false, &arena, b->err);
        *rule = program_rule(b->p, "the expression");
        if (tree)
            program_set(b->p, *rule, regex_emit(b->p, tree, node_chars, NODE_ID_END));
        ok = tree || error_wrap(b->err, "regular expression");
    }
    arena_release(&arena);
    return ok;
}

// The marks that some formats have around a text that is an answer.
static uint32_t around_text(struct answer_builder *b,
                            uint32_t (*text)(struct answer_builder *, uint32_t, uint32_t),
                            uint32_t what)
{
    const struct answer_shape *shape = &b->g->shape;
    if (shape->format == ANSWER_HARMONY) {
        uint32_t node = answer_mark_node(b, MARK_INNER, text(b, what, NODE_ID_END)), json;
        json = answer_mark_node(b, MARK_INNER2, answer_text_node(b, "json", node));
        node = node_either(b->p, node, node_byte(b->p, ' ', ' ', json));
        return answer_mark_node(b, MARK_CALL, answer_text_node(b, "final", node));
    }
    if (!answer_mark(shape, MARK_HIDE) || !answer_mark(shape, MARK_HIDE_END))
        return text(b, what, NODE_ID_END);
    uint32_t end = answer_mark_node(b, MARK_HIDE_END, NODE_ID_END);
    return node_either(b->p, answer_mark_node(b, MARK_HIDE, text(b, what, end)),
                       text(b, what, NODE_ID_END));
}

static uint32_t held_text(struct answer_builder *b, uint32_t rule, uint32_t next)
{
    return node_call(b->p, rule, next);
}

static uint32_t free_text(struct answer_builder *b, uint32_t calls, uint32_t next)
{
    static const unsigned openers = BIT(MARK_SECTION) | BIT(MARK_CALL) | BIT(MARK_ALSO);
    enum answer_format format = b->g->shape.format;
    bool marked =
        answer_mark(&b->g->shape, MARK_CALL) && format != ANSWER_HARMONY && format != ANSWER_LLAMA;
    // Where a call has no mark, what begins like one is one.
    const char *not_first = format == ANSWER_LLAMA ? "{" : format == ANSWER_JSON ? "{`" : NULL;
    unsigned avoided = format == ANSWER_HARMONY ? (unsigned)HARMONY_MARKS : openers;
    if (marked)
        next = node_either(b->p, next, node_call(b->p, calls, NODE_ID_END));
    return text_without(b, avoided, not_first, next);
}

// The answer's rest behind thoughts.
static bool answer_rest(struct answer_builder *b, uint32_t *node)
{
    uint32_t calls = program_rule(b->p, "calls"), rule = calls;
    const struct answer_grammar *g = b->g;
    bool held = g->text && g->text->kind != CONSTRAINT_NONE;
    if (g->tools) {
        if (!answer_calls_begin(b))
            return false;
        program_set(b->p, calls, answer_calls(b, NODE_ID_END));
    }
    *node = g->tools ? node_call(b->p, calls, NODE_ID_END) : NODE_ID_FAIL;
    if (g->must_call)
        return true;
    if (held && !constraint_rule(b, &rule))
        return false;
    *node = node_either(b->p, *node, around_text(b, held ? held_text : free_text, rule));
    return true;
}

bool answer_grammar_needed(const struct answer_grammar *g)
{
    bool strict = g->must_call || (g->tools && (g->strict || g->known));
    for (size_t i = 0; i < json_array_size(g->tools); i++) {
        const json_t *tool = json_array_get(g->tools, i);
        strict |= json_is_true(json_object_get(json_object_get(tool, "function"), "strict"));
    }
    return strict || (g->text && g->text->kind != CONSTRAINT_NONE);
}

struct program *answer_grammar_compile(const struct answer_grammar *g, struct error *err)
{
    struct answer_builder b = {.g = g, .p = program_new(), .err = err};
    uint32_t rest, root = program_rule(b.p, "the answer");
    b.json.p = b.own.p = b.p;
    bool ok = answer_rest(&b, &rest), finishes = false;
    if (ok) {
        program_set(b.p, root, with_thoughts(&b, rest));
        finishes = true;
        ok = program_finish(b.p, root, err);
    }
    answer_calls_end(&b);
    if (ok)
        return b.p;
    if (finishes && !g->tools)  // then it is what the text is held to
        (void)error_wrap(err, "grammar");
    program_free(b.p);
    return NULL;
}
