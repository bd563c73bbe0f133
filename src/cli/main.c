// main.c - finds the command, reads its settings, runs it. What a command builds it releases.
#include <errno.h>
#include <locale.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"

// One a line.
// clang-format off
const struct command *const commands[] = {
    &command_summarize,  &command_compare,
    &command_run,        &command_chat,
    &command_serve,      &command_keys,
    &command_usage,      &command_show,
    &command_fit,        &command_pull,
    &command_list,       &command_rm,
    &command_tokenize,   &command_detokenize,
    &command_render,     &command_embed,
    &command_quantize,   &command_bench,
    &command_perplexity, &command_cost,
    &command_prices,     NULL,
};
// clang-format on

static const char *current = "";  // the running command's name, for messages
static atomic_int n_interrupts;   // lock-free, as handlers need; any thread may run one
static atomic_bool catches_all, reload_asked;
static sem_t interrupt_came;  // if so

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    if (++n_interrupts > 1)
        _exit(EXIT_INTERRUPTED);
    if (catches_all)
        (void)sem_post(&interrupt_came);
}

static void on_hangup(int signal_number)
{
    (void)signal_number;
    reload_asked = true;
    (void)sem_post(&interrupt_came);
}

bool interrupted(void)
{
    return n_interrupts > 0;
}

void interrupt_clear(void)
{
    n_interrupts = 0;
}

void interrupt_catch(void)
{
    struct sigaction a = {.sa_handler = on_interrupt};  // no SA_RESTART: reads wake up
    sigemptyset(&a.sa_mask);
    (void)sigaction(SIGINT, &a, NULL);
}

void interrupt_catch_all(void)
{
    struct sigaction a = {.sa_handler = on_interrupt};
    sigemptyset(&a.sa_mask);
    (void)sem_init(&interrupt_came, 0, 0);
    catches_all = true;
    (void)sigaction(SIGINT, &a, NULL);
    (void)sigaction(SIGTERM, &a, NULL);
    a.sa_handler = on_hangup;
    (void)sigaction(SIGHUP, &a, NULL);
}

bool interrupt_wait(void)
{
    while (!interrupted() && !reload_asked)
        (void)sem_wait(&interrupt_came);  // again if another signal woke it
    return !interrupted() && atomic_exchange(&reload_asked, false);
}

int fail_text(enum exit_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "hearth%s%s: %s\n", *current ? " " : "", current, text);
    return (int)status;
}

int fail(enum exit_status status, const struct error *err)
{
    return fail_text(status, "%s", err->text);
}

int fail_error(const struct error *err)
{
    if (err->code == ERR_CANCELLED)
        return fail_text(EXIT_INTERRUPTED, "interrupted");
    return fail(err->code == ERR_USAGE ? EXIT_WRONG_USAGE : EXIT_FAILED, err);
}

int finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return fail_text(EXIT_FAILED, "standard output: %s", strerror(errno));
}

static int help(int argc, char **argv)
{
    const struct command *c = argc > 1 ? command_find(argv[argc - 1]) : NULL;
    if (argc > 1 && strcmp(argv[1], "--completion") == 0)
        print_completion(stdout);
    else if (argc > 1 && strcmp(argv[1], "--man") == 0)
        print_manual(stdout, c);
    else if (argc > 1 && strcmp(argv[1], "--commands") == 0)
        print_commands(stdout);
    else if (argc > 1 && !c)
        return fail_text(EXIT_WRONG_USAGE, "there is no command '%s' (see `hearth help`)", argv[1]);
    else if (c)
        print_help(stdout, c);
    else
        print_overview(stdout);
    return finish_output(EXIT_DONE);
}

int main(int argc, char **argv)
{
    memory_heed_limit();
    (void)setlocale(LC_CTYPE, "");
    (void)signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error, told like any other
    (void)signal(SIGXFSZ, SIG_IGN);  // and so is a file that may not grow
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_WRONG_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        (void)printf("hearth %s\n", HEARTH_VERSION);
        return finish_output(EXIT_DONE);
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc - 1, argv + 1);
    const struct command *c = command_find(argv[1]);
    if (!c)
        return fail_text(EXIT_WRONG_USAGE, "there is no command '%s' (see `hearth help`)", argv[1]);
    current = c->name;
    struct settings s;
    struct error err = {0};
    settings_init(&s);
    int status;
    if (!settings_read(&s, c, argc - 2, argv + 2, &err)) {
        status = fail(EXIT_WRONG_USAGE, &err);
    } else if (s.help) {
        print_help(stdout, c);
        status = finish_output(EXIT_DONE);
    } else {
        log_set_level(s.quiet ? LOG_ERROR : s.verbose ? LOG_DEBUG : LOG_WARN);
        status = finish_output(c->run(&s));
    }
    settings_release(&s);
    return status;
}
