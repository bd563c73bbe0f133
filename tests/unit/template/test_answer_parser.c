// test_answer_parser.c - answers as models write them, in every format, however they are cut.
//
// Each row is an answer and what must come out of it. Every one is read whole, byte by byte, in
// two pieces cut anywhere, in random pieces, and again with its marks as control tokens: what comes
// out is the same. Random answers, made of pieces of the formats, must not depend on their cuts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../support/answer_log.h"
#include "base/hash.h"
#include "base/json.h"
#include "local/template/answer_parser.h"

#define CALLS "<\uFF5Ctool\u2581calls\u2581begin\uFF5C>"
#define CALLS_END "<\uFF5Ctool\u2581calls\u2581end\uFF5C>"
#define CALL "<\uFF5Ctool\u2581call\u2581begin\uFF5C>"
#define CALL_END "<\uFF5Ctool\u2581call\u2581end\uFF5C>"
#define SEP "<\uFF5Ctool\u2581sep\uFF5C>"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"parameters\":{\"type\":"
    "\"object\","
    "\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"},"
    "\"zip\":{\"type\":[\"string\",\"null\"]}}}}},{\"name\":\"now\"}]";

struct answer {
    enum answer_format format;
    enum answer_thinking thinking;
    const char *text, *expected;
};

static const struct answer answers[] = {
    {ANSWER_HERMES, THINKING_NONE, "Hello, world.\n", "text Hello, world.\\n"},
    {ANSWER_HERMES, THINKING_NONE, " \n Hello <tool", "text  \\n Hello <tool"},
    {ANSWER_HERMES, THINKING_NONE,
     "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>",
     "call 0 weather\nargs 0 {\"city\": \"Paris\"}"},
    {ANSWER_HERMES, THINKING_THINK,
     "\n<think>\nA } brace.\n</think>\n\nSee:\n<tool_call>{\"name\":\"now\",\"arguments\":{}}"
     "</tool_call>\n<tool_call>{\"arguments\":{\"s\":\"}</tool_call>\"},\"name\":\"x\",\"id\":7}"
     "</tool_call>\nDone.",
     "thought A } brace.\\n\ntext See:\\n\ncall 0 now\nargs 0 {}\ncall 1 x\n"
     "args 1 {\"s\":\"}</tool_call>\"}\ntext Done."},
    {ANSWER_HERMES, THINKING_THINK, "<think>\n\n</think>\n\nYes.", "text Yes."},
    {ANSWER_HERMES, THINKING_THINK, "A <think> is a tag.", "text A <think> is a tag."},
    {ANSWER_HERMES, THINKING_THINK, "<think>not over", "thought not over"},
    // Names and arguments in other forms.
    {ANSWER_HERMES, THINKING_NONE,
     "<tool_call>{\"type\":\"function\",\"function\":{\"name\":\"a\",\"arguments\":{}}}</"
     "tool_call>",
     "call 0 a\nargs 0 {}"},
    {ANSWER_HERMES, THINKING_NONE,
     "<tool_call>{\"name\":\"a\",\"arguments\":\"{\\\"x\\\": 1}\"}</tool_call>ok",
     "call 0 a\nargs 0 {\"x\": 1}\ntext ok"},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":\"a\"}</tool_call>",
     "call 0 a\nargs 0 {}"},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":\"a\",\"arguments\":null}</tool_call>",
     "call 0 a\nargs 0 {}"},
    {ANSWER_HERMES, THINKING_NONE,
     "<tool_call>{\"name\":\"a\",\"arguments\":{\"x\":1}</tool_call>!",
     "call 0 a\nargs 0 {\"x\":1}\ntext !"},
    // What is cut off is the call's as far as it came; what is no call is text.
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":\"a\",\"arguments\":{\"x\":\"\\\"",
     "call 0 a\nargs 0 {\"x\":\"\\\""},
    {ANSWER_HERMES, THINKING_NONE, "a <tool_call>{\"name\":\"a\",\"arg",
     "text a <tool_call>{\"name\":\"a\",\"arg"},
    {ANSWER_HERMES, THINKING_NONE, "\n<tool_call>weather(Paris)</tool_call>",
     "text \\n<tool_call>weather(Paris)</tool_call>"},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":5,\"arguments\":{}}</tool_call>",
     "text <tool_call>{\"name\":5,\"arguments\":{}}</tool_call>"},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"arguments\":{}}</tool_call>",
     "text <tool_call>{\"arguments\":{}}</tool_call>"},
    {ANSWER_HERMES, THINKING_NONE,
     "<tool_call><tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>",
     "text <tool_call>\ncall 0 a\nargs 0 {}"},
    {ANSWER_HERMES, THINKING_NONE,
     "<tool_call>{\"name\":\"a\",\"arguments\":{}, \"why\": \"it is\", and so on",
     "call 0 a\nargs 0 {}\ntext , \"why\": \"it is\", and so on"},

    {ANSWER_QWEN_XML, THINKING_NONE,
     "I look.\n<tool_call>\n<function=weather>\n<parameter=city>\nNew\nYork\n</parameter>\n"
     "<parameter=days>\n3\n</parameter>\n<parameter=zip>\nnull\n</parameter>\n<parameter=other>\n"
     "{\"a\": [True]}\n</parameter>\n</function>\n</tool_call>",
     "text I look.\\n\ncall 0 weather\nargs 0 {\"city\":\"New\\nYork\",\"days\":3,\"zip\":null,"
     "\"other\":\"{\\\"a\\\": [True]}\"}"},
    {ANSWER_QWEN_XML, THINKING_NONE,
     "<function=weather><parameter=city>5</parameter><parameter=x>True</parameter></function>\n"
     "</tool_call>",
     "call 0 weather\nargs 0 {\"city\":\"5\",\"x\":true}"},
    {ANSWER_QWEN_XML, THINKING_NONE, "<tool_call><function=now></function></tool_call> ok",
     "call 0 now\nargs 0 {}\ntext ok"},
    {ANSWER_QWEN_XML, THINKING_NONE, "<tool_call>\n<function=now>\nfoo</function>",
     "text <tool_call>\\n<function=now>\\nfoo</function>"},
    {ANSWER_QWEN_XML, THINKING_NONE, "<function=now><parameter=a>1",
     "text <function=now><parameter=a>1"},

    {ANSWER_GLM, THINKING_THINK,
     "\n<think>Hm.</think>\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Ulm</"
     "arg_value>\n"
     "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>now\n</"
     "tool_call>",
     "thought Hm.\ncall 0 weather\nargs 0 {\"city\":\"Ulm\",\"days\":2}\ncall 1 now\nargs 1 {}"},

    {ANSWER_MISTRAL, THINKING_NONE,
     "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": {\"city\": \"Rom\"}, \"id\": "
     "\"abcdefghi\"}, "
     "{\"name\": \"now\", \"arguments\": {}}]",
     "call 0 weather\nargs 0 {\"city\": \"Rom\"}\ncall 1 now\nargs 1 {}"},
    {ANSWER_MISTRAL, THINKING_BRACKET,
     "[THINK]Two.[/THINK][TOOL_CALLS]weather[CALL_ID]abcdefghi[ARGS]{\"city\": \"Rom\"}"
     "[TOOL_CALLS]now[ARGS]{}",
     "thought Two.\ncall 0 weather\nargs 0 {\"city\": \"Rom\"}\ncall 1 now\nargs 1 {}"},
    {ANSWER_MISTRAL, THINKING_NONE, "[TOOL_CALLS]now{}", "call 0 now\nargs 0 {}"},
    {ANSWER_MISTRAL, THINKING_NONE, "[1] and [TOOL", "text [1] and [TOOL"},
    {ANSWER_MISTRAL, THINKING_NONE, "[TOOL_CALLS] are calls", "text [TOOL_CALLS] are calls"},
    {ANSWER_MISTRAL, THINKING_NONE, "[TOOL_CALLS][1, 2]", "text [TOOL_CALLS][1, 2]"},

    {ANSWER_DEEPSEEK, THINKING_THINK,
     "Look.</think>" CALLS CALL "weather" SEP "{\"city\": \"Bern\"}" CALL_END CALL "now" SEP
     "{}" CALL_END CALLS_END,
     "text Look.</think>\ncall 0 weather\nargs 0 {\"city\": \"Bern\"}\ncall 1 now\nargs 1 {}"},
    {ANSWER_DEEPSEEK, THINKING_NONE,
     CALLS CALL "function" SEP "weather\n```json\n{\"city\": \"Bern\"}\n```" CALL_END "\n" CALL
                "function" SEP "now\n```json\n{}\n```" CALL_END CALLS_END,
     "call 0 weather\nargs 0 {\"city\": \"Bern\"}\ncall 1 now\nargs 1 {}"},
    {ANSWER_DEEPSEEK, THINKING_NONE, CALLS CALL "x" SEP "nothing",
     "text " CALLS CALL "x" SEP "nothing"},

    {ANSWER_KIMI, THINKING_NONE,
     "Yes<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0"
     "<|tool_call_argument_begin|>{\"city\":\"Oslo\"}<|tool_call_end|><|tool_call_begin|>now:12"
     "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
     "text Yes\ncall 0 weather\nargs 0 {\"city\":\"Oslo\"}\ncall 1 now\nargs 1 {}"},

    {ANSWER_LLAMA, THINKING_NONE, "{\"name\": \"weather\", \"parameters\": {\"city\": \"Lima\"}}",
     "call 0 weather\nargs 0 {\"city\": \"Lima\"}"},
    {ANSWER_LLAMA, THINKING_NONE,
     "{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}; "
     "{\"name\": \"now\", \"parameters\": {\"z\": 1}}",
     "call 0 now\nargs 0 {}\ncall 1 now\nargs 1 {\"z\": 1}"},
    {ANSWER_LLAMA, THINKING_NONE, "{\"answer\": 42}", "text {\"answer\": 42}"},
    {ANSWER_LLAMA, THINKING_NONE, "{\"name\": \"Ada\", \"parameters\": {}}",
     "text {\"name\": \"Ada\", \"parameters\": {}}"},
    {ANSWER_LLAMA, THINKING_NONE, "See {\"name\": \"now\", \"parameters\": {}}",
     "text See {\"name\": \"now\", \"parameters\": {}}"},
    {ANSWER_LLAMA, THINKING_NONE,
     "<|python_tag|>weather.call(city=\"St. (John's)\", days=2, zip=None)",
     "call 0 weather\nargs 0 {\"city\":\"St. (John's)\",\"days\":2,\"zip\":null}"},
    {ANSWER_LLAMA, THINKING_NONE, "<|python_tag|>{\"name\":\"other\",\"parameters\":{\"a\":[]}}",
     "call 0 other\nargs 0 {\"a\":[]}"},
    {ANSWER_LLAMA, THINKING_NONE, "<|python_tag|>import math", "text <|python_tag|>import math"},

    {ANSWER_LIST, THINKING_NONE,
     "<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"a\", \"arguments\": "
     "{\"b\": []}}]",
     "call 0 now\nargs 0 {}\ncall 1 a\nargs 1 {\"b\": []}"},
    {ANSWER_COHERE, THINKING_COHERE,
     "<|START_THINKING|>Plan.<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", "
     "\"tool_name\": \"now\", \"parameters\": {\"a\": 1}}\n]<|END_ACTION|>",
     "thought Plan.\ncall 0 now\nargs 0 {\"a\": 1}"},
    {ANSWER_COHERE, THINKING_COHERE,
     "<|START_THINKING|>Plan.<|END_THINKING|><|START_RESPONSE|>Hello.<|END_RESPONSE|>",
     "thought Plan.\ntext Hello."},

    {ANSWER_HARMONY, THINKING_NONE,
     "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>final<|message|>Hi!"
     "<|return|>",
     "thought Think.\ntext Hi!"},
    {ANSWER_HARMONY, THINKING_NONE,
     "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.weather <|constrain|>json<|message|>{\"city\":\"Kyiv\"}<|call|>",
     "text I look.\ncall 0 weather\nargs 0 {\"city\":\"Kyiv\"}"},
    {ANSWER_HARMONY, THINKING_NONE,
     " to=functions.now<|channel|>commentary json<|message|><|call|>", "call 0 now\nargs 0 {}"},
    {ANSWER_HARMONY, THINKING_NONE, "Hello without channels.", "text Hello without channels."},
    {ANSWER_HARMONY, THINKING_NONE, "to bee", "text to bee"},

    {ANSWER_GEMMA, THINKING_NONE,
     "<start_function_call>call:weather{city:<escape>Sankt {Gallen}<escape>,days:3,ok:true,"
     "l:[1,<escape>a<escape>],o:{k:null}}<end_function_call>",
     "call 0 weather\nargs 0 {\"city\":\"Sankt {Gallen}\",\"days\":3,\"ok\":true,\"l\":[1,\"a\"],"
     "\"o\":{\"k\":null}}"},
    {ANSWER_GEMMA4, THINKING_GEMMA4,
     "<|channel>thought\nHm.\n<channel|><|tool_call>call:now{}<tool_call|><|tool_call>call:weather"
     "{city:<|\"|>A<|\"|>}<tool_call|>",
     "thought Hm.\\n\ncall 0 now\nargs 0 {}\ncall 1 weather\nargs 1 {\"city\":\"A\"}"},
    {ANSWER_GEMMA4, THINKING_NONE, "<|tool_call>call:now{a}<tool_call|>",
     "text <|tool_call>call:now{a}<tool_call|>"},
    {ANSWER_JSON, THINKING_NONE,
     "```json\n{\"name\": \"now\", \"parameters\": {\"a\": \"b\"}}\n```",
     "call 0 now\nargs 0 {\"a\": \"b\"}"},
    {ANSWER_JSON, THINKING_NONE, "```tool_code\nweather(city='Bonn', days=[1, 2])\n```\nok",
     "call 0 weather\nargs 0 {\"city\":\"Bonn\",\"days\":[1,2]}\ntext ok"},
    {ANSWER_JSON, THINKING_NONE, "```python\nprint(1)\n```", "text ```python\\nprint(1)\\n```"},
    {ANSWER_JSON, THINKING_NONE, "`code`", "text `code`"},
};

