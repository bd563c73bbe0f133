// command.h - what a command is, and the settings all of them share.
//
// A command is one file with one `const struct command`, listed in main.c. Settings come from one
// option table (options.c), which feeds the command line, HEARTH_ variables, --help, the manual
// pages and shell completion. Threads: everything here belongs to the main thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct text_list {
    const char **items;
    size_t n, capacity;
};

struct settings {
    // where and how to compute
    struct text_list models;  // -m, may be repeated
    int threads, ctx;
    const char *pin, *isa, *kv, *quantize, *packed, *speculate, *draft;
    // generation; NAN and -1 mean: the model's own default
    float temperature, top_p, min_p, typical_p;
    float repetition_penalty, presence_penalty, frequency_penalty;
    int top_k, max_new, choices, logprobs;
    int64_t seed;
    struct text_list stops, biases;
    bool raw;
    const char *system, *schema, *grammar, *regex;
    // summarize
    int words;
    const char *style, *ask, *language;
    bool dry_run, offline;
    const char *config;  // the configuration file; NULL: the default
    const char *ledger;  // NULL: as the configuration says
    // tokenize, render, quantize, bench, perplexity
    bool no_special, batch_lines, no_generation_prompt;
    const char *template_path, *type, *calibration, *save_logits, *against, *batch_sizes,
        *prompt_sizes;
    int repeats, depth;
    // cost, compare; amounts are decimals, read where they are used
    const char *watts, *idle_watts, *kwh, *hardware, *years, *hourly, *utilization;
    const char *input_share, *prefill_speed, *decode_speed, *svg;
    struct text_list rivals;
    bool parallel;
    // pull
    const char *revision, *name;
    int connections;
    // serve
    const char *host, *tool_format, *pooling, *tls_cert, *tls_key;
    int port, max_seqs, timeout, drain, deadline, queue_max, load_wait;
    int64_t models_memory;
    bool allow_vendors, metrics_open;
    // keys, usage
    const char *owner, *expires, *key_models, *budget, *budget_day, *budget_month;
    int64_t requests_per_minute, tokens_per_minute;
    int concurrency, priority, weight;
    bool share_prefixes;
    bool admin, local_only, csv;
    const char *by, *since, *until, *key;
    // everywhere
    bool json, verbose, quiet, help;
    // what is not an option
    struct text_list words_given;
};

struct command {
    const char *name;
    const char *arguments;     // "MODEL [PROMPT|-]"
    const char *summary;       // one line
    const char *description;   // a few paragraphs for --help and the manual page
    const char *options;       // names from the option table, separated by spaces
    int min_words, max_words;  // arguments that are no options; max -1: any number
    int (*run)(struct settings *s);
};
// The last -m, or NULL.
const char *model_option(const struct settings *s);

extern const struct command *const commands[];  // ends with NULL

// Prints "hearth COMMAND: text" on stderr and returns the status.
int fail(enum exit_status status, const struct error *err);
int fail_text(enum exit_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The same for a failed call: 130 for a cancelled one, 2 for a usage error, else 1.
int fail_error(const struct error *err);
// Ends standard output: a write error (full disk, closed pipe) is a failure of the command.
int finish_output(int status);

// Set by the first Ctrl-C; a second one ends the program at once.
bool interrupted(void);
void interrupt_clear(void);
void interrupt_catch(void);
void interrupt_catch_all(void);  // SIGTERM too
// With interrupt_catch_all: until the first of them (false), or a SIGHUP (true).
bool interrupt_wait(void);
