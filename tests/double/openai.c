// openai.c - answers in the words of OpenAI's chat completions and embeddings.
// Source: the types of the package `openai` (2.54), and what its API sends.
#include "answer.h"

#include <math.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"

enum { CREATED = 1767225600, ARGUMENTS_STEP = 6 };

static const char *finish_word(const struct answer *o)
{
    switch (o->finish[0]) {
    case 'l': return "length";
    case 't': return "tool_calls";
    case 'f': return "content_filter";
    default: return "stop";
    }
}

static void head(struct answer *o, const struct asked *a, const char *object)
{
    buf_printf(&o->body,
               "{\"id\":\"chatcmpl-double%llu\",\"object\":\"%s\",\"created\":%d,\"model\":",
               (unsigned long long)o->number, object, CREATED);
    json_write_text(&o->body, slice_str(a->model_name));
    buf_text_add(
        &o->body,
        ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_double\",\"choices\":[");
}

static void write_usage(struct answer *o)
{
    const struct counts *c = &o->counts;
    buf_printf(&o->body,
               "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
               "\"prompt_tokens_details\":{\"cached_tokens\":%lld,\"audio_tokens\":0",
               (long long)c->in, (long long)c->out, (long long)(c->in + c->out),
               (long long)c->cached);
    if (c->write_5m + c->write_1h > 0)
        buf_printf(&o->body, ",\"cache_write_tokens\":%lld",
                   (long long)(c->write_5m + c->write_1h));
    buf_printf(&o->body,
               "},\"completion_tokens_details\":{\"reasoning_tokens\":%lld,\"audio_tokens\":0,"
               "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
               (long long)c->reasoning);
}

static void write_calls(struct answer *o, const struct asked *a)
{
    buf_text_add(&o->body, ",\"tool_calls\":[");
    for (int64_t i = 0; i < o->n_calls; i++) {
        const json_t *schema;
        const char *name = asked_tool(a, o->call_tools[i], &schema);
        buf_printf(&o->body, "%s{\"id\":\"call_double%lld\",\"type\":\"function\",\"function\":{",
                   i ? "," : "", (long long)i);
        buf_text_add(&o->body, "\"name\":");
        json_write_text(&o->body, slice_str(name));
        buf_text_add(&o->body, ",\"arguments\":");
        json_write_text(&o->body, answer_arguments(o, i));
        buf_text_add(&o->body, "}}");
    }
    buf_char(&o->body, ']');
}

