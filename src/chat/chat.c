#include "chat/chat.h"

#include <math.h>

void chat_sampling_unset(struct chat_sampling *s)
{
    *s = (struct chat_sampling){
        .temperature = NAN,
        .top_p = NAN,
        .min_p = NAN,
        .typical_p = NAN,
        .repetition_penalty = NAN,
        .presence_penalty = NAN,
        .frequency_penalty = NAN,
        .top_k = -1,
        .seed = -1,
        .n_choices = -1,
        .n_logprobs = -1,
    };
}

const char *const chat_service_names[CHAT_SERVICES] = {"", "batch", "flex", "priority"};

enum chat_service chat_service_of(struct slice name)
{
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++)
        if (slice_is(name, chat_service_names[i]))
            return (enum chat_service)i;
    return SERVICE_USUAL;
}

void chat_usage_add(struct chat_usage *sum, const struct chat_usage *u)
{
    bool known = sum->cost_picousd >= 0 && u->cost_picousd >= 0;
    sum->prompt_tokens += u->prompt_tokens;
    sum->cached_tokens += u->cached_tokens;
    sum->cache_write_5m_tokens += u->cache_write_5m_tokens;
    sum->cache_write_1h_tokens += u->cache_write_1h_tokens;
    sum->completion_tokens += u->completion_tokens;
    sum->reasoning_tokens += u->reasoning_tokens;
    sum->drafted_tokens += u->drafted_tokens;
    sum->accepted_tokens += u->accepted_tokens;
    sum->bytes_sent += u->bytes_sent;
    sum->bytes_received += u->bytes_received;
    sum->estimated |= u->estimated;
    sum->cost_picousd = known ? sum->cost_picousd + u->cost_picousd : -1;
    sum->queued_s += u->queued_s;
    sum->prefill_s += u->prefill_s;
    sum->decode_s += u->decode_s;
}
