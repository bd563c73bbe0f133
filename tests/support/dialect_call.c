#include "dialect_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"

void dialect_case_begin(struct dialect_case *d, const char *method, const char *path,
                        const char *json)
{
    const struct dialect_route *route;
    struct http_request in = {0};
    bool other;
    *d = (struct dialect_case){0};
    const char *query = strchr(path, '?');
    char *alone =
        arena_text(&d->arena, slice_of(path, query ? (size_t)(query - path) : strlen(path)));
    d->dialect = dialect_find(method, alone, &route, &in.matched, &other);
    assert_non_null(d->dialect);
    in.query = slice_str(query ? query + 1 : "");
    d->body = json_parse(slice_str(json), NULL);
    assert_non_null(d->body);
    in.body = d->body;
    dialect_call_init(&d->call, &d->arena);
    d->call.id = "ID";
    d->call.created = 1000;
    d->call.model = "m";
    d->call.state = arena_alloc(&d->arena, 1, d->dialect->state_size);
    d->read = d->dialect->read_request(&in, &d->call, &d->err);
    const struct chat_request *q = &d->call.request;
    size_t n = q->sampling.n_choices > 0 ? (size_t)q->sampling.n_choices : 1;
    dialect_answer_init(&d->answer, n * (q->n_prompts > 1 ? q->n_prompts : 1),
                        q->sampling.n_logprobs >= 0 || q->score_prompt);
}

void dialect_case_read(struct dialect_case *d, const char *path, const char *json)
{
    dialect_case_begin(d, "POST", path, json);
    if (!d->read)
        print_error("%s: %s\n", json, d->err.text);
    assert_true(d->read);
}

void dialect_case_end(struct dialect_case *d)
{
    dialect_call_release(&d->call);
    dialect_answer_release(&d->answer);
    json_decref(d->body);
    buf_release(&d->out);
    arena_release(&d->arena);
}

const char *dialect_case_messages(struct dialect_case *d)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool", "developer"};
    json_t *list = json_array();
    for (size_t i = 0; i < d->call.request.n_messages; i++) {
        const struct chat_message *m = &d->call.request.messages[i];
        if (m->raw)
            json_array_append(list, (json_t *)m->raw);
        else
            json_array_append_new(list, json_pack("{s:s,s:s%}", "role", roles[m->role], "content",
                                                  m->text.ptr, m->text.len));
    }
    buf_clear(&d->out);
    json_write(&d->out, list, JSON_STYLE_COMPACT);
    json_decref(list);
    char *kept = arena_text(&d->arena, buf_view(&d->out));
    buf_clear(&d->out);
    return kept;
}

void dialect_case_event(struct dialect_case *d, const struct chat_event *e)
{
    if (d->call.request.stream)
        d->dialect->write_event(&d->call, e, &d->out);
    else
        dialect_answer_add(&d->answer, e);
}

const char *dialect_case_finish(struct dialect_case *d, enum chat_finish finish, const char *stop)
{
    struct chat_event e = {.kind = CHAT_FINISH, .finish = finish, .stop = slice_str(stop)};
    for (size_t i = 0; i < d->answer.n_choices; i++) {
        e.choice = (int)i;
        dialect_case_event(d, &e);
    }
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_USAGE,
                                               .usage = {.prompt_tokens = 10,
                                                         .cached_tokens = 4,
                                                         .completion_tokens = 7,
                                                         .reasoning_tokens = 2}});
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_DONE});
    if (!d->call.request.stream)
        d->dialect->write_response(&d->call, &d->answer, &d->out);
    return buf_text(&d->out);
}