void openai_whole(struct answer *o, const struct asked *a)
{
    head(o, a, "chat.completion");
    buf_text_add(&o->body, "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if (o->n_text > 0)
        json_write_text(&o->body, buf_view(&o->text));
    else
        buf_text_add(&o->body, "null");
    buf_text_add(&o->body, ",\"refusal\":null,\"annotations\":[]");
    if (o->n_thoughts > 0) {
        buf_text_add(&o->body, ",\"reasoning_content\":\"");
        for (int64_t i = 0; i < o->n_thoughts; i++)
            buf_slice(&o->body, o->thought);
        buf_char(&o->body, '"');
    }
    if (o->n_calls > 0)
        write_calls(o, a);
    buf_printf(&o->body, "},\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish_word(o));
    if (a->s.usage) {
        buf_text_add(&o->body, ",\"usage\":");
        write_usage(o);
    }
    buf_char(&o->body, '}');
}

// Begins a chunk, up to its delta.
static void begin(struct answer *o, const struct asked *a)
{
    buf_text_add(&o->body, "data: ");
    head(o, a, "chat.completion.chunk");
    buf_text_add(&o->body, "{\"index\":0,\"delta\":{");
}

static void end(struct answer *o, const struct asked *a, const char *finish)
{
    buf_printf(&o->body, "},\"logprobs\":null,\"finish_reason\":%s%s%s}]", finish ? "\"" : "",
               finish ? finish : "null", finish ? "\"" : "");
    if (a->wants_usage)
        buf_text_add(&o->body, ",\"usage\":null");
    buf_text_add(&o->body, ",\"obfuscation\":\"Xq3\"}\n\n");
}

static void stream_call(struct answer *o, const struct asked *a, int64_t i)
{
    const json_t *schema;
    struct slice arguments = answer_arguments(o, i);
    begin(o, a);
    buf_printf(&o->body,
               "\"tool_calls\":[{\"index\":%lld,\"id\":\"call_double%lld\",\"type\":"
               "\"function\",\"function\":{\"name\":",
               (long long)i, (long long)i);
    json_write_text(&o->body, slice_str(asked_tool(a, o->call_tools[i], &schema)));
    buf_text_add(&o->body, ",\"arguments\":\"\"}}]");
    end(o, a, NULL);
    answer_piece(o)->text_bytes = (int64_t)answer_name_bytes(a, o->call_tools[i]);
    for (size_t at = 0, len; at < arguments.len; at += len) {
        len = ARGUMENTS_STEP < arguments.len - at ? ARGUMENTS_STEP : arguments.len - at;
        while (at + len < arguments.len && (arguments.ptr[at + len] & 0xC0) == 0x80)
            len++;  // characters stay whole
        begin(o, a);
        buf_printf(&o->body,
                   "\"tool_calls\":[{\"index\":%lld,\"function\":{\"arguments\":", (long long)i);
        json_write_text(&o->body, slice_sub(arguments, at, len));
        buf_text_add(&o->body, "}}]");
        end(o, a, NULL);
        answer_piece(o)->text_bytes = (int64_t)len;
    }
}

static void stream_usage(struct answer *o, const struct asked *a)
{
    for (int64_t i = 0; a->wants_usage && i < a->s.usage; i++) {
        buf_text_add(&o->body, "data: ");
        head(o, a, "chat.completion.chunk");
        buf_text_add(&o->body, "],\"usage\":");
        write_usage(o);
        buf_text_add(&o->body, ",\"obfuscation\":\"\"}\n\n");
        answer_piece(o);
        answer_tells(o, a, o->counts.out, o->counts.reasoning);
    }
}

void openai_stream(struct answer *o, const struct asked *a)
{
    begin(o, a);
    buf_text_add(&o->body, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
    end(o, a, NULL);
    answer_piece(o);
    for (int64_t i = 0; i < o->n_thoughts; i++) {
        begin(o, a);
        buf_text_add(&o->body, "\"reasoning_content\":");
        json_write_text(&o->body, o->thought);
        end(o, a, NULL);
        answer_piece(o)->text_bytes = (int64_t)o->thought.len;
    }
    for (int64_t i = 0; i < o->n_text; i++) {
        begin(o, a);
        buf_text_add(&o->body, "\"content\":");
        size_t at = o->body.len;
        json_write_text(&o->body, answer_text(o, i));
        end(o, a, NULL);
        answer_chunk(o, a, at, answer_text(o, i).len);
    }
    for (int64_t i = 0; i < o->n_calls; i++)
        stream_call(o, a, i);
    begin(o, a);
    end(o, a, finish_word(o));
    answer_piece(o)->finish = true;
    stream_usage(o, a);
    buf_text_add(&o->body, "data: [DONE]\n\n");
    answer_piece(o);
}

// Of length 1 for whoever asks for 8; the same each time.
float embed_value(size_t input, size_t i)
{
    uint64_t h = hash_mix(input * 4096 + i);
    return (float)((double)(h >> 40) / (1 << 24) - 0.5);
}

void openai_embed(struct answer *o, const struct asked *a)
{
    buf_text_add(&o->body, "{\"object\":\"list\",\"data\":[");
    for (size_t k = 0; k < a->n_inputs; k++) {
        float values[4096];
        for (size_t i = 0; i < a->dimensions; i++)
            values[i] = embed_value(k, i);
        buf_printf(&o->body,
                   "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", k ? "," : "", k);
        if (a->as_base64) {
            buf_char(&o->body, '"');
            base64_encode(&o->body, values, a->dimensions * sizeof values[0]);
            buf_char(&o->body, '"');
        } else {
            for (size_t i = 0; i < a->dimensions; i++) {
                buf_char(&o->body, i ? ',' : '[');
                json_write_number(&o->body, (double)values[i]);
            }
            buf_char(&o->body, ']');
        }
        buf_char(&o->body, '}');
    }
    buf_text_add(&o->body, "],\"model\":");
    json_write_text(&o->body, slice_str(a->model_name));
    buf_printf(&o->body, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}",
               (long long)o->counts.in, (long long)o->counts.in);
}
