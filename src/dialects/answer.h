// answer.h - the events of one answer collected, for clients that want it whole.
//
// Filled by dialect_answer_add, read by a dialect's write_response. What it holds is bounded: who
// asks for more, with logprobs or in many choices, can have it as a stream. Threads: one at a time.
#pragma once
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "chat/chat.h"

enum { ANSWER_BYTES_MAX = 256 << 20 };

struct dialect_tool {
    char *id, *name;
    struct buf arguments;  // as the model wrote them: not sure to be JSON
};
// A run of one kind in the order in which it was said: text, thoughts, or one call.
struct dialect_part {
    enum chat_event_kind kind;      // CHAT_TEXT, CHAT_REASONING, CHAT_TOOL_CALL, CHAT_MEDIA
    size_t start, end;              // bytes of the choice's text or reasoning; of a call or media:
                                    // start is its place in tools or media
    size_t first_token, end_token;  // of the choice's tokens
};
// What only a vendor reads; it stands behind the first n_parts parts.
struct dialect_blob {
    char *vendor;
    struct buf value;  // JSON
    size_t n_parts;
};
struct dialect_media {
    struct buf type, data;  // "image/png", base64
    char *vendor;           // who says `more` of it, an object of JSON; or NULL
    struct buf more;
};
struct dialect_choice {
    struct buf text, reasoning;
    bool refused;
    size_t refusal_at;  // where in the text the refusal begins: all behind it is one
    struct dialect_tool *tools;
    size_t n_tools, tools_capacity;
    struct chat_token *tokens;  // with logprobs only; their bytes and tops are in the arena
    size_t n_tokens, capacity;
    struct chat_token *prompt_tokens;  // the same of the prompt, where they are told: of the first
    size_t n_prompt_tokens, prompt_capacity;  // of its choices only
    float *embedding;                         // [n_embedding]
    size_t n_embedding;
    struct dialect_part *parts;
    size_t n_parts, parts_capacity;
    struct dialect_blob *blobs;
    size_t n_blobs, blobs_capacity;
    enum chat_finish finish;
    struct buf stop;   // the stop text that ended it, or empty
    char *end_vendor;  // as CHAT_FINISH has them, or NULL
    struct buf end_word, end_text;
    struct dialect_media *media;
    size_t n_media, media_capacity;
};
struct dialect_answer {
    struct dialect_choice *choices;
    size_t n_choices;
    bool with_tokens;  // keep tokens
    struct chat_usage usage;
    struct error error;  // ERR_LIMIT: it is too large, and no more is kept; or that of CHAT_ERROR
    size_t n_bytes;      // of texts and tokens, beside the arena
    size_t looked;       // as many there were when memory was looked for
    struct arena arena;
};
void dialect_answer_init(struct dialect_answer *a, size_t n_choices, bool with_tokens);
void dialect_answer_release(struct dialect_answer *a);
// Whether nothing came of a choice though something did of others: a vendor gave fewer.
bool dialect_answer_lacks(const struct dialect_answer *a, size_t choice);
void dialect_answer_add(struct dialect_answer *a, const struct chat_event *event);
