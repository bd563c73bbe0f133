#include "remote_help.h"

#include <assert.h>
#include <stdio.h>

#include "base/json.h"

struct words {
    bool ended;
};

static bool write_request(const struct chat_request *req, const char *model,
                          struct client_request *out, struct error *err)
{
    struct slice text = req->n_messages ? req->messages[0].text : slice_str("");
    if (slice_is(text, "impossible"))
        return error_set(err, ERR_UNSUPPORTED, "it has no word for this");
    buf_printf(&out->path, "/ask/%s", model);
    buf_text_add(&out->body, "{\"text\":");
    json_write_text(&out->body, text);
    buf_char(&out->body, '}');
    return true;
}

static void begin(void *state, const struct chat_request *req)
{
    (void)req;
    *(struct words *)state = (struct words){0};
}

static bool read_word(struct words *w, struct slice word, struct chat_sink *sink, struct error *err)
{
    struct chat_event e = {.kind = CHAT_TEXT};
    char text[64] = "";
    if (word.len < sizeof text)
        memcpy(text, word.ptr, word.len);
    if (slice_starts(word, slice_str("t:"))) {
        e.text = slice_sub(word, 2, word.len);
        sink->push(sink->self, &e);
    } else if (slice_is(word, "f")) {
        e = (struct chat_event){.kind = CHAT_FINISH, .finish = CHAT_STOP};
        sink->push(sink->self, &e);
    } else if (slice_starts(word, slice_str("u:"))) {
        long long prompt = 0, written = 0;
        (void)sscanf(text, "u:%lld,%lld", &prompt, &written);
        e = (struct chat_event){.kind = CHAT_USAGE};
        e.usage.prompt_tokens = prompt;
        e.usage.completion_tokens = written;
        sink->push(sink->self, &e);
    } else if (slice_is(word, "end")) {
        w->ended = true;
    } else if (slice_is(word, "e:busy")) {
        return error_set(err, ERR_BUSY, "too much to do");
    } else {
        return error_set(err, ERR_UPSTREAM, "not a word: '%.40s'", text);
    }
    return true;
}

static bool read_event(void *state, struct slice event, struct slice data, struct chat_sink *sink,
                       struct error *err)
{
    (void)event;
    return read_word(state, data, sink, err);
}

static bool end(void *state, struct chat_sink *sink, struct error *err)
{
    (void)sink;
    return ((struct words *)state)->ended || error_set(err, ERR_UPSTREAM, "the answer was cut");
}

static bool read_response(void *state, struct slice body, struct chat_sink *sink, struct error *err)
{
    while (body.len) {
        const char *lf = memchr(body.ptr, '\n', body.len);
        size_t n = lf ? (size_t)(lf - body.ptr) : body.len;
        if (!read_word(state, slice_sub(body, 0, n), sink, err))
            return false;
        body = slice_sub(body, n + 1, body.len);
    }
    return true;
}

static void read_error(int status, struct slice body, struct error *out, bool *worth_retrying)
{
    enum error_code code = status == 429                    ? ERR_RATE
                           : status == 503 || status == 529 ? ERR_BUSY
                           : status == 400                  ? ERR_USAGE
                           : status == 401                  ? ERR_KEY
                                                            : ERR_UPSTREAM;
    (void)error_set(out, code, "%d: %.*s", status, (int)(body.len < 100 ? body.len : 100),
                    body.ptr);
    *worth_retrying = !slice_is(body, "quota");
    if (slice_is(body, "later 1"))
        out->retry_after_s = 1;
}

const struct dialect_client client_of_words = {
    .name = "words",
    .base_url = "https://words.example",
    .key_header = "x-key",
    .key_prefix = "Bearer ",
    .headers = (const struct client_header[]){{"x-version", "1"}, {NULL, NULL}},
    .state_size = sizeof(struct words),
    .write_request = write_request,
    .begin = begin,
    .read_event = read_event,
    .end = end,
    .read_response = read_response,
    .read_error = read_error,
};

static void note(struct remote_log *l, const struct chat_event *e)
{
    switch (e->kind) {
    case CHAT_TEXT:
        buf_printf(&l->text, "text %.*s\n", (int)(e->text.len < 200 ? e->text.len : 200),
                   e->text.ptr);
        break;
    case CHAT_FINISH:
        buf_text_add(&l->text, e->finish == CHAT_CANCELLED ? "cancelled\n" : "finish\n");
        break;
    case CHAT_USAGE:
        l->usage = e->usage;
        buf_printf(&l->text, "usage %lld %lld%s\n", (long long)e->usage.prompt_tokens,
                   (long long)e->usage.completion_tokens, e->usage.estimated ? " about" : "");
        break;
    case CHAT_DONE: buf_text_add(&l->text, "done\n"); break;
    case CHAT_ERROR:
        l->error = e->error;
        l->usage = e->usage;
        buf_text_add(&l->text, "error\n");
        break;
    default: buf_text_add(&l->text, "?\n");
    }
}