static json_t *tools;

static struct answer_options options_of(const struct answer *a, unsigned control)
{
    return (struct answer_options){.shape = {a->format, a->thinking},
                                   .control = control,
                                   .tools = tools,
                                   .choice = 3,
                                   .id_seed = 11};
}

// The text in pieces that end at each of cuts (ascending, n of them) and at its end.
static struct answer_log read_pieces(struct answer_options o, struct slice text, const size_t *cuts,
                                     size_t n, bool unfinished)
{
    struct answer_log log = {0};
    o.sink = answer_log_sink(&log);
    struct answer_parser *p = answer_parser_new(&o);
    size_t at = 0;
    for (size_t i = 0; i <= n; i++) {
        size_t to = i < n ? cuts[i] : text.len;
        char *exact = malloc(to - at + 1);  // so that a sanitizer sees a byte too far
        memcpy(exact, text.ptr + at, to - at);
        answer_parser_push(p, slice_of(exact, to - at));
        free(exact);
        at = to;
    }
    answer_parser_finish(p, unfinished);
    answer_parser_free(p);
    return log;
}

static struct answer_log read_cut(struct answer_options o, struct slice text, const size_t *cuts,
                                  size_t n)
{
    return read_pieces(o, text, cuts, n, false);
}

static void expect_pieces(struct answer_options o, struct slice text, const size_t *cuts, size_t n,
                          bool unfinished, const char *expected)
{
    struct answer_log log = read_pieces(o, text, cuts, n, unfinished);
    if (strcmp(buf_text(&log.out), expected) != 0)
        fail_msg("%s: '%.*s' in %zu pieces, the first of %zu:\n%s\ninstead of\n%s",
                 answer_format_name(o.shape.format), (int)text.len, text.ptr, n + 1,
                 n ? cuts[0] : text.len, buf_text(&log.out), expected);
    answer_log_release(&log);
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

static void expect_any_pieces(struct answer_options o, struct slice text, bool unfinished,
                              const char *expected, uint64_t seed)
{
    size_t cuts[1024], n = text.len < 1024 ? text.len : 1024;
    for (size_t i = 0; i < n; i++)
        cuts[i] = i + 1;
    expect_pieces(o, text, cuts, n, unfinished, expected);
    for (size_t i = 0; i <= text.len; i++)
        expect_pieces(o, text, &i, 1, unfinished, expected);
    for (int round = 0; round < 20; round++) {
        size_t k = hash_mix(seed + (uint64_t)round) % 12 + 1;
        for (size_t i = 0; i < k; i++)
            cuts[i] = hash_mix(seed * 31 + (uint64_t)round * 100 + i) % (text.len + 1);
        qsort(cuts, k, sizeof *cuts, by_size);
        expect_pieces(o, text, cuts, k, unfinished, expected);
    }
}

static void expect_however_cut(struct answer_options o, struct slice text, const char *expected,
                               uint64_t seed)
{
    expect_any_pieces(o, text, false, expected, seed);
}

static void answers_are_read_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct answer_options o = options_of(&answers[i], 0);
        expect_pieces(o, slice_str(answers[i].text), NULL, 0, false, answers[i].expected);
        expect_however_cut(o, slice_str(answers[i].text), answers[i].expected, i);
    }
}

