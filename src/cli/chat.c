// chat.c - `hearth chat`: a conversation in the terminal, with history and /commands.
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/ending.h"
#include "cli/line_editor.h"
#include "cli/stack.h"
#include "cli/thoughts.h"
#include "gateway/gateway.h"

struct chat {
    const struct settings *s;
    struct stack stack;
    struct arena arena;  // all texts of the conversation
    struct chat_message *messages;
    size_t n_messages, capacity;
    struct ending ending;
    // the answer that is being made
    struct buf answer;  // without its thoughts
    struct thoughts thoughts;
    struct chat_usage usage;
    struct error error;
};

static const char help_text[] =
    "/help            this text\n"
    "/system TEXT     a new system message; the conversation starts over\n"
    "/reset           start over, keeping the system message\n"
    "/again           drop the last answer and make another\n"
    "/save FILE       write the conversation as JSON\n"
    "/exit            leave (also Ctrl-D)\n"
    "A line that ends with \\ goes on in the next. Ctrl-C stops an answer.\n";

static void add_message(struct chat *c, enum chat_role role, struct slice text)
{
    memory_grow(c->messages, c->capacity, c->n_messages + 1);
    struct slice kept = slice_of(arena_text(&c->arena, text), text.len);
    c->messages[c->n_messages++] = (struct chat_message){.role = role, .text = kept};
}

static void start_over(struct chat *c, const char *system)
{
    c->n_messages = 0;
    if (system && *system)
        add_message(c, ROLE_SYSTEM, slice_str(system));
}

static void on_event(void *self, const struct chat_event *e)
{
    struct chat *c = self;
    if (e->kind == CHAT_PROGRESS)
        progress_show(&c->stack.progress, "reading", (double)e->n_done, (double)e->n_total,
                      "tokens");
    else
        progress_clear(&c->stack.progress);
    thoughts_print(&c->thoughts, e);
    thoughts_miss(e);
    if (e->kind == CHAT_TEXT) {
        buf_slice(&c->answer, e->text);
    } else if (e->kind == CHAT_USAGE) {
        c->usage = e->usage;
    } else if (e->kind == CHAT_ERROR) {
        c->error = e->error;
    }
    if (e->kind == CHAT_DONE || e->kind == CHAT_ERROR)
        ending_set(&c->ending);
}

// Asks for an answer to the messages so far, prints it as it comes, and adds it. On an error the
// user's turn stays out, so that the conversation can go on.
static bool answer(struct chat *c, struct error *err)
{
    struct arena scratch = {0};
    struct chat_request request = {.input = INPUT_MESSAGES,
                                   .model = c->s->words_given.n ? c->s->words_given.items[0] : NULL,
                                   .messages = c->messages,
                                   .n_messages = c->n_messages,
                                   .max_tokens = c->s->max_new,
                                   .stream = true};
    struct chat_sink sink = {.push = on_event, .self = c};
    buf_clear(&c->answer);
    c->thoughts = (struct thoughts){0};
    c->error = (struct error){0};
    ending_init(&c->ending);
    interrupt_clear();
    struct gateway_answer *a = NULL;
    if (sampling_from(&request.sampling, c->s, &scratch, err))
        a = gateway_start(c->stack.gateway, &request, sink, err);
    if (a)
        ending_wait(&c->ending, a);
    gateway_answer_free(a);
    ending_release(&c->ending);
    arena_release(&scratch);
    if (!a)
        return false;
    bool stopped = interrupted();
    thoughts_end(&c->thoughts);
    interrupt_clear();
    (void)printf(stopped ? " [stopped]\n" : "\n");
    if (c->error.code && !stopped && c->error.code != ERR_CANCELLED) {
        *err = c->error;
        return false;
    }
    add_message(c, ROLE_ASSISTANT, buf_view(&c->answer));
    return true;
}

static void turn(struct chat *c)
{
    struct error err = {0};
    if (answer(c, &err))
        return;
    (void)fail(EXIT_FAILED, &err);
    if (c->n_messages && c->messages[c->n_messages - 1].role == ROLE_USER)
        c->n_messages--;
}

static void save(const struct chat *c, const char *path)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool", "developer"};
    json_t *list = json_array(), *whole = json_object();
    for (size_t i = 0; i < c->n_messages; i++) {
        json_t *m = json_object();
        struct slice text = c->messages[i].text;
        json_object_set_new(m, "role", json_string(roles[c->messages[i].role]));
        json_object_set_new(m, "content", json_stringn_nocheck(text.ptr, text.len));
        json_array_append_new(list, m);
    }
    json_object_set_new(whole, "messages", list);
    struct buf out = {0};
    json_write(&out, whole, JSON_STYLE_INDENTED);
    buf_char(&out, '\n');
    FILE *f = fopen(path, "we");
    bool ok = f && fwrite(out.ptr, 1, out.len, f) == out.len;
    ok = f && fclose(f) == 0 && ok;
    if (ok)
        (void)printf("saved %zu messages in %s\n", c->n_messages, path);
    else
        (void)fail_text(EXIT_FAILED, "write '%s': %s", path, strerror(errno));
    buf_release(&out);
    json_decref(whole);
}

