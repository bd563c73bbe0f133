// answer_calls.c - the calls of each format, in the form that its models were taught.
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/sampling/grammar/schema.h"
#include "local/sampling/grammar/vocab.h"
#include "providers/answer_grammar_impl.h"

enum { NAME_BYTES_MAX = 256, MORE_CALLS_MAX = 127 };

static const json_t *function_of(const json_t *tool)
{
    const json_t *function = json_object_get(tool, "function");
    return function ? function : tool;
}

struct slice answer_tool_name(const json_t *tool)
{
    const json_t *name = json_object_get(function_of(tool), "name");
    return json_is_string(name) ? json_slice(name) : slice_str("");
}

const json_t *answer_tool_schema(const json_t *tool)
{
    const json_t *schema = json_object_get(function_of(tool), "parameters");
    return schema ? schema : json_object_get(function_of(tool), "input_schema");
}

// Parts of calls

static uint32_t quoted(struct answer_builder *b, struct slice text, uint32_t next)
{
    struct buf out = {0};
    json_write_text(&out, text);
    uint32_t node = node_text(b->p, buf_view(&out), next);
    buf_release(&out);
    return node;
}

static uint32_t arguments(struct answer_builder *b, size_t tool, uint32_t next)
{
    return node_call(b->p, b->arguments[tool], next);
}

static struct slice name_of(const struct answer_builder *b, size_t tool)
{
    return answer_tool_name(json_array_get(b->g->tools, tool));
}

// {"name": …, "arguments": {…}}, its members named as the format does.
static uint32_t object(struct answer_builder *b, size_t tool, const char *name, const char *value,
                       uint32_t next)
{
    uint32_t node = node_byte(b->p, '}', '}', next);
    node = arguments(b, tool, emit_space(&b->json, node));
    node = quoted(b, slice_str(value), emit_colon(&b->json, node));
    node = node_byte(b->p, ',', ',', emit_space(&b->json, node));
    node = quoted(b, name_of(b, tool), node);
    return quoted(b, slice_str(name), emit_colon(&b->json, node));
}

static uint32_t plain_object(struct answer_builder *b, size_t tool, uint32_t next)
{
    bool parameters = b->g->shape.format == ANSWER_LLAMA || b->g->shape.format == ANSWER_JSON;
    uint32_t node = object(b, tool, "name", parameters ? "parameters" : "arguments", next);
    return node_byte(b->p, '{', '{', emit_space(&b->json, node));
}

static uint32_t digits(struct answer_builder *b, uint32_t next)
{
    uint32_t second = node_byte(b->p, '0', '9', next);
    return node_byte(b->p, '0', '9', node_either(b->p, second, next));
}

// Cohere: an object with an id, a number, before the name.
static uint32_t numbered_object(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t node = object(b, tool, "tool_name", "parameters", next);
    node = node_byte(b->p, ',', ',', emit_space(&b->json, node));
    node = node_byte(b->p, '"', '"', digits(b, node_byte(b->p, '"', '"', node)));
    node = quoted(b, slice_str("tool_call_id"), emit_colon(&b->json, node));
    return node_byte(b->p, '{', '{', emit_space(&b->json, node));
}

static uint32_t bare_name(struct answer_builder *b, size_t tool, uint32_t next)
{
    return node_text(b->p, name_of(b, tool), next);
}

// Calls of one tool

static uint32_t call_hermes(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t node = answer_mark_node(b, MARK_CALL_END, next);
    node = plain_object(b, tool, answer_line_node(b, node));
    return answer_mark_node(b, MARK_CALL, answer_line_node(b, node));
}

static uint32_t call_qwen_xml(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t node = answer_line_node(b, answer_mark_node(b, MARK_CALL_END, next));
    node = arguments(b, tool, answer_text_node(b, "</function>", node));
    node = bare_name(b, tool, answer_text_node(b, ">\n", node));
    node = answer_line_node(b, answer_mark_node(b, MARK_ALSO, node));
    return answer_mark_node(b, MARK_CALL, node);
}

static uint32_t call_glm(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t node = arguments(b, tool, answer_mark_node(b, MARK_CALL_END, next));
    node = bare_name(b, tool, node_byte(b->p, '\n', '\n', node));
    return answer_mark_node(b, MARK_CALL, node);
}