// The text with ANSWER_MARK in front of every mark, as the engine gives control tokens.
static void mark_all(const struct answer_shape *shape, const char *text, struct buf *out)
{
    for (size_t i = 0; text[i]; i++) {
        for (int m = 0; m < ANSWER_MARKS; m++) {
            const char *mark = answer_mark(shape, m);
            if (mark && strncmp(text + i, mark, strlen(mark)) == 0)
                buf_char(out, (char)ANSWER_MARK);
        }
        buf_char(out, text[i]);
    }
}

static void marks_may_be_control_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct answer *a = &answers[i];
        struct answer_options o = options_of(a, (1u << ANSWER_MARKS) - 1);
        struct buf marked = {0};
        bool is_all = true;  // what is refused loses its marks then
        mark_all(&o.shape, a->text, &marked);
        for (int m = 0; m < ANSWER_MARKS; m++) {
            const char *mark = answer_mark(&o.shape, m);
            is_all &= !mark || !strstr(a->expected, mark);
        }
        if (is_all)
            expect_however_cut(o, buf_view(&marked), a->expected, i);
        buf_release(&marked);
    }
}

static void text_is_no_control_token(void **state)
{
    (void)state;
    struct answer a = {.format = ANSWER_HARMONY};
    struct answer_options o = options_of(&a, (1u << ANSWER_MARKS) - 1);
    expect_however_cut(o,
                       slice_str("\xFF<|channel|>final\xFF<|message|>Say <|channel|>x<|message|>y"
                                 "\xFF<|return|>"),
                       "text Say <|channel|>x<|message|>y", 1);
    a.format = ANSWER_MISTRAL;
    o = options_of(&a, (1u << ANSWER_MARKS) - 1);
    expect_however_cut(o, slice_str("[TOOL_CALLS]now{}"), "text [TOOL_CALLS]now{}", 1);
    expect_however_cut(o, slice_str("\xFF[TOOL_CALLS]nothing to call"), "text nothing to call", 1);
    expect_however_cut(o, slice_str("a \xFF[ARGS]b"), "text a b", 1);
}

