#include "summarize/summary_json.h"

#include "documents/document.h"
#include "summarize/summarize.h"

static json_t *plan_json(const struct summary *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "calls", json_integer(r->plan.calls));
    json_object_set_new(o, "levels", json_integer(r->plan.levels));
    json_object_set_new(o, "parts", json_integer(r->plan.parts));
    return o;
}

static json_t *cost_json(const struct summary *r)
{
    return r->cost_picousd < 0 ? json_null() : json_real((double)r->cost_picousd / 1e12);
}

json_t *summary_plan_json(const struct summary *r)
{
    json_t *o = json_object(), *e = json_object(), *list = json_array();
    json_object_set_new(e, "model", json_string(r->model));
    json_object_set_new(e, "calls", json_integer(r->plan.calls));
    json_object_set_new(e, "prompt_tokens", json_integer(r->plan.prompt_tokens));
    json_object_set_new(e, "completion_tokens", json_integer(r->plan.completion_tokens));
    json_object_set_new(e, "cost_usd", cost_json(r));
    json_object_set_new(e, "seconds", json_null());
    json_array_append_new(list, e);
    json_object_set_new(o, "plan", plan_json(r));
    json_object_set_new(o, "estimates", list);
    return o;
}

static json_t *sentences_json(const struct summary *r, struct document *const *documents)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_sentences; i++) {
        const struct summary_sentence *s = &r->sentences[i];
        json_t *o = json_object(), *sources = json_array();
        for (size_t k = 0; k < s->n_sources; k++) {
            json_t *from = json_object();
            json_object_set_new(from, "document",
                                json_string(documents[s->sources[k].document]->path));
            json_object_set_new(from, "start", json_integer((json_int_t)s->sources[k].start));
            json_object_set_new(from, "end", json_integer((json_int_t)s->sources[k].end));
            json_object_set_new(from, "page", json_null());
            json_array_append_new(sources, from);
        }
        json_object_set_new(o, "text", json_stringn_nocheck(s->text.ptr, s->text.len));
        json_object_set_new(o, "sources", sources);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *coverage_json(const struct summary *r)
{
    json_t *o = json_object(), *skipped = json_array();
    for (size_t i = 0; i < r->coverage.n_skipped; i++) {
        json_t *s = json_object();
        json_object_set_new(s, "part", json_string(r->coverage.skipped[i].where));
        json_object_set_new(s, "why", json_string(r->coverage.skipped[i].why));
        json_array_append_new(skipped, s);
    }
    json_object_set_new(o, "parts", json_integer(r->coverage.parts));
    json_object_set_new(o, "used", json_integer(r->coverage.used));
    json_object_set_new(o, "skipped", skipped);
    return o;
}

json_t *summary_json(const struct summary *r, struct document *const *documents)
{
    json_t *o = json_object(), *list = json_array(), *usage = json_object();
    for (size_t i = 0; i < r->n_documents; i++) {
        json_t *d = json_object();
        json_object_set_new(d, "path", json_string(documents[i]->path));
        json_object_set_new(d, "tokens", json_integer(r->documents[i].tokens));
        json_object_set_new(d, "characters", json_integer((json_int_t)documents[i]->n_characters));
        json_array_append_new(list, d);
    }
    json_object_set_new(usage, "prompt_tokens", json_integer(r->prompt_tokens));
    json_object_set_new(usage, "completion_tokens", json_integer(r->completion_tokens));
    json_object_set_new(usage, "drafted_tokens", json_integer(r->drafted_tokens));
    json_object_set_new(usage, "accepted_tokens", json_integer(r->accepted_tokens));
    json_object_set_new(o, "summary", json_string(r->text));
    json_object_set_new(o, "model", json_string(r->model));
    json_object_set_new(o, "documents", list);
    json_object_set_new(o, "plan", plan_json(r));
    json_object_set_new(o, "sentences", sentences_json(r, documents));
    json_object_set_new(o, "mended", json_integer(r->mended));
    json_object_set_new(o, "coverage", coverage_json(r));
    json_object_set_new(o, "usage", usage);
    json_object_set_new(o, "cost_usd", cost_json(r));
    json_object_set_new(o, "bytes_sent", json_integer(r->bytes_sent));
    json_object_set_new(o, "seconds", json_real(r->seconds));
    json_object_set_new(o, "first_token_s",
                        r->first_token_s < 0 ? json_null() : json_real(r->first_token_s));
    return o;
}