// [TOOL_CALLS]NAME[ARGS]{…}, with an id or without.
static uint32_t call_mistral_named(struct answer_builder *b, size_t tool, uint32_t next)
{
    static const struct code_range letters[] = {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}};
    uint32_t node = answer_mark_node(b, MARK_INNER2, arguments(b, tool, next)), with_id = node;
    for (int i = 0; i < 9; i++)
        with_id = node_chars(b->p, letters, 3, with_id);
    if (b->g->control >> MARK_INNER & 1)
        node = node_either(b->p, node, answer_mark_node(b, MARK_INNER, with_id));
    return answer_mark_node(b, MARK_CALL, bare_name(b, tool, node));
}

// NAME and the arguments; or, as the first models have it, a kind, NAME and a fence.
static uint32_t call_deepseek(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t end = answer_mark_node(b, MARK_CALL_END, next);
    uint32_t plain = answer_mark_node(b, MARK_INNER, arguments(b, tool, end));
    uint32_t fenced = arguments(b, tool, answer_text_node(b, "\n```", end));
    fenced = bare_name(b, tool, answer_text_node(b, "\n```json\n", fenced));
    fenced = answer_text_node(b, "function", answer_mark_node(b, MARK_INNER, fenced));
    return answer_mark_node(b, MARK_CALL, node_either(b->p, bare_name(b, tool, plain), fenced));
}

static uint32_t call_kimi(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t node = arguments(b, tool, answer_mark_node(b, MARK_CALL_END, next));
    node = digits(b, answer_mark_node(b, MARK_INNER, node));
    node = bare_name(b, tool, node_byte(b->p, ':', ':', node));
    return answer_mark_node(b, MARK_CALL, answer_text_node(b, "functions.", node));
}

static uint32_t call_gemma(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t node = arguments(b, tool, answer_mark_node(b, MARK_CALL_END, next));
    node = answer_text_node(b, "call:", bare_name(b, tool, node));
    return answer_mark_node(b, MARK_CALL, node);
}

// A message to the function, whose mark ends the answer in most vocabularies. The recipient stands
// before the channel or behind it.
static uint32_t call_harmony(struct answer_builder *b, size_t tool, uint32_t next)
{
    uint32_t node = node_either(b->p, next, answer_mark_node(b, MARK_CALL_END, next));
    node = answer_mark_node(b, MARK_INNER, arguments(b, tool, node));
    uint32_t json = answer_mark_node(b, MARK_INNER2, answer_text_node(b, "json", node));
    node = node_either(b->p, node, node_byte(b->p, ' ', ' ', json));
    uint32_t to = answer_text_node(b, " to=functions.", bare_name(b, tool, node));
    to = answer_mark_node(b, MARK_CALL, answer_text_node(b, "commentary", to));
    uint32_t behind = answer_mark_node(b, MARK_CALL, answer_text_node(b, "commentary", node));
    behind = answer_text_node(b, " to=functions.", bare_name(b, tool, behind));
    return node_either(b->p, to, behind);
}

// Several

typedef uint32_t one_call(struct answer_builder *b, size_t tool, uint32_t next);

// A call of any allowed tool.
static uint32_t any_tool(struct answer_builder *b, one_call *one)
{
    size_t n = 0, n_tools = json_array_size(b->g->tools);
    uint32_t *calls = memory_array(uint32_t, n_tools + 1), rule = program_rule(b->p, "call");
    for (size_t i = 0; i < n_tools && !b->p->overflow; i++) {
        if (b->allowed[i])
            calls[n++] = one(b, i, NODE_ID_END);
    }
    if (!b->p->overflow)
        program_set(b->p, rule, node_split(b->p, calls, n));
    free(calls);
    return rule;
}

enum between { NOTHING, LINE, COMMA, SEMICOLON };

static uint32_t separator(struct answer_builder *b, enum between between, uint32_t next)
{
    switch (between) {
    case LINE: return answer_line_node(b, next);
    case COMMA: return node_byte(b->p, ',', ',', emit_space(&b->json, next));
    case SEMICOLON: return answer_text_node(b, "; ", next);
    case NOTHING: break;
    }
    return next;
}