// A zero byte ends no value: it was taken for a bracket where the text ended with it.
static void zero_bytes_are_bytes(void **state)
{
    (void)state;
    static const char text[] = "<tool_call>{\"name\":\"now\",\"arguments\":\0[1";
    struct answer a = {.format = ANSWER_HERMES};
    for (size_t i = 0; i < sizeof text; i++)  // half a call, however it was cut
        expect_pieces(options_of(&a, 0), slice_of(text, sizeof text - 1), &i, 1, true, "");
}

static void without_tools_calls_are_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct answer *a = &answers[i];
        struct answer_options o = options_of(a, 0);
        if (a->thinking || a->format == ANSWER_HARMONY)
            continue;
        o.tools = NULL;
        struct answer_log log = read_cut(o, slice_str(a->text), NULL, 0);
        struct buf expected = {0};
        buf_text_add(&expected, "text ");
        for (const char *c = a->text; *c; c++)
            *c == '\n' ? buf_text_add(&expected, "\\n") : buf_char(&expected, *c);
        assert_string_equal(buf_text(&log.out), buf_text(&expected));
        answer_log_release(&log);
        buf_release(&expected);
    }
}

static void the_prompt_may_have_begun_the_thoughts(void **state)
{
    (void)state;
    struct answer a = {.format = ANSWER_HERMES, .thinking = THINKING_THINK};
    struct answer_options o = options_of(&a, 0);
    o.thinking = true;
    expect_however_cut(o, slice_str("Well.\n</think>\n\nYes."), "thought Well.\\n\ntext Yes.", 2);
    expect_however_cut(o, slice_str("<think>\nWell.</think>Yes."), "thought Well.\ntext Yes.", 2);
    expect_however_cut(o, slice_str("no end"), "thought no end", 2);
    assert_true(answer_prompt_thinks(&o.shape, slice_str("<|im_start|>assistant\n<think>\n")));
    assert_false(answer_prompt_thinks(&o.shape, slice_str("<think>\n\n</think>\n\n")));
    assert_false(answer_prompt_thinks(&o.shape, slice_str("")));
    struct answer_shape gemma = {ANSWER_GEMMA4, THINKING_GEMMA4};
    assert_true(answer_prompt_thinks(&gemma, slice_str("<|turn>model\n<|channel>thought\n")));
}

