// client_read.c - what the clients share to read an answer.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "dialects/client_impl.h"

enum { END_WORD_MAX = 64, CHOICES_MAX = 4096, EMBEDDING_MAX = 1 << 20 };

void client_answer_begin(struct client_answer *a, const struct chat_request *req)
{
    int n = req->sampling.n_choices;
    a->req = req;
    a->n_choices = n > 1 ? (size_t)n : 1;
    if (a->n_choices > CHOICES_MAX)
        a->n_choices = CHOICES_MAX;
    if (req->input == INPUT_EMBED)
        a->n_choices = req->n_inputs;
    a->choices = memory_array(struct client_choice, a->n_choices);
}

void client_answer_release(struct client_answer *a)
{
    for (size_t i = 0; a->choices && i < a->n_choices; i++) {
        free((char *)a->choices[i].stop.ptr);
        free(a->choices[i].end_word);
        free(a->choices[i].end_text);
    }
    free(a->choices);
    *a = (struct client_answer){0};
}

struct client_choice *client_choice_of(struct client_answer *a, int64_t index)
{
    if (index < 0 || (uint64_t)index >= a->n_choices)
        return NULL;
    a->choices[index].seen = true;
    return &a->choices[index];
}

void client_push_text(struct chat_sink *sink, enum chat_event_kind kind, int choice,
                      struct slice text)
{
    if (text.len)
        sink->push(sink->self, &(struct chat_event){.kind = kind, .choice = choice, .text = text});
}

static uint64_t made_up(struct client_answer *a, int choice, struct slice answer_id)
{
    uint64_t seed = hash_mix((uint64_t)choice << 32 | (unsigned)a->choices[choice].n_calls);
    if (answer_id.len)
        return hash_bytes(answer_id.ptr, answer_id.len, seed);
    return hash_mix(seed ^ (uint64_t)clock_ns());
}

void client_push_call(struct client_answer *a, struct chat_sink *sink, int choice, struct slice id,
                      struct slice name, struct slice answer_id)
{
    struct buf made = {0}, name_text = {0};
    if (id.len)
        buf_slice(&made, id);
    else
        buf_printf(&made, "call_%016" PRIx64, made_up(a, choice, answer_id));
    buf_slice(&name_text, name);
    sink->push(sink->self, &(struct chat_event){.kind = CHAT_TOOL_CALL,
                                                .choice = choice,
                                                .tool_id = buf_text(&made),
                                                .tool_name = buf_text(&name_text),
                                                .tool_index = a->choices[choice].n_calls});
    a->choices[choice].n_calls++;
    buf_release(&made);
    buf_release(&name_text);
}

void client_push_arguments(struct client_answer *a, struct chat_sink *sink, int choice,
                           struct slice text)
{
    if (text.len && a->choices[choice].n_calls > 0)
        sink->push(sink->self, &(struct chat_event){.kind = CHAT_TOOL_ARGUMENTS,
                                                    .choice = choice,
                                                    .text = text,
                                                    .tool_index = a->choices[choice].n_calls - 1});
}

void client_keep_end(struct client_choice *c, const char *vendor, struct slice word,
                     struct slice text)
{
    if (word.len == 0 || word.len > END_WORD_MAX)
        return;
    free(c->end_word);
    free(c->end_text);
    c->end_vendor = vendor;
    c->end_word = memory_text_n(word.ptr, word.len);
    c->end_text = memory_text_n(text.ptr, text.len);
}

void client_push_media(struct chat_sink *sink, int choice, struct slice type, struct slice base64,
                       const char *vendor, const json_t *more)
{
    struct buf text = {0};
    if (more)
        json_write(&text, more, JSON_STYLE_COMPACT);
    sink->push(sink->self, &(struct chat_event){.kind = CHAT_MEDIA,
                                                .choice = choice,
                                                .media_type = type,
                                                .media = base64,
                                                .blob_vendor = more ? vendor : NULL,
                                                .blob = buf_view(&text)});
    buf_release(&text);
}

void client_push_blob(struct chat_sink *sink, int choice, const char *vendor, const json_t *value)
{
    struct buf text = {0};
    json_write(&text, value, JSON_STYLE_COMPACT);
    sink->push(sink->self, &(struct chat_event){.kind = CHAT_BLOB,
                                                .choice = choice,
                                                .blob_vendor = vendor,
                                                .blob = buf_view(&text)});
    buf_release(&text);
}

// A choice that ended in calls ends with CHAT_TOOL_CALLS, whatever word the vendor has for it.
static enum chat_finish finish_of(const struct client_choice *c)
{
    enum chat_finish f = c->finish == CHAT_NOT_FINISHED ? CHAT_STOP : c->finish;
    return f == CHAT_STOP && c->n_calls > 0 ? CHAT_TOOL_CALLS : f;
}