// One call, or several where the request lets it.
static uint32_t calls_of(struct answer_builder *b, one_call *one, enum between between,
                         uint32_t next)
{
    uint32_t call = any_tool(b, one);
    if (!b->g->one_call && b->g->shape.format != ANSWER_HARMONY) {
        uint32_t more = program_rule(b->p, "another call");
        program_set(b->p, more, separator(b, between, node_call(b->p, call, NODE_ID_END)));
        next = node_repeat(b->p, more, 0, MORE_CALLS_MAX, next);
    }
    return node_call(b->p, call, next);
}

// Between a mark and its end; the end may be missing where some of a format's models have none.
static uint32_t list_of(struct answer_builder *b, one_call *one, bool ends, uint32_t next)
{
    uint32_t end = answer_mark_node(b, MARK_CALL_END, next);
    uint32_t node = node_byte(b->p, ']', ']', ends ? end : node_either(b->p, end, next));
    node = calls_of(b, one, COMMA, emit_space(&b->json, node));
    node = node_byte(b->p, '[', '[', emit_space(&b->json, node));
    return answer_mark_node(b, MARK_CALL, node);
}

uint32_t answer_calls(struct answer_builder *b, uint32_t next)
{
    uint32_t end = answer_mark_node(b, MARK_SECTION_END, next), node;
    switch (b->g->shape.format) {
    case ANSWER_HERMES: return calls_of(b, call_hermes, LINE, next);
    case ANSWER_QWEN_XML: return calls_of(b, call_qwen_xml, LINE, next);
    case ANSWER_GLM: return calls_of(b, call_glm, LINE, next);
    case ANSWER_MISTRAL:
        node = list_of(b, plain_object, true, next);
        if (!(b->g->control >> MARK_INNER2 & 1))
            return node;
        return node_either(b->p, node, calls_of(b, call_mistral_named, NOTHING, next));
    case ANSWER_DEEPSEEK:
        return answer_mark_node(b, MARK_SECTION, calls_of(b, call_deepseek, LINE, end));
    case ANSWER_KIMI:
        return answer_mark_node(b, MARK_SECTION, calls_of(b, call_kimi, NOTHING, end));
    case ANSWER_LIST: return list_of(b, plain_object, false, next);
    case ANSWER_COHERE: return list_of(b, numbered_object, true, next);
    case ANSWER_HARMONY: return calls_of(b, call_harmony, NOTHING, next);
    case ANSWER_GEMMA:
    case ANSWER_GEMMA4: return calls_of(b, call_gemma, NOTHING, next);
    case ANSWER_LLAMA:
    case ANSWER_JSON: return calls_of(b, plain_object, SEMICOLON, next);
    case ANSWER_PLAIN:
    case ANSWER_FORMATS: break;
    }
    return NODE_ID_FAIL;
}

// Tools

static bool refuse(struct answer_builder *b, struct slice name, const char *why)
{
    return error_set(b->err, ERR_UNSUPPORTED, "tool '%.60s': %s", name.ptr, why);
}

// Names that stand without quotes must be told from what stands around them.
static bool name_fits(struct answer_builder *b, struct slice name)
{
    static const char why[] = "a model of this format cannot write this name";
    enum answer_format f = b->g->shape.format;
    bool in_json = f == ANSWER_HERMES || f == ANSWER_LIST || f == ANSWER_COHERE ||
                   f == ANSWER_LLAMA || f == ANSWER_JSON;
    if (name.len == 0 || name.len > NAME_BYTES_MAX || memchr(name.ptr, 0, name.len))
        return refuse(b, name, why);
    for (size_t i = 0; !in_json && i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.')
            return refuse(b, name, why);
    }
    return in_json || !slice_starts(name, slice_str("functions.")) || refuse(b, name, why);
}

// The schema of an object that the tool's says, to be released; NULL if it can be none.
static json_t *object_schema(const json_t *tool)
{
    const json_t *given = answer_tool_schema(tool), *type = json_object_get(given, "type");
    bool fits = !type || (json_is_string(type) && slice_is(json_slice(type), "object"));
    for (size_t i = 0; i < json_array_size(type); i++) {
        const json_t *one = json_array_get(type, i);
        fits |= json_is_string(one) && slice_is(json_slice(one), "object");
    }
    if (!fits)
        return NULL;
    json_t *schema = json_is_object(given) ? json_copy((json_t *)given) : json_object();
    json_object_set_new(schema, "type", json_string("object"));
    if (!given || json_is_null(given))  // a tool without parameters has no arguments
        json_object_set_new(schema, "additionalProperties", json_false());
    return schema;
}

