#include "fake_provider.h"

#include "base/memory.h"

enum { TEMPLATE_TOKENS = 6, RUN_BYTES = 8 };

struct answer {
    struct fake_provider *f;
    struct buf prompt;
    int max_tokens, n;
    struct chat_sink sink;
    pthread_t thread;
    bool joined;
    bool cancelled;  // these two under the provider's lock
    int n_resumed;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

int64_t fake_tokens(struct slice s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.len;) {
        size_t run = 0;
        while (i + run < s.len && is_letter(s.ptr[i + run]))
            run++;
        n += run ? (int64_t)((run + RUN_BYTES - 1) / RUN_BYTES) : s.ptr[i] > ' ';
        i += run ? run : 1;
    }
    return n;
}

// Tokens of a message with what the template puts around it and into it.
static int64_t message_tokens(const struct fake_provider *f, struct slice text)
{
    int64_t stops = 0;
    for (size_t i = 0; i < text.len; i++)
        stops += text.ptr[i] == '.';
    return fake_tokens(text) + TEMPLATE_TOKENS + stops * f->per_stop;
}

static void request_text(const struct chat_request *r, struct buf *out)
{
    if (r->input == INPUT_TEXT)
        buf_slice(out, r->text);
    for (size_t i = 0; i < r->n_messages && r->input == INPUT_MESSAGES; i++)
        buf_slice(out, r->messages[i].text);
}

static bool describe(struct provider *p, const char *model, struct model_info *out,
                     struct error *err)
{
    if (model && strcmp(model, "nobody") == 0)
        return error_set(err, ERR_NOT_FOUND, "model 'nobody': unknown");
    *out = (struct model_info){.context = ((struct fake_provider *)p)->context, .local = true};
    (void)snprintf(out->name, sizeof out->name, "fake");
    return true;
}

static bool is_ready(struct provider *p, const char *model, bool has_waited)
{
    (void)p;
    (void)model;
    (void)has_waited;
    return true;
}

static bool count(struct provider *p, const struct chat_request *r, int64_t *n, bool *exact,
                  struct error *err)
{
    const struct fake_provider *f = (const struct fake_provider *)p;
    struct buf text = {0};
    (void)err;
    request_text(r, &text);
    *n = r->input == INPUT_MESSAGES ? message_tokens(f, buf_view(&text))
                                    : fake_tokens(buf_view(&text));
    *exact = true;
    buf_release(&text);
    return true;
}

// The beginning of what follows "Text:" or "Summaries:", up to a full stop.
static void copy_opening(const struct answer *a, struct buf *out, enum chat_finish *finish)
{
    const char *text = strstr(buf_text(&a->prompt), "\n\nText:\n");
    const char *sums = strstr(buf_text(&a->prompt), "\n\nSummaries:\n");
    struct slice s = slice_str(text ? text + 8 : sums ? sums + 13 : "");
    int limit = a->f->words < a->max_tokens ? a->f->words : a->max_tokens;
    size_t end = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (fake_tokens(slice_of(s.ptr, i + 1)) > limit)
            break;
        if (s.ptr[i] == '.' || i + 1 == s.len)
            end = i + 1;
    }
    buf_add(out, s.ptr, end);
    if (end == 0)
        buf_text_add(out, "It goes on and on.");
    *finish = CHAT_STOP;
}

// Until the sink takes more, or the answer is cancelled.
static void wait_for_room(struct answer *a)
{
    bool full = a->sink.full != NULL;
    while (full) {
        pthread_mutex_lock(&a->f->lock);
        int n = a->n_resumed;
        full = !a->cancelled;
        pthread_mutex_unlock(&a->f->lock);
        full = full && a->sink.full(a->sink.self);
        pthread_mutex_lock(&a->f->lock);
        while (full && n == a->n_resumed && !a->cancelled)
            pthread_cond_wait(&a->f->changed, &a->f->lock);
        pthread_mutex_unlock(&a->f->lock);
    }
}

