// anthropic.c - answers in the words of Anthropic's Messages.
// Source: the types of the package `anthropic` (2.14), and what its API sends.
#include "answer.h"

#include "base/json.h"

enum { ARGUMENTS_STEP = 6 };

static const char *finish_word(const struct answer *o)
{
    switch (o->finish[0]) {
    case 'l': return "max_tokens";
    case 't': return "tool_use";
    case 'f': return "refusal";
    default: return "end_turn";
    }
}

// input_tokens is without what was read from the cache or written into it.
static void write_usage(struct answer *o, int64_t out, bool details)
{
    const struct counts *c = &o->counts;
    long long writes = (long long)(c->write_5m + c->write_1h);
    buf_printf(&o->body,
               "{\"input_tokens\":%lld,\"cache_creation_input_tokens\":%lld,"
               "\"cache_read_input_tokens\":%lld,",
               (long long)(c->in - c->cached) - writes, writes, (long long)c->cached);
    if (details)
        buf_printf(&o->body,
                   "\"cache_creation\":{\"ephemeral_5m_input_tokens\":%lld,"
                   "\"ephemeral_1h_input_tokens\":%lld},\"service_tier\":\"standard\",",
                   (long long)c->write_5m, (long long)c->write_1h);
    if (c->reasoning > 0 && out == c->out)
        buf_printf(&o->body, "\"output_tokens_details\":{\"thinking_tokens\":%lld},",
                   (long long)c->reasoning);
    buf_printf(&o->body, "\"output_tokens\":%lld}", (long long)out);
}

static void head(struct answer *o, const struct asked *a)
{
    buf_printf(&o->body,
               "{\"id\":\"msg_double%llu\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
               (unsigned long long)o->number);
    json_write_text(&o->body, slice_str(a->model_name));
    buf_text_add(&o->body, ",\"content\":[");
}

static void write_call(struct answer *o, const struct asked *a, int64_t i)
{
    const json_t *schema;
    buf_printf(&o->body,
               "{\"type\":\"tool_use\",\"id\":\"toolu_double%lld\",\"name\":", (long long)i);
    json_write_text(&o->body, slice_str(asked_tool(a, o->call_tools[i], &schema)));
    buf_text_add(&o->body, ",\"input\":");
}

void anthropic_whole(struct answer *o, const struct asked *a)
{
    const char *comma = "";
    head(o, a);
    if (o->n_thoughts > 0) {
        buf_text_add(&o->body, "{\"type\":\"thinking\",\"thinking\":\"");
        for (int64_t i = 0; i < o->n_thoughts; i++)
            buf_slice(&o->body, o->thought);
        buf_text_add(&o->body, "\",\"signature\":\"c2lnbmVk\"}");
        comma = ",";
    }
    if (o->n_text > 0) {
        buf_printf(&o->body, "%s{\"type\":\"text\",\"text\":", comma);
        json_write_text(&o->body, buf_view(&o->text));
        buf_char(&o->body, '}');
        comma = ",";
    }
    for (int64_t i = 0; i < o->n_calls; i++) {
        buf_text_add(&o->body, comma);
        write_call(o, a, i);
        buf_slice(&o->body, answer_arguments(o, i));
        buf_char(&o->body, '}');
        comma = ",";
    }
    buf_printf(&o->body, "],\"stop_reason\":\"%s\",\"stop_sequence\":null", finish_word(o));
    if (a->s.usage) {
        buf_text_add(&o->body, ",\"usage\":");
        write_usage(o, o->counts.out, true);
    }
    buf_char(&o->body, '}');
}

