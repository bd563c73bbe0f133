// local_impl.h - what the files of the local provider share; nobody else includes it.
//
// local_model.c opens and closes a model with all that belongs to it, local_draft.c another one
// that guesses for it, local_marks.c knows how it writes, local_messages.c gives its template what
// it expects, local_turns.c the turns that it takes, local_prompt.c makes tokens and settings of a
// request, local_constraint.c keeps grammars (answer_grammar.h makes those of whole answers),
// local_embed.c asks for embeddings, local_answer.c makes chat's events of the engine's,
// local_carriers.c has the threads for that, local_models.c knows which models are loaded, local.c
// is the provider.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"
#include "chat/chat.h"
#include "local/engine/engine.h"
#include "local/models/pooling.h"
#include "local/sampling/grammar/vocab.h"
#include "local/template/answer_parser.h"
#include "local/tokenizer/tokenizer.h"
#include "providers/answer_grammar.h"
#include "providers/local.h"
#include "providers/local_carriers.h"
#include "providers/model_ref.h"
#include "providers/provider.h"

struct arena;
struct backend;
struct local_models;
struct model;
struct model_file;
struct template;

struct local_draft {  // a model that guesses tokens ahead; zeroed: none
    struct model_file *file;
    struct model *model;
};

struct template_habits {  // what a chat template wants of messages beside the usual
    bool null_content;    // a message without text but with calls has null as content
    bool short_ids;       // ids of calls are nine letters and digits
    bool thinking;        // thoughts are in `thinking`
    bool developer;       // it knows this role
    bool tools;           // it writes descriptions of tools
    bool no_system;       // it refuses messages of the system
    bool alternates;      // it refuses two messages of one role in a row
    bool one_call;        // it refuses a message with several calls
};

struct local_model {  // immutable once open, but for what local_models.h says
    struct local_model *next;
    int n_users;        // answers and calls; under the lock of local_models.h, as the next three
    bool leaves;        // another one waits for its room
    uint64_t last_use;  // a count
    uint64_t bytes;     // weights, keys and values, in memory
    char real[MODEL_REF_BYTES];  // the path without links: one model, however it is named
    char name[128], description[160];
    struct model_file *file;
    struct backend *backend;
    struct model *model;
    struct local_draft draft;
    struct tokenizer *tokenizer;
    struct template *chat_template;  // NULL: the plain default
    atomic_flag default_told;        // that there is no template was said in the log
    atomic_flag plain_told;          // that it is told of no tools
    // How it writes calls and thoughts, with the marks that are control tokens (local_marks.c).
    struct answer_shape shape;
    struct template_habits habits;
    unsigned control;
    struct shown_token marks[ANSWER_MARKS];
    size_t n_marks;
    struct buf mark_texts;
    int32_t *ends;  // tokens that end an answer
    size_t n_ends;
    struct engine *engine;
    struct local_grammars *grammars;
    struct sampling sampling;    // the model's own defaults
    int speculate;               // of its requests
    enum pooling pooling;        // of embeddings
    struct error no_embeddings;  // code ERR_NONE, or why it can give none
};

// Opens path, which is found again as `real`, in so many bytes of memory. NULL with err, which
// names the model; *needs then is what it takes at least, where that is known.
struct local_model *local_model_open(const char *path, const char *real,
                                     const struct local_options *o, uint64_t room_bytes,
                                     uint64_t *needs, struct error *err);
void local_model_close(struct local_model *m);

// Loads the model that o->draft names to guess for m, on m's backend. False with err, which names
// it: its tokens must be m's. What was opened is then still to be closed.
bool local_draft_open(struct local_model *m, const struct local_options *o, struct error *err);
void local_draft_close(struct local_draft *d);

// Finds what the template says of answers, and the marks among m's tokens.
void local_marks_find(struct local_model *m, struct slice chat_template,
                      const struct local_options *o);
void local_marks_release(struct local_model *m);

// The messages as the template wants them (local_messages.c). A new reference.
struct template_habits local_habits(struct slice chat_template);
json_t *local_messages(const struct local_model *m, const struct chat_request *req);
// The same messages in turns that the template takes (local_turns.c), for the reference to these.
json_t *local_turns(const struct local_model *m, json_t *messages);
// A JSON string of any bytes: what is not UTF-8 becomes U+FFFD.
json_t *local_text_json(struct slice s);

// Appends the prompt's ids: the template rendered over the messages, where text from messages
// cannot become control tokens; or a raw text with the special tokens that the model wants; or ids.
// *begins (may be NULL): whether the template has begun the answer's thoughts, or ended them.
bool local_prompt(struct local_model *m, const struct chat_request *req, struct tokens *out,
                  enum answer_begins *begins, struct error *err);
bool local_given_tokens(const struct local_model *m, const int32_t *tokens, size_t n_tokens,
                        struct tokens *out, struct error *err);
// How the model makes embeddings: as the options or its files say, else by the mean.
void local_embed_choose(struct local_model *m, enum pooling wanted);
// Appends the ids of all inputs; lengths (NULL, or [n_inputs]) gets the number of each.
bool local_embed_tokens(const struct local_model *m, const struct chat_request *req,
                        struct tokens *out, size_t *lengths, struct error *err);
// Asks the engine for the embeddings of INPUT_EMBED. NULL with err.
struct engine_answer *local_embed_submit(const struct local_model *m,
                                         const struct chat_request *req, struct flow flow,
                                         struct answer *reader, struct error *err);
// The embedding as an event, cut to so many dimensions (0: whole).
void local_embed_push(const struct engine_event *e, int dimensions, struct chat_sink sink);
// The tools that the model may call; NULL if none.
const json_t *local_tools(const struct chat_request *req);
// What the model is told of them where its template tells nothing; false if there is no need.
bool local_tools_text(const struct local_model *m, const struct chat_request *req, struct buf *out);
// Puts that into the first message. messages is changed, and so is one of its members.
void local_tools_tell(const struct local_model *m, const struct chat_request *req,
                      json_t *messages);
// The request's settings over the model's. Lists live in the arena.
bool local_sampling(const struct local_model *m, const struct chat_request *req, struct arena *a,
                    struct sampling *out, struct error *err);

// Grammars of a model's requests: of calls of tools, and of what the text is held to. *out is held
// for the caller, NULL if anything may be written. False with err: what cannot be compiled, by its
// name and place.
struct grammar;
struct local_grammars *local_grammars_new(void);
void local_grammars_free(struct local_grammars *g);  // after the engine; NULL is fine
bool local_grammar(const struct local_model *m, const struct chat_request *req,
                   enum answer_begins begins, struct grammar **out, struct error *err);
// The control tokens that are marks, by number.
size_t local_marks_of_grammar(const struct local_model *m, struct grammar_mark out[ANSWER_MARKS]);

// Carries the engine's events to the sink. The answer to messages is read for calls and thoughts.
// The model is given back by the answer's end.
struct answer *local_answer_new(struct carriers *carriers, struct local_models *models,
                                struct local_model *m, const struct chat_request *req,
                                bool thinking, struct chat_sink sink);
void local_answer_ready(void *answer);  // as engine_request.ready wants it
// Takes over `engine` and `prompt`: from here on events are pushed.
void local_answer_begin(struct answer *a, struct engine_answer *engine, struct tokens *prompt);
void local_answer_discard(struct answer *a);  // one that never began
void local_answer_wait(struct answer *a);
void local_answer_cancel(struct answer *a);
void local_answer_resume(struct answer *a);
void local_answer_free(struct answer *a);
