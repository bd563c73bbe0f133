// error.h - how a failure is told: a code and one line of text on the caller's stack.
//
// Bytes from outside (file, socket, user) return an error; a broken promise of our own asserts.
// Failing never allocates. error_set and error_wrap return false, so that a failing path is one
// line: `return error_set(err, ERR_FORMAT, ...)`. `err` may be NULL where nobody wants to know.
// Threads: a struct error belongs to the thread that made it.
#pragma once
#include <stdbool.h>

enum error_code {
    ERR_NONE = 0,
    ERR_IO,           // the system refused: open, read, write, map
    ERR_FORMAT,       // bytes from outside that are not what they claim to be
    ERR_UNSUPPORTED,  // well formed, but we cannot do it
    ERR_USAGE,        // the caller asked for something that makes no sense
    ERR_NOT_FOUND,    // a name that nobody knows
    ERR_MEMORY,       // a big allocation (weights, KV pages, activations) failed
    ERR_LIMIT,        // a stated bound was reached (steps, bytes, queue)
    ERR_CANCELLED,    // somebody asked for it to stop
    ERR_NUMERIC,      // NaN or infinity where a number was needed
    ERR_BUSY,         // too much work at the moment; retry_after_s says when there may be less
    ERR_TIMEOUT,      // its deadline came first
    ERR_INTERNAL,
    ERR_CONTEXT,    // a prompt with its answer that the context of the model does not hold
    ERR_KEY,        // no key, or one that nobody was given
    ERR_FORBIDDEN,  // a key that must not do this
    ERR_RATE,       // this account asks too often; retry_after_s as with ERR_BUSY
    ERR_BUDGET,     // what this account may spend is spent, or the price is not known
    ERR_UPSTREAM,   // a vendor failed, or answered what is no answer: not the client's fault
};

// What a vendor itself called a failure, for who speaks its words; what it did not say is empty.
struct error_words {
    const char *dialect;  // whose words they are: "openai", "anthropic", "gemini"; NULL: nobody's
    char type[48], code[48], member[64];
};

struct error {
    enum error_code code;
    int retry_after_s;  // of ERR_BUSY, ERR_RATE: seconds until another try is worth it; else 0
    int status;         // HTTP's, or what stands for it, where a vendor answered; else 0
    char text[256];
    struct error_words said;
};

// Sets code and text (cut at the buffer's end, on a character boundary). Returns false.
bool error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "<prefix>: " before the text, keeps the code. Returns false.
bool error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void error_clear(struct error *err)
{
    if (err) {
        err->code = ERR_NONE;
        err->retry_after_s = err->status = 0;
        err->said = (struct error_words){0};
        err->text[0] = 0;
    }
}