static const char *system_text(const struct chat *c)
{
    return c->n_messages && c->messages[0].role == ROLE_SYSTEM ? c->messages[0].text.ptr : NULL;
}

// False when the user leaves.
static bool slash(struct chat *c, const char *line)
{
    const char *word = strchr(line, ' ');
    const char *rest = word ? word + strspn(word, " ") : "";
    size_t len = word ? (size_t)(word - line) : strlen(line);
    struct slice name = slice_of(line, len);
    if (slice_is(name, "/exit") || slice_is(name, "/quit") || slice_is(name, "/bye"))
        return false;
    if (slice_is(name, "/help")) {
        (void)fputs(help_text, stdout);
    } else if (slice_is(name, "/system")) {
        start_over(c, rest);
    } else if (slice_is(name, "/reset")) {
        start_over(c, system_text(c));
    } else if (slice_is(name, "/again")) {
        if (c->n_messages && c->messages[c->n_messages - 1].role == ROLE_ASSISTANT)
            c->n_messages--;
        if (c->n_messages && c->messages[c->n_messages - 1].role == ROLE_USER)
            turn(c);
    } else if (slice_is(name, "/save") && *rest) {
        save(c, rest);
    } else {
        (void)fail_text(EXIT_FAILED, "'%s' is no command here (see /help)", line);
    }
    return true;
}

// A whole message: lines that end with a backslash go on.
static enum line_result read_message(struct line_editor *e, struct buf *line, struct buf *message)
{
    enum line_result r;
    buf_clear(message);
    while ((r = line_editor_read(e, message->len ? ". " : "> ", line)) == LINE_READ) {
        bool more = line->len && line->ptr[line->len - 1] == '\\';
        buf_add(message, buf_text(line), line->len - (more ? 1 : 0));
        if (!more)
            break;
        buf_char(message, '\n');
    }
    return r;
}

static void converse(struct chat *c)
{
    struct line_editor *e = line_editor_open();
    struct buf line = {0}, message = {0};
    for (;;) {
        interrupt_clear();
        enum line_result r = read_message(e, &line, &message);
        if (r == LINE_END || (r == LINE_INTERRUPTED && !line_editor_is_terminal(e)))
            break;
        if (r == LINE_INTERRUPTED || message.len == 0)
            continue;
        if (message.ptr[0] == '/') {
            if (!slash(c, buf_text(&message)))
                break;
            continue;
        }
        add_message(c, ROLE_USER, buf_view(&message));
        turn(c);
        if (ferror(stdout))
            break;
    }
    if (line_editor_is_terminal(e))
        (void)putchar('\n');
    line_editor_close(e);
    buf_release(&line);
    buf_release(&message);
}

static int run(struct settings *s)
{
    struct chat c = {.s = s};
    struct error err = {0};
    struct model_info info;
    const char *model = s->words_given.n ? s->words_given.items[0] : NULL;
    int status = EXIT_DONE;
    interrupt_catch();
    if (stack_open(&c.stack, s, model, &err) &&
        gateway_describe(c.stack.gateway, model, &info, &err)) {
        progress_clear(&c.stack.progress);
        if (!s->quiet)
            (void)fprintf(stderr,
                          "%s (%s), context of %d tokens; /help for commands, Ctrl-D to leave\n",
                          info.name, info.description, info.context);
        start_over(&c, s->system);
        converse(&c);
    } else {
        status = fail_error(&err);
    }
    stack_close(&c.stack);
    buf_release(&c.answer);
    free(c.messages);
    arena_release(&c.arena);
    return status;
}

const struct command command_chat = {
    .name = "chat",
    .arguments = "[MODEL]",
    .summary = "a conversation in the terminal",
    .description = "Talks to a model, turn by turn. Lines can be edited and are remembered. Ctrl-C "
                   "stops the answer, "
                   "not the program; Ctrl-D leaves. Commands begin with a slash:\n\n"
                   "/help, /system TEXT, /reset, /again, /save FILE, /exit.\n\n"
                   "Where standard input is no terminal, every line is one message.",
    .options =
        "config offline max-tokens temperature top-k top-p min-p typical-p repetition-penalty "
        "presence-penalty "
        "frequency-penalty logit-bias seed stop ctx system threads pin isa kv quantize packed "
        "speculate draft",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};
