// hearth.h - Hearth as a library: open a model, ask it, get text as it is made. Link libhearth.a.
//
// A struct hearth is one model with its engine; several may be open. Calls on one handle may come
// from any thread and run side by side in one batch. Strings are UTF-8 and borrowed for the call.
// Failing calls return false or NULL and write one line into `error` (NULL: nobody asks).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hearth;

struct hearth_error {
    char text[256];
};

// Zero is the default of every member.
struct hearth_options {
    int threads;  // 0: one for each fast core that this process may use
    int ctx;      // tokens of the longest sequence; 0: the model's own, as memory allows
    // Disk space in the user's cache folder for packed weights of large models, which load faster
    // next time: NULL or "auto", "off", or a number of gigabytes.
    const char *packed;
};

// model: a GGUF file or a Hugging Face folder; NULL: HEARTH_MODEL, else the shipped model.
struct hearth *hearth_open(const char *model, const struct hearth_options *options,
                           struct hearth_error *error);
void hearth_close(struct hearth *h);  // no call may be running; NULL is fine
int hearth_context(const struct hearth *h);

enum hearth_role { HEARTH_SYSTEM, HEARTH_USER, HEARTH_ASSISTANT };
struct hearth_message {
    enum hearth_role role;
    const char *text;
};

// Start from hearth_request_init(): it sets the model's own defaults.
struct hearth_request {
    const struct hearth_message *messages;  // with the model's chat template, or
    size_t n_messages;
    const char *text;                 // this text continued as it is, if not NULL
    int max_tokens;                   // default 256
    float temperature, top_p, min_p;  // NAN: the model's own
    int top_k;                        // -1: the model's own
    int64_t seed;                     // -1: from the clock
    const char *const *stops;         // texts that end the answer
    size_t n_stops;
};
void hearth_request_init(struct hearth_request *r);

struct hearth_usage {
    int64_t prompt_tokens, completion_tokens;
    bool cut;  // the answer ended at max_tokens
};

// Gives text as it is made, never half a character; return false to stop. Called from another
// thread, one call at a time.
typedef bool (*hearth_text)(void *self, const char *text, size_t len);

// Returns when the answer is whole. usage may be NULL.
bool hearth_generate(struct hearth *h, const struct hearth_request *request, hearth_text on_text,
                     void *self, struct hearth_usage *usage, struct hearth_error *error);

// Tokens that the request's prompt takes, or -1.
int64_t hearth_count(struct hearth *h, const struct hearth_request *request,
                     struct hearth_error *error);

#ifdef __cplusplus
}
#endif
