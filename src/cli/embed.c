// embed.c - `hearth embed`: texts as vectors.
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/ending.h"
#include "cli/stack.h"
#include "gateway/gateway.h"

enum { TEXT_MAX_BYTES = 256 << 20, LINES_AT_ONCE = 256 };

struct embed {
    struct settings *s;
    struct stack stack;
    struct ending ending;
    // The texts of one request.
    struct chat_embed_input inputs[LINES_AT_ONCE];
    size_t n_inputs;
    float *vectors[LINES_AT_ONCE];
    size_t n_dims;
    int64_t prompt_tokens;
    struct error error;
};

static void on_event(void *self, const struct chat_event *e)
{
    struct embed *m = self;
    if (e->kind == CHAT_EMBEDDING && (size_t)e->choice < m->n_inputs) {
        m->n_dims = e->n_embedding;
        m->vectors[e->choice] = memory_array(float, e->n_embedding + 1);
        memcpy(m->vectors[e->choice], e->embedding, e->n_embedding * sizeof *e->embedding);
    } else if (e->kind == CHAT_USAGE) {
        m->prompt_tokens = e->usage.prompt_tokens;
    } else if (e->kind == CHAT_ERROR) {
        m->error = e->error;
    }
    if (e->kind == CHAT_DONE || e->kind == CHAT_ERROR)
        ending_set(&m->ending);
}

static void forget_vectors(struct embed *m)
{
    for (size_t i = 0; i < m->n_inputs; i++) {
        free(m->vectors[i]);
        m->vectors[i] = NULL;
    }
    m->n_inputs = 0;
}

// The vectors of all inputs. False with err.
static bool ask(struct embed *m, struct error *err)
{
    struct chat_request q = {.input = INPUT_EMBED,
                             .model = m->s->words_given.items[0],
                             .inputs = m->inputs,
                             .n_inputs = m->n_inputs};
    chat_sampling_unset(&q.sampling);
    m->error = (struct error){0};
    ending_init(&m->ending);
    struct gateway_answer *a =
        gateway_start(m->stack.gateway, &q, (struct chat_sink){.push = on_event, .self = m}, err);
    progress_clear(&m->stack.progress);
    if (a)
        ending_wait(&m->ending, a);
    gateway_answer_free(a);
    ending_release(&m->ending);
    if (!a)
        return false;
    if (interrupted())
        return error_set(err, ERR_CANCELLED, "interrupted");
    if (m->error.code)
        *err = m->error;
    return !m->error.code;
}

static void write_vector(const struct embed *m, size_t i, const char *between, struct buf *out)
{
    for (size_t k = 0; k < m->n_dims; k++)
        buf_printf(out, "%s%.9g", k ? between : "", (double)m->vectors[i][k]);
}

static void print_one(const struct embed *m)
{
    struct buf out = {0};
    if (m->s->json) {
        buf_text_add(&out, "{\"model\": ");
        json_write_text(&out, slice_str(m->s->words_given.items[0]));
        buf_text_add(&out, ", \"embedding\": [");
        write_vector(m, 0, ", ", &out);
        buf_printf(&out, "], \"usage\": {\"prompt_tokens\": %" PRId64 "}}", m->prompt_tokens);
    } else {
        write_vector(m, 0, " ", &out);
    }
    (void)puts(buf_text(&out));
    buf_release(&out);
}

static bool embed_text(struct embed *m, struct error *err)
{
    const struct text_list *words = &m->s->words_given;
    const char *given = words->n > 1 ? words->items[1] : "-";
    struct buf input = {0};
    bool ok = true;
    m->inputs[0] = (struct chat_embed_input){.text = slice_str(given)};
    m->n_inputs = 1;
    if (strcmp(given, "-") == 0) {
        ok = file_read("-", TEXT_MAX_BYTES, &input, err);
        m->inputs[0].text = buf_view(&input);
    }
    if (ok)
        ok = ask(m, err);
    if (ok)
        print_one(m);
    forget_vectors(m);
    buf_release(&input);
    return ok;
}

// Embeds and prints what was collected.
static bool flush_lines(struct embed *m, struct error *err)
{
    struct buf out = {0};
    bool ok = m->n_inputs == 0 || ask(m, err);
    for (size_t i = 0; ok && i < m->n_inputs; i++) {
        buf_char(&out, '[');
        write_vector(m, i, ",", &out);
        buf_text_add(&out, "]\n");
    }
    if (out.len)
        (void)fwrite(out.ptr, 1, out.len, stdout);
    buf_release(&out);
    forget_vectors(m);
    return ok;
}

static bool add_line(struct embed *m, const json_t *value, struct error *err)
{
    if (!json_is_string(value))
        return value ? error_set(err, ERR_FORMAT, "not a JSON string") : false;
    m->inputs[m->n_inputs++] = (struct chat_embed_input){.text = json_slice(value)};
    return m->n_inputs < LINES_AT_ONCE || flush_lines(m, err);
}

// One JSON string a line in, one JSON array a line out.
static bool embed_lines(struct embed *m, struct error *err)
{
    json_t *kept = json_array();
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    bool ok = true;
    for (size_t number = 1; ok && (len = getline(&line, &capacity, stdin)) >= 0; number++) {
        json_t *value = json_parse(slice_of(line, (size_t)len), err);
        if (value)
            json_array_append_new(kept, value);
        ok = add_line(m, value, err) || error_wrap(err, "standard input, line %zu", number);
        if (m->n_inputs == 0)
            json_array_clear(kept);
    }
    ok = ok && flush_lines(m, err);
    forget_vectors(m);
    free(line);
    json_decref(kept);
    return ok;
}

static int run(struct settings *s)
{
    struct embed *m = memory_array(struct embed, 1);
    struct error err = {0};
    m->s = s;
    interrupt_catch();
    bool ok = stack_open(&m->stack, s, s->words_given.items[0], &err) &&
              (s->batch_lines ? embed_lines(m, &err) : embed_text(m, &err));
    progress_clear(&m->stack.progress);
    stack_close(&m->stack);
    free(m);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_embed = {
    .name = "embed",
    .arguments = "MODEL [TEXT|-]",
    .summary = "a text as a vector",
    .description =
        "Prints a text's embedding: the numbers of a vector of length 1 on one line, so that the "
        "product of two texts' vectors says how alike they are. Without TEXT, or with -, standard "
        "input is read. With --batch, standard input has one JSON string a line, and one JSON "
        "array a line comes out.\n\n"
        "The vector is made from the hidden states after the last layer: of the last token, of the "
        "first one (cls), or their mean. Models trained for embeddings say which in their files; "
        "others get the mean. Whether two texts that mean the same come out alike is a matter of "
        "the model's training.",
    .options = "config offline pooling json batch threads pin ctx isa kv quantize packed",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