static void one_call_is_enough_if_so_asked(void **state)
{
    (void)state;
    struct answer a = {.format = ANSWER_HERMES};
    struct answer_options o = options_of(&a, 0);
    o.one_call = true;
    expect_however_cut(o,
                       slice_str("<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>Now\n"
                                 "<tool_call>{\"name\":\"b\",\"arguments\":{}}</tool_call>more"),
                       "call 0 a\nargs 0 {}\ntext Now\\n", 3);
}

static void ids_are_nine_letters_of_their_own(void **state)
{
    (void)state;
    char ids[2][16];
    for (int i = 0; i < 2; i++) {
        struct answer_options o = options_of(&answers[2], 0);
        o.choice = i;
        struct answer_log log = read_cut(o, slice_str(answers[2].text), NULL, 0);
        memcpy(ids[i], log.id, sizeof log.id);
        assert_int_equal(strspn(log.id, "0123456789abcdefghijklmnopqrstuvwxyz"
                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                         9);
        answer_log_release(&log);
    }
    assert_string_not_equal(ids[0], ids[1]);
}

static void nothing_is_held_longer_than_needed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } held[] = {{"a <", "text a "},
                {"a <b", "text a <b"},
                {"a <tool_cal", "text a "},
                {"a <tool_calm", "text a <tool_calm"},
                {"{\"x", ""},
                {"{\"x\": ", "text {\"x\": "},
                {"<tool_call>{\"name\":\"a\",\"arguments\":{\"k", "call 0 a\nargs 0 {\"k"}};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        struct answer_log log = {0};
        struct answer a = {.format = held[i].text[0] == '{' ? ANSWER_LLAMA : ANSWER_HERMES};
        struct answer_options o = options_of(&a, 0);
        o.sink = answer_log_sink(&log);
        struct answer_parser *p = answer_parser_new(&o);
        answer_parser_push(p, slice_str(held[i].text));
        assert_string_equal(buf_text(&log.out), held[i].shown);
        answer_parser_free(p);
        answer_log_release(&log);
    }
}

