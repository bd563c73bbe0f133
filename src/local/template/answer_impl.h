// answer_impl.h - what the files of the answer parser share; nobody else includes it.
//
// answer_syntax.c knows the marks, answer_parser.c the way from state to state, answer_heads.c
// reads the heads of calls by means of answer_object.c (JSON), answer_xml.c (tags) and
// answer_loose.c (near-JSON); answer_harmony.c goes its own way from state to state.
//
// A step looks at what is pending from its beginning and either decides, for good, or asks for
// more. So a decision never depends on where the text was cut.
#pragma once
#include "base/buf.h"
#include "base/json.h"
#include "local/template/answer_parser.h"

enum {
    MARK_NONE = -1,
    MARK_UNSURE = -2,  // one may begin here
    HEAD_BYTES_MAX = 64 << 10,
    CALL_BYTES_MAX = 1 << 20,
    NAME_BYTES_MAX = 256,
    CALL_DEPTH_MAX = 64,
};

enum verdict { NEED_MORE, BAD, GOOD };

struct call_head {
    struct slice name;  // into the text, or p->name
    size_t used;        // bytes from the call's beginning up to the arguments
    bool whole;         // the arguments are known, in p->arguments
    bool in_list;       // inside of [ ]
    int tail;           // objects that are still open behind the arguments
};

struct answer_syntax {
    const char *name;
    const char *marks[MARK_COUNT];
    // Reads a call from the beginning of s. `end`: there will be no more.
    enum verdict (*head)(struct answer_parser *p, struct slice s, bool end, struct call_head *h);
    // Takes the next step, if the common way does not do. False: more text is needed.
    bool (*step)(struct answer_parser *p, bool end);
    bool bare;    // a call may come without a mark, at the answer's beginning
    bool fenced;  // calls may stand in ``` ```
};
extern const struct answer_syntax answer_syntaxes[ANSWER_FORMATS];

enum answer_state {
    IN_TEXT,
    IN_THOUGHT,
    IN_HEAD,
    IN_ARGUMENTS,
    IN_TAIL,
    AFTER_CALL,
    IN_SILENCE,
    IN_HEADER,  // harmony's states
    IN_BODY,
};

struct answer_parser {
    const struct answer_syntax *syntax;
    struct answer_options o;
    struct buf patterns;
    struct slice marks[MARK_COUNT];  // as they come, with ANSWER_MARK where it belongs
    bool first[256];                 // bytes that a mark begins with
    struct buf pending;
    size_t at;  // of pending: what was dealt with
    enum answer_state state;
    bool fresh;        // at the beginning, or right behind a mark
    bool first_white;  // white space at the very beginning is the text's if text follows
    bool said;         // text came out
    bool cut;          // the answer ends where it should not
    // The call that is being read.
    size_t lead;      // white space that stands before it in pending
    size_t searched;  // how far its end was looked for
    struct buf name, arguments;
    char id[10];
    bool in_list, argued;  // argued: some arguments came out
    int tail, n_calls;
    unsigned depth;
    bool in_string, escaped;
    enum chat_event_kind body;  // harmony: what a message's body is
};

// answer_parser.c
static inline struct slice answer_view(const struct answer_parser *p)
{
    return slice_sub(buf_view(&p->pending), p->at, p->pending.len);
}
static inline bool is_white(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}
static inline size_t white_at(struct slice s, size_t i)  // the first place from i on that is none
{
    while (i < s.len && is_white(s.ptr[i]))
        i++;
    return i;
}
static inline bool is_control(const struct answer_parser *p, int mark)
{
    return p->o.control >> mark & 1;
}
void answer_emit(struct answer_parser *p, enum chat_event_kind kind, struct slice text);
// The mark of the set (bits) that s begins with at i; MARK_UNSURE if more text must tell.
int answer_mark_at(const struct answer_parser *p, struct slice s, size_t i, unsigned set, bool end);
// The first place where a mark stands or may begin; s.len and MARK_NONE if there is none.
int answer_find(const struct answer_parser *p, struct slice s, unsigned set, bool end, size_t *at);
// Begins a call with what the head says; false if no more calls are wanted.
bool answer_call(struct answer_parser *p, struct slice name);
void answer_call_end(struct answer_parser *p);
bool answer_knows_tool(const struct answer_parser *p, struct slice name);
// The schema of a tool's parameters, or NULL.
const json_t *answer_parameters(const struct answer_parser *p, struct slice name);

// answer_object.c: an object with a name and arguments at s[i]. `bare`: only what can be nothing
// but a call of one of the tools.
enum verdict object_head(struct answer_parser *p, struct slice s, size_t i, bool bare,
                         struct call_head *h);
// The rest of `depth` objects behind the arguments, which is dropped.
enum verdict object_tail(struct slice s, int depth, size_t *used);

// answer_heads.c
enum verdict head_hermes(struct answer_parser *, struct slice, bool, struct call_head *);
enum verdict head_list(struct answer_parser *, struct slice, bool, struct call_head *);
enum verdict head_mistral(struct answer_parser *, struct slice, bool, struct call_head *);
enum verdict head_between(struct answer_parser *, struct slice, bool, struct call_head *);
enum verdict head_llama(struct answer_parser *, struct slice, bool, struct call_head *);
enum verdict head_json(struct answer_parser *, struct slice, bool, struct call_head *);
enum verdict head_gemma(struct answer_parser *, struct slice, bool, struct call_head *);
// What stands at s[*i] must be this text: steps over it.
enum verdict expect(struct slice s, size_t *i, struct slice text);
// The place of text in s, which is looked for from where the last search ended.
bool search_end(struct answer_parser *p, struct slice s, struct slice text, size_t *at);

// answer_xml.c
enum verdict head_qwen_xml(struct answer_parser *, struct slice, bool, struct call_head *);
enum verdict head_glm(struct answer_parser *, struct slice, bool, struct call_head *);

// answer_loose.c: values as Gemma and Python write them. A new reference, or NULL if it is none;
// *i steps over it. quote: what stands around strings beside " and '; may be empty.
json_t *loose_value(struct slice s, size_t *i, struct slice quote, int depth);
// (KEY=VALUE, …) at s[*i].
json_t *loose_arguments(struct slice s, size_t *i);

// answer_harmony.c
bool step_harmony(struct answer_parser *p, bool end);
