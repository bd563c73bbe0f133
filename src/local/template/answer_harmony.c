// answer_harmony.c - gpt-oss: an answer of several messages, each on a channel.
//
//   <|channel|>analysis<|message|>THOUGHTS<|end|>
//   <|start|>assistant<|channel|>commentary to=functions.NAME
//   <|constrain|>json<|message|>{…}<|call|>
//   <|start|>assistant<|channel|>final<|message|>TEXT<|return|>
//
// The recipient may also stand before the channel. The prompt ends behind <|start|>assistant, so
// that an answer begins inside of a header.
// Source: OpenAI's page on the harmony response format.
#include "local/template/answer_impl.h"

enum { HEADER_BYTES_MAX = 512 };

#define BIT(mark) (1u << (mark))
static const unsigned ends = BIT(MARK_SECTION_END) | BIT(MARK_CALL_END) | BIT(MARK_HIDE);
static const unsigned begins = BIT(MARK_SECTION) | BIT(MARK_CALL);

// The word behind `text` in a header, up to white space or a mark.
static struct slice word_after(struct slice header, struct slice text)
{
    const char *found =
        header.len && text.len ? memmem(header.ptr, header.len, text.ptr, text.len) : NULL;
    if (!found)
        return slice_of("", 0);
    struct slice w = slice_sub(header, (size_t)(found - header.ptr) + text.len, header.len);
    size_t n = 0;
    while (n < w.len && !is_white(w.ptr[n]) && w.ptr[n] != '<' &&
           (unsigned char)w.ptr[n] != ANSWER_MARK)
        n++;
    return slice_sub(w, 0, n);
}

static void begin_body(struct answer_parser *p, struct slice header)
{
    struct slice channel = word_after(header, p->marks[MARK_CALL]);
    struct slice name = word_after(header, slice_str("to=")), prefix = slice_str("functions.");
    p->state = IN_BODY;
    p->body = slice_is(channel, "analysis") ? CHAT_REASONING : CHAT_TEXT;
    if (slice_starts(name, prefix))
        name = slice_sub(name, prefix.len, name.len);
    if (!p->o.tools || name.len == 0 || slice_is(name, "assistant") || slice_is(name, "user"))
        return;
    p->body = CHAT_TOOL_ARGUMENTS;
    if (!answer_call(p, name))
        p->state = IN_SILENCE;
}

// Where an answer begins: a header's rest, or text that is none.
static bool may_be_header(const struct answer_parser *p, struct slice s, bool end)
{
    size_t i = white_at(s, 0);
    return i == s.len || answer_mark_at(p, s, i, begins | BIT(MARK_INNER), end) != MARK_NONE ||
           expect(s, &i, slice_str("to=")) != BAD;
}

static bool step_header(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    size_t at, i = 0;
    bool possible = may_be_header(p, s, end);
    (void)expect(s, &i, p->marks[MARK_SECTION]);
    int mark = answer_find(p, slice_sub(s, i, HEADER_BYTES_MAX), ends | BIT(MARK_INNER), end, &at);
    at += i;
    if (possible && mark == MARK_INNER) {
        p->at += at + p->marks[mark].len;
        begin_body(p, slice_sub(s, 0, at));
        return true;
    }
    if (possible && !end && mark < 0 && s.len < i + HEADER_BYTES_MAX)
        return false;
    p->state = IN_TEXT;  // no header: its words are text
    return true;
}

// Text outside of messages, which no answer should have.
static bool step_outside(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    size_t at;
    int mark = answer_find(p, s, p->o.control | begins | ends | BIT(MARK_INNER), end, &at);
    answer_emit(p, CHAT_TEXT, slice_sub(s, 0, at));
    p->at += at;
    if (mark < 0)
        return false;
    p->at += p->marks[mark].len;
    return true;
}

static bool step_body(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    size_t at;
    int mark = answer_find(p, s, begins | ends, end, &at);
    answer_emit(p, p->body, slice_sub(s, 0, at));
    p->at += at;
    if (p->body == CHAT_TOOL_ARGUMENTS && (mark >= 0 || (end && mark == MARK_NONE)))
        answer_call_end(p);
    if (mark < 0)
        return false;
    if (BIT(mark) & ends)
        p->at += p->marks[mark].len;
    p->state = BIT(mark) & ends ? AFTER_CALL : IN_HEADER;
    return true;
}

// Between messages: another begins, or there is text.
static bool step_between(struct answer_parser *p, bool end)
{
    struct slice s = answer_view(p);
    size_t white = white_at(s, 0);
    int mark = answer_mark_at(p, s, white, begins | ends, end);
    if (white == s.len && !end)
        return false;
    if (mark == MARK_UNSURE)
        return false;
    if (mark >= 0 && BIT(mark) & ends) {
        p->at += white + p->marks[mark].len;
        return true;
    }
    p->at += white;
    p->state = mark >= 0 ? IN_HEADER : IN_TEXT;
    return white < s.len;
}

bool step_harmony(struct answer_parser *p, bool end)
{
    if (answer_view(p).len == 0 && !(end && p->state == IN_BODY))
        return false;
    switch (p->state) {
    case IN_HEADER: return step_header(p, end);
    case IN_BODY: return step_body(p, end);
    case AFTER_CALL: return step_between(p, end);
    case IN_SILENCE: p->at = p->pending.len; return false;
    default: return step_outside(p, end);
    }
}