// How members stand in formats that write them between tags, or NULL.
static const struct schema_tags *tags_of(enum answer_format format, struct schema_tags *tags)
{
    tags->is_text = answer_member_is_text;
    if (format == ANSWER_QWEN_XML) {
        tags->before_name = slice_str("<parameter=");
        tags->after_name = slice_str(">\n");
        tags->after_value = slice_str("\n</parameter>\n");
        return tags;
    }
    tags->before_name = slice_str("<arg_key>");
    tags->after_name = slice_str("</arg_key>\n<arg_value>");
    tags->after_value = slice_str("</arg_value>\n");
    return format == ANSWER_GLM ? tags : NULL;
}

static bool add_arguments(struct answer_builder *b, size_t i)
{
    const json_t *tool = json_array_get(b->g->tools, i);
    struct schema_tags space;
    const struct schema_tags *tags = tags_of(b->g->shape.format, &space);
    json_t *schema = object_schema(tool);
    bool strict = b->g->must_call || b->g->strict ||
                  json_is_true(json_object_get(function_of(tool), "strict"));
    if (!schema)
        return refuse(b, answer_tool_name(tool),
                      "schema: \"type\" at #: a call's arguments are an object");
    bool ok = schema_add(&b->own, schema, tags, &b->arguments[i], b->err);
    json_decref(schema);
    if (!ok && !strict) {
        json_t *any = json_pack("{ss}", "type", "object");
        ok = schema_add(&b->own, any, tags, &b->arguments[i], b->err);
        json_decref(any);
    }
    return ok || error_wrap(b->err, "tool '%.60s'", answer_tool_name(tool).ptr);
}

// What strings of arguments cannot have in them, and how they are written.
static void begin_notation(struct answer_builder *b)
{
    const struct answer_shape *shape = &b->g->shape;
    struct slice ends[3] = {{0}};
    const char *call_end = answer_mark(shape, MARK_CALL_END);
    const char *quote = answer_mark(shape, MARK_INNER);
    bool gemma = shape->format == ANSWER_GEMMA || shape->format == ANSWER_GEMMA4;
    bool xml = shape->format == ANSWER_QWEN_XML, glm = shape->format == ANSWER_GLM;
    bool harmony = shape->format == ANSWER_HARMONY;
    if (call_end && !(b->g->control >> MARK_CALL_END & 1) && !xml)
        ends[0] = slice_str(call_end);
    if (xml)
        ends[0] = slice_str("</function>");
    if (xml || glm)
        ends[1] = slice_str(xml ? "</parameter>" : "</arg_value>");
    if (gemma && !(b->g->control >> MARK_INNER & 1))
        ends[2] = slice_str(quote);
    b->raw = raw_text_new(ends, 3);
    b->own.raw = b->raw;
    b->own.tagged = xml || glm || (harmony && !(b->g->control >> MARK_SECTION_END & 1));
    if (!gemma)
        return;
    if (b->g->control >> MARK_INNER & 1) {
        b->quote[0] = (char)GRAMMAR_MARK;
        b->quote[1] = (char)MARK_INNER;
        b->own.quote = slice_of(b->quote, sizeof b->quote);
    } else {
        b->own.quote = slice_str(quote);
    }
}

bool answer_calls_begin(struct answer_builder *b)
{
    size_t n = json_array_size(b->g->tools);
    if (b->g->shape.format == ANSWER_PLAIN)
        return error_set(b->err, ERR_UNSUPPORTED,
                         "tool_choice: the model's chat template knows no calls of tools "
                         "(--tool-format can say how it writes them)");
    b->arguments = memory_array(uint32_t, n + 1);
    b->allowed = memory_array(bool, n + 1);
    begin_notation(b);
    for (size_t i = 0; i < n; i++) {
        struct slice name = name_of(b, i);
        b->allowed[i] = !b->g->only || slice_is(name, b->g->only);
        if (b->allowed[i] && (!name_fits(b, name) || !add_arguments(b, i)))
            return false;
    }
    return true;
}

void answer_calls_end(struct answer_builder *b)
{
    free(b->arguments);
    free(b->allowed);
    raw_text_free(b->raw);
}
