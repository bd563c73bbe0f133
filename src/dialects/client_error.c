// client_error.c - what a vendor complains about as a struct error.
//
// The vendor's text is kept as far as it can be printed on a line. Vendors repeat the beginning of
// a key that they refuse: then the text is our own, and words that look like keys are blanked
// elsewhere too. Names (a type, a code, a member of the request) are kept beside the text for
// clients of the same words, but nothing of what a vendor says of the key that it was asked with.
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

static bool is_plain(const char *word)
{
    return word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")] ==
           0;
}

// A name that fits, or nothing.
static void keep_name(char *to, size_t capacity, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    if (n && n < capacity && is_plain(name) && !looks_like_key(slice_of(name, n)))
        memcpy(to, name, n + 1);
}

// A path of names and numbers: "messages[0].content", "tools.0.function.name".
static void keep_member(char *to, size_t capacity, const char *path)
{
    char copy[64];
    size_t n = path ? strlen(path) : 0;
    if (n == 0 || n >= capacity || n >= sizeof copy)
        return;
    memcpy(copy, path, n + 1);
    for (size_t i = 0, len; i < n; i += len + 1) {
        len = strcspn(copy + i, ".[]");
        copy[i + len] = 0;
        if (!is_plain(copy + i) || looks_like_key(slice_of(copy + i, len)))
            return;
    }
    memcpy(to, path, n + 1);
}

static void keep_words(const struct client_failure *f, struct error_words *said)
{
    said->dialect = f->dialect;
    keep_name(said->type, sizeof said->type, f->type);
    keep_name(said->code, sizeof said->code, f->code);
    keep_member(said->member, sizeof said->member, f->member);
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
    bool plain = is_plain(kind) && strlen(kind) < 64;
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
    if (out && code != ERR_KEY && code != ERR_FORBIDDEN)
        keep_words(f, &out->said);
    if (out && (code == ERR_RATE || code == ERR_BUSY) && f->retry_after_s > 0)
        out->retry_after_s =
            f->retry_after_s < RETRY_MAX_S ? (int)ceil(f->retry_after_s) : RETRY_MAX_S;
    if (worth_retrying)
        *worth_retrying = may_pass(f->status) && !f->for_good && code != ERR_KEY;
    return false;
}
