// fuzz_answer.c - any bytes as a model's answer, in a format that the first bytes choose. What
// comes out must be the same whole, byte by byte and in pieces; no event may be of an unknown call.
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "local/template/answer_parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
    struct buf text;
    enum chat_event_kind kind;
    int calls;
};

static void tell(void *self, const struct chat_event *e)
{
    struct told *t = self;
    bool call = e->kind == CHAT_TOOL_CALL, of_call = call || e->kind == CHAT_TOOL_ARGUMENTS;
    assert(e->text.len > 0 || call);
    if (call) {
        assert(e->tool_index == t->calls && strlen(e->tool_id) == 9 && *e->tool_name);
        t->calls++;
        buf_printf(&t->text, "\n%s %s", e->tool_id, e->tool_name);
    }
    assert(!of_call || e->tool_index == t->calls - 1);
    if (t->kind != e->kind)
        buf_printf(&t->text, "\n%d ", (int)e->kind);
    t->kind = e->kind;
    buf_slice(&t->text, e->text);
}

static struct told read_in_pieces(struct answer_options o, struct slice text, size_t piece,
                                  bool cut)
{
    struct told told = {.kind = CHAT_DONE};
    o.sink = (struct chat_sink){.push = tell, .self = &told};
    struct answer_parser *p = answer_parser_new(&o);
    for (size_t i = 0; i < text.len; i += piece)
        answer_parser_push(p, slice_sub(text, i, piece));
    answer_parser_finish(p, cut);
    assert(answer_parser_n_calls(p) == told.calls);
    answer_parser_free(p);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *tools;
    if (!tools)
        tools =
            json_parse(slice_str("[{\"function\":{\"name\":\"now\",\"parameters\":{\"properties\":"
                                 "{\"a\":{\"type\":\"string\"}}}}}]"),
                       NULL);
    if (size < 3 || size > 4096)
        return 0;
    struct answer_options o = {.shape = {(enum answer_format)(data[0] % ANSWER_FORMATS),
                                         (enum answer_thinking)(data[1] % THINKINGS)},
                               .control = data[2] & 1 ? (1u << ANSWER_MARKS) - 1 : 0,
                               .tools = data[2] & 2 ? NULL : tools,
                               .one_call = data[2] & 4};
    if (o.shape.format == ANSWER_HARMONY)
        o.shape.thinking = THINKING_NONE;
    bool cut = data[2] & 16;
    o.thinking = data[2] & 8 && o.shape.thinking != THINKING_NONE;
    struct slice text = slice_of((const char *)data + 3, size - 3);
    struct told whole = read_in_pieces(o, text, text.len + 1, cut);
    for (size_t piece = 1; piece < 40; piece += piece < 4 ? 1 : 17) {
        struct told parts = read_in_pieces(o, text, piece, cut);
        assert(slice_eq(buf_view(&whole.text), buf_view(&parts.text)));
        buf_release(&parts.text);
    }
    buf_release(&whole.text);
    return 0;
}