bool client_has_choice(const struct client_answer *a)
{
    bool any = false;
    for (size_t i = 0; i < a->n_choices && !any; i++)
        any = a->choices[i].seen;
    return any;
}

bool client_all_finished(const struct client_answer *a)
{
    bool all = client_has_choice(a);
    for (size_t i = 0; i < a->n_choices && all; i++)
        all = !a->choices[i].seen || a->choices[i].finish != CHAT_NOT_FINISHED;
    return all;
}

// A vendor may give fewer choices than it was asked for: then those are the answer.
void client_push_end(struct client_answer *a, struct chat_sink *sink)
{
    bool any = client_has_choice(a);
    if (a->told)
        return;
    a->told = true;
    for (size_t i = 0; i < a->n_choices; i++) {
        const struct client_choice *c = &a->choices[i];
        if (any && !c->seen)
            continue;
        sink->push(sink->self, &(struct chat_event){.kind = CHAT_FINISH,
                                                    .choice = (int)i,
                                                    .finish = finish_of(c),
                                                    .stop = c->stop,
                                                    .end_vendor = c->end_vendor,
                                                    .end_word = slice_str(c->end_word),
                                                    .end_text = slice_str(c->end_text)});
    }
    if (a->has_usage)
        sink->push(sink->self, &(struct chat_event){.kind = CHAT_USAGE, .usage = a->usage});
}

bool client_cut(struct client_answer *a, struct chat_sink *sink, struct error *err)
{
    if (a->has_usage && !a->told)
        sink->push(sink->self, &(struct chat_event){.kind = CHAT_USAGE, .usage = a->usage});
    a->told = true;
    return error_set(err, ERR_UPSTREAM, "the vendor's answer was cut");
}

int64_t client_count(const json_t *o, const char *key)
{
    int64_t n = 0;
    return json_get_i64(o, key, &n) && n >= 0 && n <= INT64_C(1) << 40 ? n : 0;
}

int64_t client_tokens(const json_t *o, const char *key)
{
    int64_t n = 0;
    const json_t *value = json_object_get(o, key);
    if (!value || json_is_null(value))
        return 0;
    return json_get_i64(o, key, &n) && n >= 0 && n <= INT64_C(1) << 40 ? n : -1;
}

int64_t client_tokens_sum(int64_t a, int64_t b)
{
    return a < 0 || b < 0 ? -1 : a + b;
}

struct slice client_text(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? json_slice(v) : slice_str("");
}

bool client_malformed(struct error *err, const char *what)
{
    return error_set(err, ERR_UPSTREAM, "the vendor's answer is malformed: %s", what);
}

json_t *client_parse(struct slice text, struct error *err)
{
    struct error why = {0};
    json_t *value = json_parse(text, &why);
    if (json_is_object(value))
        return value;
    (void)client_malformed(err, value ? "it is no object" : why.text);
    json_decref(value);
    return NULL;
}

// Vendors' numbers are of length 1, but for those that were cut to fewer dimensions.
static void normalize(float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    if (!(sum > 0) || fabs(sum - 1) < 1e-3)
        return;
    double scale = 1 / sqrt(sum);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)((double)v[i] * scale);
}

static float *numbers_of_base64(const json_t *text, size_t *n)
{
    struct buf bytes = {0};
    float *v = NULL;
    if (base64_decode(&bytes, json_slice(text)) && bytes.len % 4 == 0 && bytes.len > 0) {
        *n = bytes.len / 4;
        v = memory_array(float, *n);
        for (size_t i = 0; i < *n; i++) {
            uint32_t bits = 0;
            for (int k = 3; k >= 0; k--)
                bits = bits << 8 | (unsigned char)bytes.ptr[i * 4 + (size_t)k];
            memcpy(&v[i], &bits, sizeof bits);
        }
    }
    buf_release(&bytes);
    return v;
}

static float *numbers_of(const json_t *values, size_t *n)
{
    *n = json_array_size(values);
    if (json_is_string(values))
        return numbers_of_base64(values, n);
    if (*n == 0 || *n > EMBEDDING_MAX)
        return NULL;
    float *v = memory_array(float, *n);
    for (size_t i = 0; i < *n; i++)
        v[i] = (float)json_number_value(json_array_get(values, i));
    return v;
}

bool client_push_embedding(struct chat_sink *sink, int choice, const json_t *values,
                           struct error *err)
{
    size_t n = 0;
    float *v = numbers_of(values, &n);
    bool finite = v != NULL;
    for (size_t i = 0; finite && i < n; i++)
        finite = isfinite(v[i]);
    if (finite) {
        normalize(v, n);
        sink->push(sink->self,
                   &(struct chat_event){
                       .kind = CHAT_EMBEDDING, .choice = choice, .embedding = v, .n_embedding = n});
    }
    free(v);
    return finite || client_malformed(err, "an embedding is no list of numbers");
}