static void event(struct answer *o, const char *name)
{
    buf_printf(&o->body, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static struct piece *end(struct answer *o)
{
    buf_text_add(&o->body, "}\n\n");
    return answer_piece(o);
}

static void stream_start(struct answer *o, const struct asked *a)
{
    event(o, "message_start");
    buf_text_add(&o->body, ",\"message\":");
    head(o, a);
    buf_text_add(&o->body, "],\"stop_reason\":null,\"stop_sequence\":null");
    if (a->s.usage) {
        buf_text_add(&o->body, ",\"usage\":");
        write_usage(o, 1, true);
    }
    buf_char(&o->body, '}');
    end(o);
    answer_tells(o, a, 1, 0);
    event(o, "ping");
    end(o);
}

static void delta(struct answer *o, int64_t index, const char *type, const char *member)
{
    event(o, "content_block_delta");
    buf_printf(&o->body, ",\"index\":%lld,\"delta\":{\"type\":\"%s\",\"%s\":", (long long)index,
               type, member);
}

static void start_block(struct answer *o, int64_t index)
{
    event(o, "content_block_start");
    buf_printf(&o->body, ",\"index\":%lld,\"content_block\":", (long long)index);
}

static void stop_block(struct answer *o, int64_t index)
{
    event(o, "content_block_stop");
    buf_printf(&o->body, ",\"index\":%lld", (long long)index);
    end(o);
}

static void stream_thoughts(struct answer *o, int64_t index)
{
    start_block(o, index);
    buf_text_add(&o->body, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    end(o);
    for (int64_t i = 0; i < o->n_thoughts; i++) {
        delta(o, index, "thinking_delta", "thinking");
        json_write_text(&o->body, o->thought);
        buf_char(&o->body, '}');
        end(o)->text_bytes = (int64_t)o->thought.len;
    }
    delta(o, index, "signature_delta", "signature");
    buf_text_add(&o->body, "\"c2lnbmVk\"}");
    end(o);
    stop_block(o, index);
}

static void stream_text(struct answer *o, const struct asked *a, int64_t index)
{
    start_block(o, index);
    buf_text_add(&o->body, "{\"type\":\"text\",\"text\":\"\"}");
    end(o);
    for (int64_t i = 0; i < o->n_text; i++) {
        delta(o, index, "text_delta", "text");
        size_t at = o->body.len;
        json_write_text(&o->body, answer_text(o, i));
        buf_text_add(&o->body, "}}\n\n");
        answer_chunk(o, a, at, answer_text(o, i).len);
    }
    stop_block(o, index);
}

static void stream_call(struct answer *o, const struct asked *a, int64_t index, int64_t i)
{
    struct slice arguments = answer_arguments(o, i);
    start_block(o, index);
    write_call(o, a, i);
    buf_text_add(&o->body, "{}}");
    end(o)->text_bytes = (int64_t)answer_name_bytes(a, o->call_tools[i]);
    for (size_t at = 0, len; at < arguments.len; at += len) {
        len = ARGUMENTS_STEP < arguments.len - at ? ARGUMENTS_STEP : arguments.len - at;
        while (at + len < arguments.len && (arguments.ptr[at + len] & 0xC0) == 0x80)
            len++;  // characters stay whole
        delta(o, index, "input_json_delta", "partial_json");
        json_write_text(&o->body, slice_sub(arguments, at, len));
        buf_char(&o->body, '}');
        end(o)->text_bytes = (int64_t)len;
    }
    stop_block(o, index);
}

void anthropic_stream(struct answer *o, const struct asked *a)
{
    int64_t index = 0;
    stream_start(o, a);
    if (o->n_thoughts > 0)
        stream_thoughts(o, index++);
    if (o->n_text > 0)
        stream_text(o, a, index++);
    for (int64_t i = 0; i < o->n_calls; i++)
        stream_call(o, a, index++, i);
    int64_t i = 0;
    do {  // the usage here counts the whole answer, however often it is told
        event(o, "message_delta");
        buf_printf(&o->body, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null}",
                   finish_word(o));
        if (a->s.usage) {
            buf_text_add(&o->body, ",\"usage\":");
            write_usage(o, o->counts.out, false);
        }
        end(o);
        answer_tells(o, a, o->counts.out, o->counts.reasoning);
    } while (++i < a->s.usage);
    event(o, "message_stop");
    end(o)->finish = true;
}