static const struct answer unfinished[] = {
    {ANSWER_HERMES, THINKING_NONE, "Well.\n<tool_cal", "text Well.\\n"},
    {ANSWER_HERMES, THINKING_NONE, "\n<tool_call>", ""},
    {ANSWER_HERMES, THINKING_NONE, "a <", "text a <"},
    {ANSWER_HERMES, THINKING_NONE, "a <t", "text a "},
    {ANSWER_HERMES, THINKING_NONE, "a <ta", "text a <ta"},
    {ANSWER_HERMES, THINKING_THINK, "<thi", ""},
    {ANSWER_HERMES, THINKING_THINK, "<think>Hm.</th", "thought Hm."},
    {ANSWER_HERMES, THINKING_THINK, "<think>Hm. 1 <", "thought Hm. 1 <"},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":\"a\",\"arg", ""},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":\"a\",\"arguments\":{\"x\":\"",
     "call 0 a\nargs 0 {\"x\":\""},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":\"a\",\"arguments\":{}, \"w",
     "call 0 a\nargs 0 {}"},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>{\"name\":\"a\",\"arguments\":{}}\n<",
     "call 0 a\nargs 0 {}"},
    {ANSWER_HERMES, THINKING_NONE, "<tool_call>weather(Par", "text <tool_call>weather(Par"},
    {ANSWER_QWEN_XML, THINKING_NONE, "See: <function=now><parameter=a>1", "text See: "},
    {ANSWER_MISTRAL, THINKING_NONE, "[1] and [TOOL", "text [1] and "},
    {ANSWER_MISTRAL, THINKING_NONE, "[TOOL_CALLS][{\"name\":\"a\",\"arguments\":{}},",
     "call 0 a\nargs 0 {}"},
    {ANSWER_DEEPSEEK, THINKING_NONE, "Yes." CALLS CALL "weath", "text Yes."},
    {ANSWER_LLAMA, THINKING_NONE, "{\"name\": \"wea", "text {\"name\": \"wea"},
    {ANSWER_LLAMA, THINKING_NONE, "<|python_tag|>weather.call(city=", ""},
    {ANSWER_JSON, THINKING_NONE, "```json\n{\"na", "text ```json\\n{\"na"},
    {ANSWER_HARMONY, THINKING_NONE, "<|channel|>analysis<|message|>Hm.<|end|><|start|>assis",
     "thought Hm."},
    {ANSWER_HARMONY, THINKING_NONE, "<|channel|>final<|message|>Hi<|retu", "text Hi"},
    {ANSWER_HARMONY, THINKING_NONE, "<|channel|>commentary to=functions.now<|message|>",
     "call 0 now"},
    {ANSWER_HARMONY, THINKING_NONE, " to=functions.now<|channel|>commentary<|message|>{\"a\":1}<",
     "call 0 now\nargs 0 {\"a\":1}"},
    {ANSWER_GEMMA4, THINKING_GEMMA4, "<|channel>thought\nHm.<chan", "thought Hm."},
};

