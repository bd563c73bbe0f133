// chat.h - the words that clients, gateway and providers share: a request going down, events coming
// up.
//
// A request goes down once as a struct chat_request; its answer comes up once as a series of
// struct chat_event into a sink. Everything a request points to lives in its arena and is never
// changed after it was read. Threads: a sink is pushed to by one thread at a time, in order;
// DONE or ERROR comes last, once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct caller;
struct json_t;

enum chat_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_DEVELOPER };

struct chat_message {
    enum chat_role role;
    struct slice text;  // the parts' texts joined
    // In the words of OpenAI's chat completions, which templates know, whoever's dialect it came
    // in: role, content (a text), and what there is of tool_calls (arguments parsed), tool_call_id,
    // name, reasoning_content. NULL: nothing but role and text.
    const struct json_t *raw;
    // OpenAI's content parts, in order, where some are no text ({"type":"image_url","image_url":
    // {"url":"data:image/png;base64,..."}}, "text" among them) or are marked for a vendor's cache
    // ("cache_control"); else NULL. {"type":"vendor","vendor","value"}: what only that vendor
    // knows.
    const struct json_t *parts;
    // What only its vendor can read and wants back (signatures of thoughts): an array of
    // {"vendor","value"}, each with the value as it came and what is before it of this message, in
    // "bytes" of its text and "calls" (and, if there are any, "media": parts that are no text); or
    // NULL. See CHAT_BLOB.
    const struct json_t *blobs;
};

enum chat_input {
    INPUT_MESSAGES,
    INPUT_TEXT,
    INPUT_TOKENS,
    INPUT_EMBED  // no answer but the embeddings of `inputs`, each a choice
};

struct chat_embed_input {
    struct slice text;
    const int32_t *tokens;  // NULL: text
    size_t n_tokens;
};

// Members a client did not set: NAN for floats, -1 for ints; the provider fills in the model's own
// defaults (generation_config.json), then Hearth's.
struct chat_sampling {
    float temperature, top_p, min_p, typical_p;
    float repetition_penalty, presence_penalty, frequency_penalty;
    int top_k;
    int64_t seed;  // -1: from the clock
    const struct slice *stops;
    size_t n_stops;
    const int32_t *bias_tokens;  // logit bias: parallel arrays
    const float *bias_values;
    size_t n_bias;
    int n_choices;   // return sequences; -1: 1
    int min_tokens;  // before so many new ones no token that ends the text is drawn
    int n_logprobs;  // -1: none; 0: the chosen token's only
};
void chat_sampling_unset(struct chat_sampling *s);

enum chat_tool_choice {
    TOOLS_AUTO,
    TOOLS_NONE,      // the model is not told of the tools, and what it writes is text
    TOOLS_REQUIRED,  // some tool, whichever
    TOOLS_NAMED,     // tool_name
};

// What the answer's text must be; each choice on its own. What cannot be compiled is an error
// before anything is generated. An answer that max_tokens cuts is the beginning of such a text.
enum chat_constraint_kind {
    CONSTRAINT_NONE,
    CONSTRAINT_JSON_OBJECT,  // any JSON object
    CONSTRAINT_JSON_SCHEMA,  // JSON that satisfies `schema`
    CONSTRAINT_REGEX,        // a text that `text`, a regular expression, matches as a whole
    CONSTRAINT_GBNF          // a text of the grammar `text` (as llama.cpp writes them)
};
struct chat_constraint {
    enum chat_constraint_kind kind;
    const struct json_t *schema;
    struct slice text;
};

// One of several raw prompts of a request.
struct chat_prompt {
    enum chat_input input;  // INPUT_TEXT or INPUT_TOKENS
    struct slice text;
    const int32_t *tokens;
    size_t n_tokens;
};

struct chat_request {
    enum chat_input input;
    const char *model;  // as the client wrote it
    const struct chat_message *messages;
    size_t n_messages;
    bool continues;         // the answer goes on with the last message, which is an assistant's
    struct slice text;      // INPUT_TEXT: raw, no template
    const int32_t *tokens;  // INPUT_TOKENS
    size_t n_tokens;
    const struct chat_embed_input *inputs;  // INPUT_EMBED
    size_t n_inputs;
    int dimensions;  // of embeddings, the first so many made of length 1 anew; 0: all
    // With two or more of these, instead of the input above: each is answered as if it were alone,
    // with choices place * n_choices to place * n_choices + n_choices - 1. Providers see one at a
    // time (gateway/several.h).
    const struct chat_prompt *prompts;
    size_t n_prompts;
    const struct json_t *tools;  // array or NULL
    enum chat_tool_choice tool_choice;
    const char *tool_name;  // TOOLS_NAMED
    bool one_tool_call;     // never several in one answer
    // What a call begins with is the name of a tool, and its arguments validate; so it is too of
    // tools that say so themselves (strict), and where a tool is required.
    bool strict_tools;
    bool known_tools;  // a call that begins is of one of the tools
    struct chat_constraint constraint;
    const struct json_t *extras;  // further template variables, or NULL
    struct chat_sampling sampling;
    bool echo;          // the client wants the prompt before its answer, where the dialect puts it
    bool score_prompt;  // the prompt's tokens are told, with logprobs (CHAT_PROMPT_TOKENS)
    int max_tokens;     // -1: what is left of the context, at most 4,096
    bool stream;
    int64_t deadline_ns;  // clock_ns(); what has not ended by then ends with ERR_TIMEOUT; 0: none
    // Who asks, for the gateway (gateway/caller.h), which hands providers NULL here. NULL: the user
    // of this machine, who needs no key.
    const struct caller *caller;
    const char *session;  // the client's name for what belongs together (a user, a cache), or NULL
    // What the client sent and in which dialect (struct dialect_client's name), so that a vendor
    // with the same words also gets those members that nobody here knows, and tells in them how it
    // went. NULL: made here. body may be NULL where those members must not go on.
    const char *wire;
    const struct json_t *body;
    const char *beta;  // "anthropic-beta" of a client with Anthropic's words, or NULL
};

