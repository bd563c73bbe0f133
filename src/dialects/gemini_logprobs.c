// gemini_logprobs.c - responseLogprobs and logprobs of a request, logprobsResult of its answer.
//
// Thoughts that are not shown have none shown either. A token of a call comes in a stream when it
// was written, before the call, which comes whole.
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"
#include "dialects/answer.h"
#include "dialects/gemini.h"
#include "dialects/members.h"

enum { TOP_LOGPROBS_MAX = 20 };

bool gemini_read_logprobs(struct dialect_call *c, const json_t *config, struct dialect_error *err)
{
    static const char at[] = "generationConfig";
    const char *key;
    bool wanted = false;
    int top = -1;
    (void)gemini_member(config, "responseLogprobs", "response_logprobs", &key);
    if (!member_bool(config, at, key, &wanted, err) ||
        !member_int(config, at, "logprobs", 0, TOP_LOGPROBS_MAX, &top, err))
        return false;
    if (top >= 0 && !wanted)
        return dialect_refuse(err, PROBLEM_REQUEST, "generationConfig.logprobs",
                              "'generationConfig.logprobs' needs 'responseLogprobs' to be true");
    if (wanted)
        c->request.sampling.n_logprobs = top > 0 ? top : 0;
    return true;
}

static double shown(const struct chat_token *t)
{
    return t->logprob > -9999 ? (double)t->logprob : -9999.0;
}

static void write_token(const struct chat_token *t, struct buf *out)
{
    buf_text_add(out, "{\"token\":");
    json_write_text(out, t->bytes);
    buf_printf(out, ",\"tokenId\":%" PRId32 ",\"logProbability\":", t->id);
    json_write_number(out, shown(t));
    buf_char(out, '}');
}

static void write_top(const struct chat_token *t, struct buf *out)
{
    buf_text_add(out, "{\"candidates\":[");
    for (size_t i = 0; i < t->n_top; i++) {
        if (i)
            buf_char(out, ',');
        write_token(&t->top[i], out);
    }
    buf_text_add(out, "]}");
}

void gemini_write_logprobs(const struct chat_token *tokens, size_t n, struct buf *out)
{
    bool tops = false;
    buf_text_add(out, ",\"logprobsResult\":{\"chosenCandidates\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_token(&tokens[i], out);
        tops |= tokens[i].n_top > 0;
    }
    buf_text_add(out, tops ? "],\"topCandidates\":[" : "]}");
    for (size_t i = 0; tops && i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_top(&tokens[i], out);
    }
    if (tops)
        buf_text_add(out, "]}");
}

void gemini_add_logprobs(struct gemini_mean *m, const struct chat_token *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        m->sum += shown(&tokens[i]);
    m->n += n;
}

void gemini_write_mean(const struct gemini_mean *m, struct buf *out)
{
    if (!m->n)
        return;
    buf_text_add(out, ",\"avgLogprobs\":");
    json_write_number(out, m->sum / (double)m->n);
}

void gemini_write_all_logprobs(const struct dialect_choice *choice, bool thoughts, struct buf *out)
{
    struct chat_token *tokens = memory_array(struct chat_token, choice->n_tokens + 1);
    struct gemini_mean mean = {0};
    size_t n = 0, p = 0;
    for (size_t i = 0; i < choice->n_tokens; i++) {
        while (p < choice->n_parts && i >= choice->parts[p].end_token)
            p++;
        bool hidden = !thoughts && p < choice->n_parts && i >= choice->parts[p].first_token &&
                      choice->parts[p].kind == CHAT_REASONING;
        if (!hidden)
            tokens[n++] = choice->tokens[i];
    }
    gemini_add_logprobs(&mean, tokens, n);
    gemini_write_mean(&mean, out);
    gemini_write_logprobs(tokens, n, out);
    free(tokens);
}
