// run.c - `hearth run`: one prompt, one or several answers, as text or as one JSON value.
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mapping.h"
#include "cli/commands.h"
#include "cli/constraint.h"
#include "cli/ending.h"
#include "cli/run_result.h"
#include "cli/stack.h"
#include "cli/thoughts.h"
#include "gateway/gateway.h"

enum { PROMPT_MAX_BYTES = 256 << 20, DEFAULT_NEW_TOKENS = 256 };

struct run {
    const struct settings *s;
    struct stack stack;
    struct gateway_answer *answer;
    struct run_result result;
    struct ending ending;
    struct thoughts thoughts;
    bool streaming;  // text goes out as it comes: one choice, no --json
};

static void on_event(void *self, const struct chat_event *e)
{
    struct run *r = self;
    if (e->kind == CHAT_PROGRESS)
        progress_show(&r->stack.progress, "reading the prompt", (double)e->n_done,
                      (double)e->n_total, "tokens");
    else
        progress_clear(&r->stack.progress);
    if (r->streaming)
        thoughts_print(&r->thoughts, e);
    thoughts_miss(e);
    run_result_add(&r->result, e);
    if (e->kind == CHAT_DONE || e->kind == CHAT_ERROR)
        ending_set(&r->ending);
}

static bool read_prompt(const struct settings *s, struct buf *input, struct slice *prompt,
                        struct error *err)
{
    const char *given = s->words_given.n > 1 ? s->words_given.items[1] : NULL;
    if (given && strcmp(given, "-") != 0) {
        *prompt = slice_str(given);
        return true;
    }
    if (!given && isatty(STDIN_FILENO))
        return error_set(err, ERR_USAGE,
                         "no prompt: hearth run MODEL PROMPT (or `hearth chat` to talk)");
    if (!file_read("-", PROMPT_MAX_BYTES, input, err))
        return false;
    *prompt = buf_view(input);
    return true;
}

// The request's messages live in the arena.
static void make_request(struct chat_request *q, const struct settings *s, struct slice prompt,
                         struct arena *a)
{
    struct chat_message *messages = arena_new(a, struct chat_message, 2);
    q->model = s->words_given.items[0];
    q->max_tokens = s->max_new >= 0 ? s->max_new : DEFAULT_NEW_TOKENS;
    q->stream = true;
    if (s->raw) {
        q->input = INPUT_TEXT;
        q->text = prompt;
        return;
    }
    q->input = INPUT_MESSAGES;
    if (s->system)
        messages[q->n_messages++] =
            (struct chat_message){.role = ROLE_SYSTEM, .text = slice_str(s->system)};
    messages[q->n_messages++] = (struct chat_message){.role = ROLE_USER, .text = prompt};
    q->messages = messages;
}

static void end_stream(struct run *r)
{
    thoughts_end(&r->thoughts);
    (void)putchar('\n');
}

static int print_result(struct run *r)
{
    if (r->s->json)
        run_result_print_json(&r->result, r->s->words_given.items[0], r->s->logprobs >= 0);
    else if (!r->streaming)
        run_result_print_texts(&r->result);
    else
        end_stream(r);
    (void)fflush(stdout);
    if (!r->result.error.code && run_result_delivered(&r->result) < r->s->choices)
        (void)fprintf(stderr, "fewer answers came than were asked for: %d of %d\n",
                      run_result_delivered(&r->result), r->s->choices);
    if (r->s->verbose)
        (void)fprintf(stderr,
                      "speculation: %" PRId64 " tokens guessed ahead, %" PRId64 " rightly\n",
                      r->result.usage.drafted_tokens, r->result.usage.accepted_tokens);
    if (r->result.error.code == ERR_CANCELLED || interrupted())
        return fail_text(EXIT_INTERRUPTED, "interrupted");
    return r->result.error.code ? fail_error(&r->result.error) : EXIT_DONE;
}

static int run_command(struct settings *s)
{
    struct run r = {.s = s, .streaming = !s->json && s->choices == 1};
    struct arena arena = {0};
    struct buf input = {0};
    struct error err = {0};
    struct chat_request request = {0};
    struct constraint_source constraint = {0};
    struct slice prompt = {0};
    int status;
    ending_init(&r.ending);
    bool ok = read_prompt(s, &input, &prompt, &err) &&
              sampling_from(&request.sampling, s, &arena, &err) &&
              constraint_from(&request.constraint, s, &constraint, &err) &&
              stack_open(&r.stack, s, s->words_given.items[0], &err);
    if (ok) {
        make_request(&request, s, prompt, &arena);
        struct model_info info;
        double started = clock_s();
        interrupt_catch();
        run_result_init(&r.result, s->choices);
        ok = gateway_describe(r.stack.gateway, request.model, &info, &err);  // loads the model
        r.result.load_s = clock_s() - started;
        progress_clear(&r.stack.progress);
    }
    if (ok) {
        struct chat_sink sink = {.push = on_event, .self = &r};
        r.answer = gateway_start(r.stack.gateway, &request, sink, &err);
        ok = r.answer != NULL;
    }
    if (ok) {
        ending_wait(&r.ending, r.answer);
        status = print_result(&r);
    } else {
        status = fail_error(&err);
    }
    gateway_answer_free(r.answer);
    run_result_release(&r.result);
    stack_close(&r.stack);
    ending_release(&r.ending);
    buf_release(&input);
    constraint_source_release(&constraint);
    arena_release(&arena);
    return status;
}

const struct command command_run = {
    .name = "run",
    .arguments = "MODEL [PROMPT|-]",
    .summary = "one prompt, one answer",
    .description =
        "Prints the model's answer to a prompt, and nothing else, as it is made. The "
        "model's chat template is "
        "applied unless --raw. Without PROMPT, or with -, standard input is read.\n\n"
        "Sampling follows the model's generation_config.json where an option is not "
        "given, else temperature 0.8 "
        "and top-p 0.95. Where a vendor gives fewer answers than --num-return-sequences asks for, "
        "those are printed, and standard error says how many came. With --json, token ids, finish "
        "reason, usage and timings are "
        "printed as one value; "
        "`-n 0 --logprobs K` reports the K likeliest tokens after the prompt.\n\n"
        "Tokens are guessed ahead where it pays, from what stood before or by a "
        "smaller model with the same tokenizer (--draft), and verified: the answer is "
        "the same as without, bit for bit. --speculate N always guesses N tokens where "
        "there is anything to guess from; --verbose says how many were right.\n\n"
        "With --schema, --grammar or --regex the answer is a text of that form and nothing "
        "else: tokens that do not fit are never drawn. One that --max-tokens cuts is "
        "the beginning of such a text. What cannot be followed is an error that names "
        "it.\n\n"
        "Large models are packed for this machine at their first start, into files in "
        "$HEARTH_HOME/packed, else $XDG_CACHE_HOME/hearth/packed, else "
        "~/.cache/hearth/packed, so that later starts take a fraction of the time. "
        "The files may be removed at any time; --packed says how much room they may "
        "take together (auto: a quarter of what the disk has free), or off.",
    .options =
        "config offline max-tokens temperature top-k top-p min-p typical-p repetition-penalty "
        "presence-penalty "
        "frequency-penalty logit-bias seed stop ctx raw system json logprobs num-return-sequences "
        "threads pin isa kv quantize packed speculate draft schema grammar regex",
    .min_words = 1,
    .max_words = 2,
    .run = run_command,
};
