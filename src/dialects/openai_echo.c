#include "dialects/openai_echo.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "chat/chat.h"

// How many bytes of the text the token stands for.
static size_t covers(const struct openai_echo *e, struct slice token)
{
    struct slice left = slice_sub(e->text, e->at, e->text.len);
    if (!e->given || slice_starts(left, token))
        return token.len;
    if (e->at > 0)  // a tokenizer that changed the text
        return token.len < left.len ? token.len : left.len;
    struct slice bare = slice_sub(token, 1, token.len);
    return token.len && token.ptr[0] == ' ' && slice_starts(left, bare) ? bare.len : 0;
}

size_t openai_echo_place(struct openai_echo *e, struct slice token)
{
    size_t place = e->at;
    e->at += covers(e, token);
    return place;
}

static void add_given(struct openai_echo *e, struct buf *out)
{
    struct slice more = slice_sub(e->text, e->n_shown, e->at - e->n_shown);
    more.len = utf8_whole(more.ptr, more.len);
    buf_slice(out, more);
    e->n_shown += more.len;
}

void openai_echo_add(struct openai_echo *e, const struct chat_token *tokens, size_t n,
                     struct buf *out)
{
    size_t before = out->len;
    buf_add(out, e->held, e->n_held);
    for (size_t i = 0; i < n; i++) {
        (void)openai_echo_place(e, tokens[i].bytes);
        if (!e->given)
            buf_slice(out, tokens[i].bytes);
    }
    if (e->given) {
        add_given(e, out);
        return;
    }
    if (out->len == before)
        return;
    size_t whole = utf8_whole(out->ptr + before, out->len - before);
    e->n_held = out->len - before - whole;
    memcpy(e->held, out->ptr + before + whole, e->n_held);
    out->len = before + whole;
    e->n_shown += whole;
}

void openai_echo_rest(const struct openai_echo *e, size_t n_shown, struct buf *out)
{
    if (e->given)
        buf_slice(out, slice_sub(e->text, n_shown, e->text.len));
    else if (n_shown == e->n_shown)
        buf_add(out, e->held, e->n_held);
}
