#include "local/template/answer_parser.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "local/template/answer_impl.h"

static unsigned bit(int mark)
{
    return 1u << mark;
}

static void set_marks(struct answer_parser *p)
{
    size_t starts[MARK_COUNT], n[MARK_COUNT];
    for (int i = 0; i < MARK_COUNT; i++) {
        const char *text = answer_mark(&p->o.shape, i);
        starts[i] = p->patterns.len;
        if (text && is_control(p, i))
            buf_char(&p->patterns, (char)ANSWER_MARK);
        if (text)
            buf_text_add(&p->patterns, text);
        n[i] = p->patterns.len - starts[i];
    }
    for (int i = 0; i < MARK_COUNT; i++) {
        p->marks[i] = slice_sub(buf_view(&p->patterns), starts[i], n[i]);
        if (n[i])
            p->first[(unsigned char)p->marks[i].ptr[0]] = true;
    }
}

struct answer_parser *answer_parser_new(const struct answer_options *o)
{
    struct answer_parser *p = memory_array(struct answer_parser, 1);
    p->o = *o;
    p->syntax = &answer_syntaxes[o->shape.format];
    p->fresh = p->first_white = true;
    p->state = o->thinking ? IN_THOUGHT : p->syntax->step ? IN_HEADER : IN_TEXT;
    set_marks(p);
    return p;
}

void answer_parser_free(struct answer_parser *p)
{
    if (!p)
        return;
    buf_release(&p->patterns);
    buf_release(&p->pending);
    buf_release(&p->name);
    buf_release(&p->arguments);
    free(p);
}

int answer_parser_n_calls(const struct answer_parser *p)
{
    return p->n_calls;
}

enum chat_event_kind answer_parser_kind(const struct answer_parser *p)
{
    bool thought = p->state == IN_THOUGHT || (p->state == IN_BODY && p->body == CHAT_REASONING);
    return thought ? CHAT_REASONING : CHAT_TEXT;
}

void answer_emit(struct answer_parser *p, enum chat_event_kind kind, struct slice text)
{
    struct chat_event e = {.kind = kind, .choice = p->o.choice, .text = text};
    bool call = kind == CHAT_TOOL_CALL || kind == CHAT_TOOL_ARGUMENTS;
    if (!text.len && kind != CHAT_TOOL_CALL)
        return;
    if (call) {
        e.tool_id = p->id;
        e.tool_name = buf_text(&p->name);
        e.tool_index = p->n_calls - 1;
    }
    p->argued |= kind == CHAT_TOOL_ARGUMENTS;
    p->said |= kind == CHAT_TEXT;
    p->o.sink.push(p->o.sink.self, &e);
}

int answer_mark_at(const struct answer_parser *p, struct slice s, size_t i, unsigned set, bool end)
{
    struct slice rest = slice_sub(s, i, s.len);
    int found = MARK_NONE;
    if (!rest.len || !p->first[(unsigned char)rest.ptr[0]])
        return MARK_NONE;
    for (int m = 0; m < MARK_COUNT; m++) {
        struct slice mark = p->marks[m];
        if (!(set & bit(m)) || !mark.len)
            continue;
        if (slice_starts(rest, mark))
            return m;
        if (!end && slice_starts(mark, rest))
            found = MARK_UNSURE;
    }
    return found;
}

int answer_find(const struct answer_parser *p, struct slice s, unsigned set, bool end, size_t *at)
{
    for (*at = 0; *at < s.len; ++*at) {
        int mark = answer_mark_at(p, s, *at, set, end);
        if (mark != MARK_NONE)
            return mark;
    }
    return MARK_NONE;
}

static const json_t *tool_function(const json_t *tool)
{
    const json_t *function = json_object_get(tool, "function");
    return function ? function : tool;
}

static const json_t *find_tool(const struct answer_parser *p, struct slice name)
{
    size_t i;
    json_t *tool;
    json_array_foreach((json_t *)p->o.tools, i, tool)
    {
        const json_t *given = json_object_get(tool_function(tool), "name");
        if (json_is_string(given) && slice_eq(json_slice(given), name))
            return tool_function(tool);
    }
    return NULL;
}

