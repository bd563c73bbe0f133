// client_error.c - what a vendor complains about as a struct error.
//
// The vendor's text is kept as far as it can be printed on a line. Vendors repeat the beginning of
// a key that they refuse: then the text is our own, and words that look like keys are blanked
// elsewhere too.
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "dialects/client_impl.h"

enum { TEXT_MAX = 200, RETRY_MAX_S = 86400 };

static enum error_code code_of(const struct client_failure *f)
{
    if (f->key)
        return ERR_KEY;
    if (f->context)
        return ERR_CONTEXT;
    switch (f->status) {
    case 400:
    case 413:
    case 422: return ERR_USAGE;
    case 401: return ERR_KEY;
    case 403: return ERR_FORBIDDEN;
    case 404: return ERR_NOT_FOUND;
    case 429: return ERR_RATE;
    case 503:
    case 529: return ERR_BUSY;
    default: return ERR_UPSTREAM;
    }
}

static bool may_pass(int status)
{
    return status == 408 || status == 409 || status == 425 || status == 429 ||
           (status >= 500 && status != 501 && status != 505);
}

static bool looks_like_key(struct slice word)
{
    static const char *const begins[] = {"sk-", "sk_", "AIza", "gsk_", "xai-", "Bearer", "pk-"};
    size_t i = 0;
    while (i < word.len && (word.ptr[i] == '\'' || word.ptr[i] == '"' || word.ptr[i] == '('))
        i++;
    word = slice_sub(word, i, word.len);
    for (i = 0; i < sizeof begins / sizeof *begins; i++) {
        if (slice_starts(word, slice_str(begins[i])))
            return true;
    }
    size_t digits = 0, letters = 0;
    for (i = 0; i < word.len; i++) {
        digits += isdigit((unsigned char)word.ptr[i]) != 0;
        letters += isalpha((unsigned char)word.ptr[i]) != 0;
    }
    return word.len >= 32 && digits >= 4 && letters >= 8 && digits + letters + 6 >= word.len;
}

// Words on one line, without what looks like a key and without control characters.
static void printable(struct slice text, struct buf *out)
{
    size_t i = 0;
    while (i < text.len && out->len < TEXT_MAX) {
        size_t start = i;
        while (i < text.len && (unsigned char)text.ptr[i] > ' ' && text.ptr[i] != 0x7f)
            i++;
        struct slice word = slice_of(text.ptr + start, i - start);
        if (word.len && out->len)
            buf_char(out, ' ');
        if (looks_like_key(word))
            buf_text_add(out, "[...]");
        else
            buf_slice(out, word);
        while (i < text.len && ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f))
            i++;
    }
}

bool client_says_context(struct slice message)
{
    static const char *const said[] = {"maximum context length",
                                       "context length",
                                       "context_length",
                                       "context window",
                                       "prompt is too long",
                                       "input token count",
                                       "exceeds the maximum number of tokens"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        if (message.len && memmem(message.ptr, message.len, said[i], strlen(said[i])))
            return true;
    }
    return false;
}

bool client_fail(const struct client_failure *f, struct error *out, bool *worth_retrying)
{
    struct buf text = {0};
    enum error_code code = code_of(f);
    if (code == ERR_KEY)
        buf_text_add(&text, "the vendor refused the key");
    else
        printable(f->message, &text);
    const char *kind = f->kind ? f->kind : "";
    bool plain = strspn(kind, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") ==
                     strlen(kind) &&
                 strlen(kind) < 64;
    if (text.len == 0)
        buf_printf(&text, "the vendor failed");
    if (plain && *kind)
        buf_printf(&text, " (%d %s)", f->status, kind);
    else
        buf_printf(&text, " (%d)", f->status);
    (void)error_set(out, code, "%s", buf_text(&text));
    buf_release(&text);
    if (out)
        out->status = f->status;
    if (out && (code == ERR_RATE || code == ERR_BUSY) && f->retry_after_s > 0)
        out->retry_after_s =
            f->retry_after_s < RETRY_MAX_S ? (int)ceil(f->retry_after_s) : RETRY_MAX_S;
    if (worth_retrying)
        *worth_retrying = may_pass(f->status) && !f->for_good && code != ERR_KEY;
    return false;
}