static void push(void *self, const struct chat_event *e)
{
    struct remote_log *l = self;
    pthread_mutex_lock(&l->lock);
    note(l, e);
    l->n_events++;
    l->n_since++;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static bool full(void *self)
{
    struct remote_log *l = self;
    pthread_mutex_lock(&l->lock);
    bool is = l->fill && l->n_since >= l->fill;
    pthread_mutex_unlock(&l->lock);
    return is;
}

static void closed(void *self)
{
    struct remote_log *l = self;
    pthread_mutex_lock(&l->lock);
    l->closed = true;
    buf_text_add(&l->text, "closed\n");
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void remote_log_init(struct remote_log *l)
{
    memset(l, 0, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
}

void remote_log_release(struct remote_log *l)
{
    buf_release(&l->text);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
}

struct chat_sink remote_log_sink(struct remote_log *l)
{
    return (struct chat_sink){.push = push, .self = l, .full = full, .closed = closed};
}

void remote_log_empty(struct remote_log *l)
{
    pthread_mutex_lock(&l->lock);
    l->n_since = 0;
    pthread_mutex_unlock(&l->lock);
}

void remote_log_wait(struct remote_log *l)
{
    pthread_mutex_lock(&l->lock);
    while (!l->closed)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

void remote_log_wait_events(struct remote_log *l, int n)
{
    pthread_mutex_lock(&l->lock);
    while (l->n_events < n && !l->closed)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

void remote_ask_init(struct remote_ask *a, const char *text)
{
    *a = (struct remote_ask){.message = {.role = ROLE_USER, .text = slice_str(text)}};
    a->req = (struct chat_request){.input = INPUT_MESSAGES,
                                   .model = "m",
                                   .messages = &a->message,
                                   .n_messages = 1,
                                   .max_tokens = -1,
                                   .stream = true};
    chat_sampling_unset(&a->req.sampling);
}

struct remote_options remote_scene_options(void)
{
    return (struct remote_options){.name = "acme",
                                   .client = &client_of_words,
                                   .key = "sk-acme-0123456789",
                                   .first_s = 20,
                                   .between_s = 20,
                                   .retries = 0};
}

void remote_scene_open(struct remote_scene *s, bool (*serve)(void *self, struct script_talk *t),
                       void *self, const struct remote_options *with)
{
    struct error err = {0};
    struct remote_options o = *with;
    script_server_init(&s->server, serve, self);
    remote_ask_init(&s->ask, "how are you");
    o.base_url = s->server.url;
    s->all = remotes_new(&err);
    s->remote = provider_remote_new(s->all, &o, &err);
    assert(s->remote);
}

void remote_scene_close(struct remote_scene *s)
{
    s->remote->ops->free(s->remote);
    remotes_free(s->all);
    script_server_release(&s->server);
}

static struct answer *start(struct remote_scene *s, struct remote_log *log, bool stream,
                            struct error *err)
{
    struct chat_request req = s->ask.req;
    req.stream = stream;
    return s->remote->ops->start(s->remote, &req, (struct provider_flow){0}, remote_log_sink(log),
                                 err);
}

struct answer *remote_scene_start(struct remote_scene *s, struct remote_log *log, struct error *err)
{
    return start(s, log, true, err);
}

const char *remote_scene_answer(struct remote_scene *s, bool stream)
{
    struct error err = {0};
    remote_log_init(&s->log);
    struct answer *a = start(s, &s->log, stream, &err);
    if (!a) {
        s->log.error = err;
        return "not started";
    }
    remote_log_wait(&s->log);
    s->remote->ops->answer_free(a);
    return buf_text(&s->log.text);
}

static bool says_whole(struct script_talk *t)
{
    return script_begin(t, "text/event-stream") && script_chunk(t, REMOTE_WHOLE) && script_end(t);
}

bool remote_follow_plan(void *plan, struct script_talk *t)
{
    const struct remote_plan *p = plan;
    if (t->n >= p->n)
        return says_whole(t);
    if (p->status == 200)
        (void)(script_begin(t, "text/event-stream") && script_chunk(t, p->stream));
    else if (p->status)
        return script_answer(t, p->status, "application/json", p->fields ? p->fields : "",
                             p->body ? p->body : "");
    return false;
}