bool answer_knows_tool(const struct answer_parser *p, struct slice name)
{
    return find_tool(p, name) != NULL;
}

const json_t *answer_parameters(const struct answer_parser *p, struct slice name)
{
    const json_t *parameters = json_object_get(find_tool(p, name), "parameters");
    return parameters ? parameters : json_object_get(find_tool(p, name), "input_schema");
}

static void make_id(struct answer_parser *p)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t place = (uint64_t)p->o.choice << 32 | (uint64_t)p->n_calls;
    uint64_t bits = hash_mix(p->o.id_seed + hash_mix(place));
    for (size_t i = 0; i + 1 < sizeof p->id; i++) {
        p->id[i] = digits[bits % 62];
        bits /= 62;
    }
}

bool answer_call(struct answer_parser *p, struct slice name)
{
    if (p->o.one_call && p->n_calls)
        return false;
    if (name.ptr != p->name.ptr) {
        buf_clear(&p->name);
        buf_slice(&p->name, name);
    }
    for (size_t i = 0; i < p->name.len; i++) {  // it is handed on as a C string
        if (!p->name.ptr[i])
            p->name.ptr[i] = '?';
    }
    make_id(p);
    p->n_calls++;
    p->argued = false;
    answer_emit(p, CHAT_TOOL_CALL, slice_str(""));
    return true;
}

void answer_call_end(struct answer_parser *p)
{
    if (!p->argued && !p->cut)
        answer_emit(p, CHAT_TOOL_ARGUMENTS, slice_str("{}"));
}

// Control tokens are never text, wherever they stand.
static unsigned control_marks(const struct answer_parser *p)
{
    return p->o.control & (bit(MARK_COUNT) - 1);
}

static unsigned openers(const struct answer_parser *p)
{
    return p->o.tools ? bit(MARK_SECTION) | bit(MARK_CALL) | bit(MARK_ALSO) : 0;
}

// The kind of text comes out up to `to`; what stands before `from` is dropped.
static void give(struct answer_parser *p, enum chat_event_kind kind, struct slice s, size_t from,
                 size_t to)
{
    if (to > from) {
        answer_emit(p, kind, slice_sub(s, from, to - from));
        p->fresh = p->first_white = false;
    }
    p->at += to;
}

static void begin_head(struct answer_parser *p, size_t lead)
{
    p->state = IN_HEAD;
    p->lead = lead;
    p->searched = 0;
}

static void begin_text(struct answer_parser *p)
{
    p->state = IN_TEXT;
    p->fresh = true;
    p->first_white = false;
}

// A mark at s[white], behind white space only.
static bool take_mark(struct answer_parser *p, struct slice s, size_t white, int mark)
{
    if (openers(p) & bit(mark)) {
        begin_head(p, white);
        return true;
    }
    bool thinks = mark == MARK_THINK && !p->said;
    if (thinks || mark == MARK_HIDE || mark == MARK_HIDE_END) {
        p->at += white;
        p->fresh = true;
        p->first_white = false;
    } else {
        give(p, CHAT_TEXT, s, 0, white);
    }
    p->at += p->marks[mark].len;
    if (thinks)
        p->state = IN_THOUGHT;
    return true;
}

static bool begins_bare(const struct answer_parser *p, struct slice s, size_t white)
{
    bool object = s.ptr[white] == '{', fence = p->syntax->fenced && s.ptr[white] == '`';
    return p->syntax->bare && p->o.tools && !p->said && p->fresh && (object || fence);
}

static bool step_text(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    size_t white = p->fresh ? white_at(s, 0) : 0, at;
    unsigned set = control_marks(p) | openers(p) | (p->said ? 0 : bit(MARK_THINK)) |
                   bit(MARK_HIDE) | bit(MARK_HIDE_END);
    if (white && !p->first_white) {
        p->at += white;
        return true;
    }
    if (white == s.len && !end)
        return false;
    if (white < s.len && begins_bare(p, s, white)) {
        begin_head(p, white);
        return true;
    }
    int mark = answer_find(p, slice_sub(s, white, s.len), set, end, &at);
    at += white;
    if (at == white && mark == MARK_UNSURE)
        return false;
    if (at == white && mark != MARK_NONE)
        return take_mark(p, s, white, mark);
    give(p, CHAT_TEXT, s, 0, at);
    return at > 0;  // what is held may be text behind text
}

