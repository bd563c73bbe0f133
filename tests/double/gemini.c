// gemini.c - answers in the words of Google's generateContent and embedContent.
// Source: the types of the package `google-genai` (3.6), and what its API sends.
#include "answer.h"

#include "base/json.h"

static const char *finish_word(const struct answer *o)
{
    switch (o->finish[0]) {
    case 'l': return "MAX_TOKENS";
    case 'f': return "SAFETY";
    default: return "STOP";  // also of calls
    }
}

// As far as `out` tokens of the answer and `thoughts` were produced. Thoughts are not in
// candidatesTokenCount; what is 0 is left out.
static void write_usage(struct answer *o, int64_t out, int64_t thoughts)
{
    const struct counts *c = &o->counts;
    buf_printf(&o->body, ",\"usageMetadata\":{\"promptTokenCount\":%lld", (long long)c->in);
    if (out > 0)
        buf_printf(&o->body, ",\"candidatesTokenCount\":%lld", (long long)out);
    buf_printf(&o->body, ",\"totalTokenCount\":%lld", (long long)(c->in + out + thoughts));
    if (c->cached > 0)
        buf_printf(&o->body, ",\"cachedContentTokenCount\":%lld", (long long)c->cached);
    if (thoughts > 0)
        buf_printf(&o->body, ",\"thoughtsTokenCount\":%lld", (long long)thoughts);
    buf_printf(&o->body, ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%lld}]}",
               (long long)c->in);
}

static void write_end(struct answer *o, const struct asked *a)
{
    buf_text_add(&o->body, ",\"modelVersion\":");
    json_write_text(&o->body, slice_str(a->model_name));
    buf_printf(&o->body, ",\"responseId\":\"double%llu\"}", (unsigned long long)o->number);
}

static void write_call(struct answer *o, const struct asked *a, int64_t i)
{
    const json_t *schema;
    buf_text_add(&o->body, "{\"functionCall\":{\"name\":");
    json_write_text(&o->body, slice_str(asked_tool(a, o->call_tools[i], &schema)));
    buf_text_add(&o->body, ",\"args\":");
    buf_slice(&o->body, answer_arguments(o, i));
    buf_printf(&o->body, "}%s}", i == 0 ? ",\"thoughtSignature\":\"c2lnbmVk\"" : "");
}

static void write_finish(struct answer *o)
{
    buf_printf(&o->body, "],\"role\":\"model\"},\"finishReason\":\"%s\",\"index\":0}]",
               finish_word(o));
}

void gemini_whole(struct answer *o, const struct asked *a)
{
    const char *comma = "";
    buf_text_add(&o->body, "{\"candidates\":[{\"content\":{\"parts\":[");
    if (o->n_thoughts > 0) {
        buf_text_add(&o->body, "{\"thought\":true,\"text\":\"");
        for (int64_t i = 0; i < o->n_thoughts; i++)
            buf_slice(&o->body, o->thought);
        buf_text_add(&o->body, "\"}");
        comma = ",";
    }
    if (o->n_text > 0) {
        buf_printf(&o->body, "%s{\"text\":", comma);
        json_write_text(&o->body, buf_view(&o->text));
        buf_char(&o->body, '}');
        comma = ",";
    }
    for (int64_t i = 0; i < o->n_calls; i++) {
        buf_text_add(&o->body, comma);
        write_call(o, a, i);
        comma = ",";
    }
    write_finish(o);
    if (a->s.usage)
        write_usage(o, o->counts.out - o->counts.reasoning, o->counts.reasoning);
    write_end(o, a);
}

// With alt=sse an event for each; without it, elements of an array.
static void begin(struct answer *o, const struct asked *a)
{
    buf_text_add(&o->body, a->sse ? "data: " : o->n_pieces ? ",\r\n" : "[");
    buf_text_add(&o->body, "{\"candidates\":[{\"content\":{\"parts\":[");
}

// Ends a piece that is not the last, of which so many tokens were produced.
static void end(struct answer *o, const struct asked *a, int64_t out, int64_t thoughts)
{
    buf_text_add(&o->body, "],\"role\":\"model\"},\"index\":0}]");
    if (a->s.usage)
        write_usage(o, out, thoughts);
    write_end(o, a);
    buf_text_add(&o->body, a->sse ? "\r\n\r\n" : "");
}

static void stream_end(struct answer *o, const struct asked *a)
{
    begin(o, a);
    if (o->n_calls == 0)
        buf_text_add(&o->body, "{\"text\":\"\"}");
    for (int64_t i = 0; i < o->n_calls; i++) {
        buf_text_add(&o->body, i ? "," : "");
        write_call(o, a, i);
    }
    write_finish(o);
    if (a->s.usage)
        write_usage(o, o->counts.out - o->counts.reasoning, o->counts.reasoning);
    write_end(o, a);
    buf_text_add(&o->body, a->sse ? "\r\n\r\n" : "]");
    struct piece *p = answer_piece(o);
    p->finish = true;
    p->text_bytes = (int64_t)o->arguments.len;
    for (int64_t i = 0; i < o->n_calls; i++)
        p->text_bytes += (int64_t)answer_name_bytes(a, o->call_tools[i]);
    answer_tells(o, a, o->counts.out, o->counts.reasoning);
}

void gemini_stream(struct answer *o, const struct asked *a)
{
    for (int64_t i = 0; i < o->n_thoughts; i++) {
        begin(o, a);
        buf_text_add(&o->body, "{\"thought\":true,\"text\":");
        json_write_text(&o->body, o->thought);
        buf_char(&o->body, '}');
        end(o, a, 0, i + 1);
        answer_piece(o)->text_bytes = (int64_t)o->thought.len;
        answer_tells(o, a, i + 1, i + 1);
    }
    for (int64_t i = 0; i < o->n_text; i++) {
        begin(o, a);
        buf_text_add(&o->body, "{\"text\":");
        size_t at = o->body.len;
        json_write_text(&o->body, answer_text(o, i));
        buf_char(&o->body, '}');
        end(o, a, i + 1, o->counts.reasoning);
        answer_chunk(o, a, at, answer_text(o, i).len);
        answer_tells(o, a, i + 1 + o->counts.reasoning, o->counts.reasoning);
    }
    for (int64_t i = 0; i < (a->s.usage > 1 ? a->s.usage : 1); i++)
        stream_end(o, a);
}

static void write_values(struct answer *o, const struct asked *a, size_t input)
{
    buf_text_add(&o->body, "{\"values\":[");
    for (size_t i = 0; i < a->dimensions; i++) {
        buf_text_add(&o->body, i ? "," : "");
        json_write_number(&o->body, (double)embed_value(input, i));
    }
    buf_text_add(&o->body, "]}");
}

void gemini_embed(struct answer *o, const struct asked *a)
{
    bool batch = json_object_get(a->body, "requests") != NULL;
    buf_text_add(&o->body, batch ? "{\"embeddings\":[" : "{\"embedding\":");
    for (size_t i = 0; i < a->n_inputs; i++) {
        buf_text_add(&o->body, i ? "," : "");
        write_values(o, a, i);
    }
    buf_text_add(&o->body, batch ? "]" : "");
    buf_printf(&o->body, ",\"usageMetadata\":{\"promptTokenCount\":%lld}}",
               (long long)o->counts.in);
}