// An answer that max_tokens ended shows no half of a mark or of a call.
static void halves_of_an_unfinished_answer_are_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof unfinished / sizeof *unfinished; i++) {
        struct answer_options o = options_of(&unfinished[i], 0);
        struct answer_log log = read_pieces(o, slice_str(unfinished[i].text), NULL, 0, true);
        assert_string_equal(buf_text(&log.out), unfinished[i].expected);
        answer_log_release(&log);
        expect_any_pieces(o, slice_str(unfinished[i].text), true, unfinished[i].expected, i);
    }
}

// How many bytes that are not white the answer's end brought, at the end of what was shown.
static size_t n_brought(const char *before, const char *after)
{
    static const char *const words[] = {"\n", "text ", "thought "};
    size_t n = 0;
    assert_int_equal(strncmp(before, after, strlen(before)), 0);
    after += strlen(before);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        after += strncmp(after, words[i], strlen(words[i])) == 0 ? strlen(words[i]) : 0;
    for (; *after; after++) {
        if (after[0] == '\\' && after[1] == 'n')
            after++;
        else
            n += *after != ' ';
    }
    return n;
}

// What is shown of the beginning of an answer begins what is shown of all of it, but for one byte.
static void an_unfinished_answer_is_the_beginning_of_the_whole(void **state)
{
    size_t bytes[1024];
    (void)state;
    for (size_t i = 0; i < 1024; i++)
        bytes[i] = i + 1;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct answer *a = &answers[i];
        bool bare = a->format == ANSWER_LLAMA || a->format == ANSWER_JSON;
        for (size_t n = 0; n < strlen(a->text); n++) {
            struct answer_options o = options_of(a, 0);
            struct answer_log log = {0};
            o.sink = answer_log_sink(&log);
            struct answer_parser *p = answer_parser_new(&o);
            answer_parser_push(p, slice_of(a->text, n));
            char *before = strdup(buf_text(&log.out));
            assert_int_equal(strncmp(before, a->expected, strlen(before)), 0);
            answer_parser_finish(p, true);
            if (!bare && n_brought(before, buf_text(&log.out)) > 1)
                fail_msg("%s: %zu bytes of '%s' bring %s", answer_format_name(a->format), n,
                         a->text, buf_text(&log.out));
            size_t half = n / 2;
            expect_pieces(o, slice_of(a->text, n), bytes, n, true, buf_text(&log.out));
            expect_pieces(o, slice_of(a->text, n), &half, 1, true, buf_text(&log.out));
            answer_parser_free(p);
            answer_log_release(&log);
            free(before);
        }
    }
}