// Thoughts go on up to their end's mark. A call that begins with a control token ends them too.
static bool step_thought(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    const char *label = p->fresh ? answer_thinking_label(p->o.shape.thinking) : NULL;
    unsigned set = control_marks(p) | bit(MARK_THINK_END);
    size_t at, white = p->fresh ? white_at(s, 0) : 0;
    int again = p->fresh ? answer_mark_at(p, s, 0, bit(MARK_THINK), end) : MARK_NONE;
    if (white) {
        p->at += white;
        return true;
    }
    if (label && slice_starts(s, slice_str(label))) {
        p->at += strlen(label);
        return true;
    }
    if (label && !end && slice_starts(slice_str(label), s))
        return false;
    if (again == MARK_UNSURE)
        return false;
    if (again == MARK_THINK) {
        p->at += p->marks[again].len;
        return true;
    }
    int mark = answer_find(p, s, set, end, &at);
    give(p, CHAT_REASONING, s, 0, at);
    if (mark == MARK_NONE || mark == MARK_UNSURE)
        return false;
    if (openers(p) & bit(mark)) {
        begin_head(p, 0);
        return true;
    }
    p->at += p->marks[mark].len;
    if (mark == MARK_THINK_END)
        begin_text(p);
    return true;
}

// What looked like a call is none: its mark is text, and what follows is looked at anew.
static void refuse(struct answer_parser *p, struct slice s)
{
    int mark = answer_mark_at(p, s, p->lead, openers(p), true);
    size_t mark_len = mark >= 0 ? p->marks[mark].len : 1;
    p->in_list = false;
    p->state = IN_TEXT;
    if (mark >= 0 && is_control(p, mark)) {
        give(p, CHAT_TEXT, s, 0, p->lead);
        p->at += mark_len;
        p->fresh = false;
    } else {
        give(p, CHAT_TEXT, s, 0, p->lead + mark_len);
    }
    p->said = true;
}

static bool step_head(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p), call = slice_sub(s, p->lead, s.len);
    struct call_head h = {.in_list = p->in_list};
    enum verdict v = p->syntax->head(p, call, end, &h);
    if (v == NEED_MORE && !end)
        return false;
    if (v != GOOD) {
        refuse(p, s);
        return true;
    }
    if (!answer_call(p, h.name)) {
        p->state = IN_SILENCE;
        return true;
    }
    p->at += p->lead + h.used;
    p->in_list = h.in_list;
    p->tail = h.tail;
    p->depth = 0;
    p->in_string = p->escaped = false;
    p->state = IN_ARGUMENTS;
    if (h.whole) {
        answer_emit(p, CHAT_TOOL_ARGUMENTS, buf_view(&p->arguments));
        answer_call_end(p);
        p->state = IN_TAIL;
    }
    return true;
}

// Arguments end with the bracket that closes their first one, or where a control token stands.
static bool step_arguments(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    size_t i = 0;
    bool ended = false;
    for (; i < s.len && !ended && (unsigned char)s.ptr[i] != ANSWER_MARK; i++) {
        char c = s.ptr[i];
        if (p->in_string) {
            p->in_string = c != '"' || p->escaped;
            p->escaped = c == '\\' && !p->escaped;
        } else if (c == '"') {
            p->in_string = true;
        } else if (c == '{' || c == '[') {
            p->depth++;
        } else if (c == '}' || c == ']') {
            ended = --p->depth == 0;
        }
    }
    ended |= i < s.len || end;
    answer_emit(p, CHAT_TOOL_ARGUMENTS, slice_sub(s, 0, i));
    p->at += i;
    if (ended) {
        answer_call_end(p);
        p->state = IN_TAIL;
    }
    return ended;
}

