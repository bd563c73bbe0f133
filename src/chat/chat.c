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