static void *answer_main(void *self)
{
    struct answer *a = self;
    struct buf text = {0};
    struct chat_event e = {.kind = CHAT_TEXT};
    enum chat_finish finish = CHAT_STOP;
    struct error err = {0};
    bool ok = true;
    if (a->f->reply)
        ok = a->f->reply(a->f->reply_self, a->n, buf_view(&a->prompt), a->max_tokens, &text,
                         &finish, &err);
    else
        copy_opening(a, &text, &finish);
    for (size_t i = 0; ok && i < text.len; i += 7) {  // in small pieces
        wait_for_room(a);
        e.text = slice_sub(buf_view(&text), i, 7);
        a->sink.push(a->sink.self, &e);
    }
    e = (struct chat_event){.kind = CHAT_FINISH, .finish = finish};
    if (ok)
        a->sink.push(a->sink.self, &e);
    e = (struct chat_event){.kind = CHAT_USAGE,
                            .usage = {.prompt_tokens = message_tokens(a->f, buf_view(&a->prompt)),
                                      .completion_tokens = fake_tokens(buf_view(&text))}};
    if (ok)
        a->sink.push(a->sink.self, &e);
    pthread_mutex_lock(&a->f->lock);
    a->f->n_running--;
    pthread_mutex_unlock(&a->f->lock);
    e = (struct chat_event){.kind = ok ? CHAT_DONE : CHAT_ERROR, .error = err};
    a->sink.push(a->sink.self, &e);
    buf_release(&text);
    if (a->sink.closed)
        a->sink.closed(a->sink.self);
    return NULL;
}

static struct answer *start(struct provider *p, const struct chat_request *r,
                            struct provider_flow flow, struct chat_sink sink, struct error *err)
{
    struct fake_provider *f = (struct fake_provider *)p;
    (void)flow;
    struct answer *a = memory_array(struct answer, 1);
    *a = (struct answer){.f = f, .sink = sink, .max_tokens = r->max_tokens};
    request_text(r, &a->prompt);
    pthread_mutex_lock(&f->lock);
    bool refused = f->refuse_first > 0;
    f->refuse_first -= refused;
    bool busy = f->most_allowed && f->n_running >= f->most_allowed;
    refused = refused || busy;
    a->n = f->n_started;
    if (!refused) {
        f->n_started++;
        f->n_running++;
        f->n_too_long += message_tokens(f, buf_view(&a->prompt)) + r->max_tokens > f->context;
        f->most_running = f->n_running > f->most_running ? f->n_running : f->most_running;
        buf_slice(&f->prompts, buf_view(&a->prompt));
        buf_text_add(&f->prompts, "\n%%\n");
    }
    pthread_mutex_unlock(&f->lock);
    if (refused) {
        buf_release(&a->prompt);
        free(a);
        (void)error_set(err, busy ? ERR_BUSY : ERR_LIMIT, "the queue is full");
        return NULL;
    }
    a->joined = f->inside_start || sink.closed;
    if (f->inside_start) {
        (void)answer_main(a);
        return a;
    }
    pthread_t thread;  // its answer may be over, and freed, before it is joined or detached
    if (!sink.closed && pthread_create(&a->thread, NULL, answer_main, a) != 0)
        abort();
    if (sink.closed && (pthread_create(&thread, NULL, answer_main, a) || pthread_detach(thread)))
        abort();
    return a;
}

static void wait_for(struct answer *a)
{
    if (!a->joined)
        (void)pthread_join(a->thread, NULL);
    a->joined = true;
}

static void cancel(struct answer *a)
{
    pthread_mutex_lock(&a->f->lock);
    a->cancelled = true;
    pthread_cond_broadcast(&a->f->changed);
    pthread_mutex_unlock(&a->f->lock);
}

static void resume(struct answer *a)
{
    pthread_mutex_lock(&a->f->lock);
    a->n_resumed++;
    pthread_cond_broadcast(&a->f->changed);
    pthread_mutex_unlock(&a->f->lock);
}

static void answer_free(struct answer *a)
{
    wait_for(a);
    buf_release(&a->prompt);
    free(a);
}

static void nothing(struct provider *p)
{
    (void)p;
}

static bool load(struct provider *p, size_t i, struct provider_load *out)
{
    (void)p, (void)i, (void)out;
    return false;  // nobody asks what it has to do
}

void fake_provider_init(struct fake_provider *f, int context)
{
    static const struct provider_ops ops = {.describe = describe,
                                            .start = start,
                                            .wait = wait_for,
                                            .cancel = cancel,
                                            .resume = resume,
                                            .answer_free = answer_free,
                                            .ready = is_ready,
                                            .count = count,
                                            .load = load,
                                            .free = nothing};
    *f = (struct fake_provider){.provider = {.ops = &ops}, .context = context, .words = 60};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
}

void fake_provider_release(struct fake_provider *f)
{
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
    buf_release(&f->prompts);
}
