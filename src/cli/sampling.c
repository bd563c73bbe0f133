// sampling.c - the sampling members of a request from the command line.
#include <math.h>
#include <errno.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/stack.h"

static bool read_bias(const char *text, int32_t *token, float *value, struct error *err)
{
    char *end;
    errno = 0;
    long id = strtol(text, &end, 10);
    if (end == text || *end != '=' || errno || id < 0 || id > INT32_MAX)
        return error_set(err, ERR_USAGE, "--logit-bias: '%s' is not ID=X", text);
    char *number = end + 1;
    float bias = strtof(number, &end);
    if (end == number || *end || isnan(bias))
        return error_set(err, ERR_USAGE, "--logit-bias: '%s' is not ID=X", text);
    *token = (int32_t)id;
    *value = bias;
    return true;
}

bool sampling_from(struct chat_sampling *out, const struct settings *s, struct arena *a,
                   struct error *err)
{
    chat_sampling_unset(out);
    out->temperature = s->temperature;
    out->top_k = s->top_k;
    out->top_p = s->top_p;
    out->min_p = s->min_p;
    out->typical_p = s->typical_p;
    out->repetition_penalty = s->repetition_penalty;
    out->presence_penalty = s->presence_penalty;
    out->frequency_penalty = s->frequency_penalty;
    out->seed = s->seed;
    out->n_choices = s->choices;
    out->n_logprobs = s->logprobs;
    struct slice *stops = arena_new(a, struct slice, s->stops.n);
    for (size_t i = 0; i < s->stops.n; i++) {
        stops[i] = slice_str(s->stops.items[i]);
        if (stops[i].len == 0)
            return error_set(err, ERR_USAGE, "--stop: the text is empty");
    }
    out->stops = stops;
    out->n_stops = s->stops.n;
    int32_t *tokens = arena_new(a, int32_t, s->biases.n);
    float *values = arena_new(a, float, s->biases.n);
    for (size_t i = 0; i < s->biases.n; i++)
        if (!read_bias(s->biases.items[i], &tokens[i], &values[i], err))
            return false;
    out->bias_tokens = tokens;
    out->bias_values = values;
    out->n_bias = s->biases.n;
    return true;
}