// What a call's head may take is bounded: what is longer is text.
static void heads_are_bounded(void **state)
{
    (void)state;
    struct answer a = {.format = ANSWER_HERMES};
    struct buf text = {0};
    buf_text_add(&text, "<tool_call>{\"arguments\":{\"x\":\"");
    for (int i = 0; i < 70000; i++)
        buf_char(&text, 'x');
    buf_text_add(&text, "\"},\"name\":\"a\"}</tool_call>");
    size_t cut = 65000;
    struct answer_log whole = read_cut(options_of(&a, 0), buf_view(&text), NULL, 0);
    struct answer_log parts = read_cut(options_of(&a, 0), buf_view(&text), &cut, 1);
    assert_int_equal(whole.out.len, text.len + 5);
    assert_string_equal(buf_text(&whole.out), buf_text(&parts.out));
    answer_log_release(&whole);
    answer_log_release(&parts);
    buf_release(&text);
}

static void random_text(enum answer_format format, uint64_t seed, struct buf *out)
{
    static const char *const pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         "\"",
                                         ",",
                                         ":",
                                         "\\",
                                         " ",
                                         "\n",
                                         "name",
                                         "\"name\"",
                                         "\"arguments\"",
                                         "\"parameters\"",
                                         "\"now\"",
                                         "now",
                                         "```",
                                         "json",
                                         "call:",
                                         "(",
                                         ")",
                                         "a",
                                         "function",
                                         "</function>",
                                         "<parameter=k>",
                                         "</parameter>",
                                         "<arg_key>",
                                         "</arg_key>",
                                         " to=functions.",
                                         ";",
                                         "{\"name\":\"now\",\"arguments\":{\"a\":1}}",
                                         "final",
                                         "analysis",
                                         "\xFF",
                                         "thought",
                                         "<",
                                         "=",
                                         "1"};
    enum { N = sizeof pieces / sizeof *pieces };
    struct answer_shape shape = {format, seed % 3 ? THINKING_THINK : THINKING_GEMMA4};
    buf_clear(out);
    for (uint64_t i = 0, n = hash_mix(seed) % 24; i < n; i++) {
        uint64_t r = hash_mix(seed * 1000 + i);
        const char *mark = answer_mark(&shape, (int)(r / 7 % ANSWER_MARKS));
        if (r % 2 && mark && r % 16 == 1)
            buf_add(out, mark, strlen(mark) / 2);
        else
            buf_text_add(out, r % 2 && mark ? mark : pieces[r / 5 % N]);
    }
}

static void random_answers_do_not_depend_on_their_cuts(void **state)
{
    (void)state;
    struct buf text = {0};
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct answer a = {.format = (enum answer_format)(seed % ANSWER_FORMATS),
                           .thinking = seed / 14 % 3 ? THINKING_THINK : THINKING_GEMMA4};
        struct answer_options o = options_of(&a, seed / 50 % 4 ? 0 : (1u << ANSWER_MARKS) - 1);
        o.thinking = seed / 5 % 4 == 0 && a.format != ANSWER_HARMONY;
        o.one_call = seed % 9 == 0;
        random_text(a.format, seed, &text);
        bool half = seed / 7 % 2;
        struct answer_log whole = read_pieces(o, buf_view(&text), NULL, 0, half);
        expect_any_pieces(o, buf_view(&text), half, buf_text(&whole.out), seed);
        answer_log_release(&whole);
    }
    buf_release(&text);
}

static int read_tools(void **state)
{
    (void)state;
    tools = json_parse(slice_str(tools_text), NULL);
    return tools ? 0 : -1;
}

static int drop_tools(void **state)
{
    (void)state;
    json_decref(tools);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(answers_are_read_however_they_are_cut),
    cmocka_unit_test(marks_may_be_control_tokens),
    cmocka_unit_test(text_is_no_control_token),
    cmocka_unit_test(zero_bytes_are_bytes),
    cmocka_unit_test(without_tools_calls_are_text),
    cmocka_unit_test(the_prompt_may_have_begun_the_thoughts),
    cmocka_unit_test(one_call_is_enough_if_so_asked),
    cmocka_unit_test(ids_are_nine_letters_of_their_own),
    cmocka_unit_test(nothing_is_held_longer_than_needed),
    cmocka_unit_test(halves_of_an_unfinished_answer_are_dropped),
    cmocka_unit_test(an_unfinished_answer_is_the_beginning_of_the_whole),
    cmocka_unit_test(heads_are_bounded),
    cmocka_unit_test(random_answers_do_not_depend_on_their_cuts),
};

int main(void)
{
    return cmocka_run_group_tests(tests, read_tools, drop_tools);
}