static bool step_tail(struct answer_parser *p, bool end)
{
    size_t used = 0;
    enum verdict v = object_tail(answer_view(p), p->tail, &used);
    if (v == NEED_MORE && !end)
        return false;
    if (v == GOOD)
        p->at += used;
    p->state = AFTER_CALL;
    return true;
}

// Behind a call, white space and its marks: what leads to another one is a separator.
static bool step_separator(struct answer_parser *p, struct slice s, bool end)
{
    char c = s.ptr[0];
    size_t next = white_at(s, 1);
    bool between = (c == ',' && p->in_list) || (c == ';' && p->syntax->bare);
    if (c == '`' && p->syntax->fenced && s.len < 3 && slice_starts(slice_str("```"), s) && !end)
        return false;
    if (between && next == s.len && !end)
        return false;
    if (p->syntax->fenced && slice_starts(s, slice_str("```"))) {
        p->at += 3;
    } else if (between && next < s.len && s.ptr[next] == '{') {
        p->at += next;
        begin_head(p, 0);
    } else if (c == ']' && p->in_list) {
        p->at++;
        p->in_list = false;
    } else if (c == '{' && p->syntax->bare) {
        begin_head(p, 0);
    } else {
        p->in_list = false;
        begin_text(p);
    }
    return true;
}

// White space, marks and separators behind a call are nobody's text.
static bool step_after(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    size_t white = white_at(s, 0);
    unsigned closers = bit(MARK_SECTION_END) | bit(MARK_CALL_END) | bit(MARK_HIDE);
    int mark = answer_mark_at(p, s, 0, openers(p) | control_marks(p) | closers, end);
    if (white) {
        p->at += white;
        return true;
    }
    if (mark == MARK_UNSURE || !s.len)
        return false;
    if (mark != MARK_NONE && openers(p) & bit(mark)) {
        p->in_list = false;
        begin_head(p, 0);
        return true;
    }
    if (mark != MARK_NONE) {
        p->at += p->marks[mark].len;
        return true;
    }
    return step_separator(p, s, end);
}

static bool step(struct answer_parser *p, bool end)
{
    switch (p->state) {
    case IN_TEXT: return step_text(p, end);
    case IN_THOUGHT: return step_thought(p, end);
    case IN_HEAD: return step_head(p, end);
    case IN_ARGUMENTS: return step_arguments(p, end);
    case IN_TAIL: return step_tail(p, end);
    case AFTER_CALL: return step_after(p, end);
    case IN_SILENCE: p->at = p->pending.len; return false;
    case IN_HEADER:
    case IN_BODY: break;
    }
    return step_harmony(p, end);
}

static void run(struct answer_parser *p, bool end)
{
    bool (*next)(struct answer_parser *, bool) = p->syntax->step ? p->syntax->step : step;
    while (next(p, end))
        continue;
    p->pending.len -= p->at;
    if (p->at && p->pending.len)
        memmove(p->pending.ptr, p->pending.ptr + p->at, p->pending.len);
    p->at = 0;
}

void answer_parser_push(struct answer_parser *p, struct slice text)
{
    buf_slice(&p->pending, text);
    run(p, false);
}

// Whether what is held back can be nothing but half a mark or half a call. Nothing waits for more
// but that, white space, and a bare object. One byte may also be text, but not in or behind a call.
static bool is_half(const struct answer_parser *p)
{
    struct slice s = answer_view(p);
    size_t n = s.len - white_at(s, 0);
    if (p->state == IN_HEAD && p->n_calls == 0 && p->lead < s.len &&
        (s.ptr[p->lead] == '{' || s.ptr[p->lead] == '`'))
        return false;
    bool of_call = p->state == IN_TAIL || p->state == AFTER_CALL ||
                   (p->state == IN_BODY && p->body == CHAT_TOOL_ARGUMENTS);
    return n > (of_call ? 0 : 1);
}

void answer_parser_finish(struct answer_parser *p, bool cut)
{
    p->cut = cut;
    if (cut && is_half(p))
        buf_clear(&p->pending);
    else
        run(p, true);
}