enum chat_finish {
    CHAT_NOT_FINISHED,
    CHAT_STOP,
    CHAT_LENGTH,
    CHAT_TOOL_CALLS,
    CHAT_FILTERED,
    CHAT_CANCELLED
};

// Which of its services a vendor says that it answered by: they have prices of their own.
enum chat_service {
    SERVICE_USUAL,
    SERVICE_BATCH,
    SERVICE_FLEX,
    SERVICE_PRIORITY,
    CHAT_SERVICES,
};
extern const char *const chat_service_names[CHAT_SERVICES];  // "batch" ...; the usual's is ""
enum chat_service chat_service_of(struct slice name);        // USUAL for other names

struct chat_usage {
    int64_t prompt_tokens;                                 // cached ones included
    int64_t cached_tokens;                                 // read from a cache
    int64_t cache_write_5m_tokens, cache_write_1h_tokens;  // of the prompt; where a vendor tells
    int64_t completion_tokens;                             // thoughts included
    int64_t reasoning_tokens;                              // of the completion; 0 where unknown
    int64_t drafted_tokens, accepted_tokens;  // guessed ahead, and rightly; 0 where unknown
    double queued_s, prefill_s, decode_s;     // 0 where unknown
    int64_t bytes_sent, bytes_received;       // that left this machine, and came back
    int64_t cost_picousd;                     // -1: unknown price
    enum chat_service service;
    bool estimated;  // counted here, since a vendor's answer was cut or did not say
};

// Adds one to another: the costs are unknown as soon as one is, estimated as soon as one is.
void chat_usage_add(struct chat_usage *sum, const struct chat_usage *u);

struct chat_token {  // one token with its alternatives
    int32_t id;
    float logprob;
    struct slice bytes;
    const struct chat_token *top;
    size_t n_top;
};

enum chat_event_kind {
    CHAT_PROMPT,  // first, from providers that know: the ids of the prompt (prompt, n_prompt)
    // Only with score_prompt: tokens of the prompt, in order, some in each event; the first has no
    // logprob (NAN). One series for all choices, under the number of the first.
    CHAT_PROMPT_TOKENS,
    CHAT_PROGRESS,  // n_done of n_total prompt tokens were read
    CHAT_TEXT,
    CHAT_REASONING,
    CHAT_TOOL_CALL,       // a call begins: tool_id, tool_name, tool_index
    CHAT_TOOL_ARGUMENTS,  // more of its arguments, a JSON object's text (text, tool_index)
    CHAT_NEXT,       // max_tokens 0 with logprobs: tokens holds the likeliest for the next position
    CHAT_EMBEDDING,  // of a choice: embedding, of length 1
    CHAT_BLOB,       // blob_vendor, blob: belongs here among what the choice says, and comes back
                     // with the message in the next request; other vendors' clients do not see it
    CHAT_MEDIA,   // an image, a sound: media_type, media in base64; with a blob_vendor, `blob` is
                  // an object of what else that vendor says of it
    CHAT_FINISH,  // choice ended
    CHAT_USAGE,
    CHAT_DONE,
    CHAT_ERROR,
};
struct chat_event {
    enum chat_event_kind kind;
    int choice;
    struct slice text;  // valid during the call
    bool refusal;       // CHAT_TEXT: a vendor marked it as the model's refusal
    // Which call of this choice, from 0. One call ends before the next begins. The arguments are
    // what the model wrote: cut where it was cut, and not sure to be JSON.
    const char *tool_id, *tool_name;  // valid during the call
    int tool_index;
    const struct chat_token
        *tokens;  // NULL where a vendor gives none; any kind of text may have them
    size_t n_tokens;
    const char *blob_vendor;  // "anthropic", "gemini", "openai"
    struct slice blob;        // JSON, valid during the call
    const float *embedding;   // [n_embedding], valid during the call
    size_t n_embedding;
    const int32_t *prompt;  // valid during the call
    size_t n_prompt;
    enum chat_finish finish;
    struct slice stop;  // CHAT_FINISH: the stop text that ended the choice; else empty
    // CHAT_FINISH: the vendor's own word for the end and its sentence about it, for clients of its
    // words; NULL: `finish` says it all.
    const char *end_vendor;
    struct slice end_word, end_text;
    struct slice media_type, media;  // valid during the call
    struct chat_usage usage;
    size_t n_done, n_total;
    struct error error;
};

// Where the events of one answer go.
struct chat_sink {
    // Should not block: the thread that calls it carries other answers too.
    void (*push)(void *self, const struct chat_event *event);
    void *self;
    // Both may be NULL.
    // Whether the sink takes no more for now: asked before every few events, never of an answer
    // that was cancelled. Then nothing comes until the answer is resumed; who makes room does that.
    bool (*full)(void *self);
    // The last call, after DONE or ERROR was pushed: nobody waits for the answer, and it may be
    // freed from here on, even inside. Not if the start failed.
    void (*closed)(void *self);
};
