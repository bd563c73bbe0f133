// options.c - the option table; command line and environment; each value checked against its row.
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "cli/option_table.h"

#define FIELD(f)                                                                                   \
    .type = _Generic(((struct settings *)0)->f,                                                    \
                     bool                                                                          \
                     : OPT_BOOL, int                                                               \
                     : OPT_INT, int64_t                                                            \
                     : OPT_INT64, float                                                            \
                     : OPT_FLOAT, const char *                                                     \
                     : OPT_TEXT, struct text_list                                                  \
                     : OPT_LIST),                                                                  \
    .offset = offsetof(struct settings, f)

static const struct option option_rows[] = {
    {"model", 'm', "MODEL", "GGUF file, Hugging Face folder, or a name of `hearth list`",
     FIELD(models)},
    {"threads", 't', "N", "threads to compute with (default: one for each fast core it may use)",
     FIELD(threads), .min = 1, .max = 1024},
    {"pin", 0, "HOW",
     "CPUs that threads keep to: auto (fast cores and near memory), cores (each its own), off",
     FIELD(pin)},
    {"ctx", 0, "N", "tokens of context per sequence (default: the model's own; perplexity: 512)",
     FIELD(ctx), .min = 16, .max = 1 << 24},
    {"isa", 0, "NAME",
     "force an instruction set: scalar, avx2, avx2_vnni, avx512, avx512_vnni, amx_int8, neon, "
     "neon_dotprod or neon_i8mm (default: the best this CPU has)",
     FIELD(isa)},
    {"quantize", 0, "TYPE",
     "round weights to TYPE while they load, as `hearth quantize` would: q4_k_m, q8_0 ...",
     FIELD(quantize)},
    {"packed", 0, "GB",
     "disk space for packed weights of large models, which load faster next time: auto, off, or "
     "gigabytes",
     FIELD(packed)},
    {"speculate", 0, "WHEN",
     "guess tokens ahead, which changes the speed and never the text: auto (where it pays), off, "
     "or "
     "how many at a time",
     FIELD(speculate)},
    {"draft", 0, "MODEL", "a smaller model with the same tokenizer that guesses tokens ahead",
     FIELD(draft)},
    {"kv", 0, "TYPE", "type of keys and values in memory: f32, f16 (usual), q8_0 or q4_0",
     FIELD(kv)},
    {"max-tokens", 'n', "N", "at most so many new tokens (default 256; bench: 64)", FIELD(max_new),
     .min = 0, .max = 1 << 24},
    {"temperature", 0, "T", "0 always takes the likeliest token", FIELD(temperature), .min = 0,
     .max = 100},
    {"top-k", 0, "K", "draw from the K likeliest tokens; 0: all", FIELD(top_k), .min = 0,
     .max = 1 << 24},
    {"top-p", 0, "P", "draw from the likeliest tokens that together have probability P",
     FIELD(top_p), .min = 0, .max = 1},
    {"min-p", 0, "P", "drop tokens less likely than P times the likeliest", FIELD(min_p), .min = 0,
     .max = 1},
    {"typical-p", 0, "P", "locally typical sampling", FIELD(typical_p), .min = 0, .max = 1},
    {"repetition-penalty", 0, "X", "above 1 makes tokens seen before less likely",
     FIELD(repetition_penalty), .min = 0.01, .max = 100},
    {"presence-penalty", 0, "X", "subtracted once for tokens generated before",
     FIELD(presence_penalty), .min = -100, .max = 100},
    {"frequency-penalty", 0, "X", "subtracted for each time a token was generated",
     FIELD(frequency_penalty), .min = -100, .max = 100},
    {"logit-bias", 0, "ID=X", "adds X to a token's logit; may be repeated", FIELD(biases)},
    {"seed", 0, "S", "the same seed gives the same text (default: from the clock)", FIELD(seed),
     .min = 0, .max = 9e15},
    {"stop", 0, "TEXT", "stop before this text; may be repeated", FIELD(stops)},
    {"num-return-sequences", 0, "N", "so many answers to one prompt", FIELD(choices), .min = 1,
     .max = 64},
    {"logprobs", 0, "K", "log probabilities of each token and the K likeliest (with --json)",
     FIELD(logprobs), .min = 0, .max = 1000},
    {"raw", 0, NULL, "no chat template: continue the text as it is", FIELD(raw)},
    {"system", 0, "TEXT", "a system message before the prompt", FIELD(system)},
    {"schema", 0, "FILE", "the answer is JSON that satisfies this JSON Schema", FIELD(schema)},
    {"grammar", 0, "FILE", "the answer is a text of this grammar (GBNF, as llama.cpp writes it)",
     FIELD(grammar)},
    {"regex", 0, "TEXT", "the answer is a text that this regular expression matches as a whole",
     FIELD(regex)},
    {"words", 0, "N", "length of the summary (default 150)", FIELD(words), .min = 5, .max = 100000},
    {"style", 0, "STYLE", "paragraph, bullets or outline", FIELD(style)},
    {"ask", 0, "TEXT", "a question that the summary should answer", FIELD(ask)},
    {"language", 0, "L", "language of the summary", FIELD(language)},
    {"dry-run", 0, NULL, "print the plan, do nothing", FIELD(dry_run)},
    {"config", 0, "FILE",
     "the configuration: routes, vendors, rules (default: hearth.yaml in $HEARTH_HOME, else in "
     "$XDG_CONFIG_HOME/hearth)",
     FIELD(config)},
    {"ledger", 0, "WHERE",
     "keys and usage: sqlite (ledger.db in Hearth's data folder), sqlite:FILE or postgresql://...",
     FIELD(ledger)},
    {"allow-vendors", 0, NULL,
     "vendors' models may be named without a route, while there are no keys", FIELD(allow_vendors)},
    {"metrics-open", 0, NULL, "/metrics needs no key", FIELD(metrics_open)},
    {"offline", 0, NULL, "refuse any model that is not on this machine", FIELD(offline)},
    {"no-special", 0, NULL, "add no special tokens, and read none in the text", FIELD(no_special)},
    {"batch", 0, NULL, "standard input has one JSON string a line; one JSON array a line comes out",
     FIELD(batch_lines)},
    {"no-generation-prompt", 0, NULL, "do not open the assistant's turn",
     FIELD(no_generation_prompt)},
    {"template", 0, "FILE", "use this chat template", FIELD(template_path)},
    {"type", 0, "TYPE", "as GGUF files are named: q4_k_m, q6_k, q8_0, f16 ...", FIELD(type)},
    {"calibration", 0, "FILE", "a text that shows which weights matter", FIELD(calibration)},
    {"save-logits", 0, "FILE", "save the log probabilities, to compare with later",
     FIELD(save_logits)},
    {"against", 0, "FILE", "compare with saved log probabilities", FIELD(against)},
    {"prompt", 'p', "N,N", "tokens of the prompts that are timed (default 512; 0: none)",
     FIELD(prompt_sizes)},
    {"depth", 'd', "N", "tokens already in the context when decoding is timed", FIELD(depth),
     .min = 0, .max = 1 << 20},
    {"sequences", 0, "N,N", "batch sizes to time (default 8; 0: none)", FIELD(batch_sizes)},
    {"repeats", 'r', "N", "how often each is timed; medians are printed (default 3)",
     FIELD(repeats), .min = 1, .max = 1000},
    {"watts", 0, "W", "what the machine draws while it computes (default: measured, else assumed)",
     FIELD(watts)},
    {"idle-watts", 0, "W", "what it draws while it waits (default: as while it computes)",
     FIELD(idle_watts)},
    {"kwh", 0, "USD", "the price of a kilowatt-hour (default 0.15)", FIELD(kwh)},
    {"hardware", 0, "USD", "what the machine cost (default 1000)", FIELD(hardware)},
    {"years", 0, "Y", "years that it is used (default 4)", FIELD(years)},
    {"hourly", 0, "USD", "the price of an hour of a rented machine, with its power", FIELD(hourly)},
    {"utilization", 0, "U", "the part of all hours that it computes, from 0 to 1 (default 0.25)",
     FIELD(utilization)},
    {"rivals", 0, "VENDOR/MODEL",
     "compare with this vendor's model; may be repeated (default: the cheapest of OpenAI, "
     "Anthropic and Google)",
     FIELD(rivals)},
    {"input-share", 0, "U", "the part of all tokens that is read, not written (default 0.8)",
     FIELD(input_share)},
    {"prefill", 0, "N", "tokens a second that it reads; with --decode, nothing is measured",
     FIELD(prefill_speed)},
    {"decode", 0, "N", "tokens a second that it writes, of all texts together",
     FIELD(decode_speed)},
    {"svg", 0, "FILE", "draw the costs of a month over its tokens (- is standard output)",
     FIELD(svg)},
    {"parallel", 0, NULL, "ask all models at once", FIELD(parallel)},
    {"revision", 0, "REV", "a branch, tag or commit of the repository (default main)",
     FIELD(revision)},
    {"name", 0, "NAME", "call it so (a model's default: the repository's own name)", FIELD(name)},
    {"connections", 0, "N", "fetch over so many connections at once (default 4)",
     FIELD(connections), .min = 1, .max = 16},
    {"host", 0, "ADDRESS",
     "address to listen on (default 127.0.0.1; others than this machine's own need keys)",
     FIELD(host)},
    {"port", 0, "N", "port to listen on (default 8080; 0: any that is free)", FIELD(port), .min = 0,
     .max = 65535},
    {"timeout", 0, "S",
     "seconds that a client may take to send a request, or to take what is ready for it (default "
     "60)",
     FIELD(timeout), .min = 1, .max = 86400},
    {"deadline", 0, "S",
     "seconds that an answer may take in all, with its time in the queue (default 3600)",
     FIELD(deadline), .min = 1, .max = 604800},
    {"queue-max", 0, "N",
     "requests of a model that may wait for their turn; more are refused (default 8192)",
     FIELD(queue_max), .min = 1, .max = 1000000},
    {"models-memory", 0, "BYTES",
     "memory for all loaded models with their keys and values (default: nine tenths of what is "
     "free "
     "at the start)",
     FIELD(models_memory), .min = 1, .max = 9e15},
    {"load-wait", 0, "S",
     "seconds that a request may wait for its model to be loaded (default 120)", FIELD(load_wait),
     .min = 1, .max = 86400},
    {"drain", 0, "S", "seconds that running answers may still take at the end (default 30)",
     FIELD(drain), .min = 0, .max = 86400},
    {"tls-cert", 0, "FILE", "serve https with this certificate (PEM, with its chain)",
     FIELD(tls_cert)},
    {"tls-key", 0, "FILE", "the certificate's private key (PEM)", FIELD(tls_key)},
    {"tool-format", 0, "NAME",
     "how the models write calls of tools, if not as their chat templates show: hermes, qwen-xml, "
     "glm, mistral, deepseek, kimi, llama, list, cohere, harmony, gemma, gemma4, json or plain",
     FIELD(tool_format)},
    {"pooling", 0, "HOW",
     "how embeddings are made of hidden states: auto (as the model's files say, else the mean), "
     "mean, cls (the first token's) or last",
     FIELD(pooling)},
    {"max-seqs", 0, "N", "texts that are written at once; more wait (default 64)", FIELD(max_seqs),
     .min = 1, .max = 4096},
    {"owner", 0, "TEXT", "whose key it is", FIELD(owner)},
    {"expires", 0, "D",
     "when a key ends: 2026-12-31 (at its beginning, UTC), 30d, 12h (default: never)",
     FIELD(expires)},
    {"models", 0, "M,...", "models that a key may ask for, '*' in them for anything (default: all)",
     FIELD(key_models)},
    {"budget", 0, "USD", "what a key may spend in all", FIELD(budget)},
    {"budget-day", 0, "USD", "what a key may spend on a day (UTC)", FIELD(budget_day)},
    {"budget-month", 0, "USD", "what a key may spend in a month (UTC)", FIELD(budget_month)},
    {"rpm", 0, "N", "requests a minute (default: no bound)", FIELD(requests_per_minute), .min = 1,
     .max = 1e9},
    {"tpm", 0, "N", "tokens a minute (default: no bound)", FIELD(tokens_per_minute), .min = 1,
     .max = 1e12},
    {"concurrency", 0, "N", "requests at once (default: no bound)", FIELD(concurrency), .min = 1,
     .max = 1000000},
    {"priority", 0, "N",
     "who goes first at a local model: -100 to 100, higher before lower (default: 0)",
     FIELD(priority), .min = -100, .max = 100},
    {"weight", 0, "N", "share of a local model beside other keys of its priority (default: 1)",
     FIELD(weight), .min = 1, .max = 1000},
    {"share-prefixes", 0, NULL,
     "what local models keep of its prompts serves other keys with this mark too: they could tell "
     "from the time taken that somebody sent the same",
     FIELD(share_prefixes)},
    {"local-only", 0, NULL, "no byte of its requests leaves this machine", FIELD(local_only)},
    {"admin", 0, NULL, "it may also ask for /admin/", FIELD(admin)},
    {"by", 0, "WHAT", "a line for each key, model (usual), day, provider or request", FIELD(by)},
    {"since", 0, "D", "from 2026-11-01 (UTC) on, or 30d, 12h before now (default: ever)",
     FIELD(since)},
    {"until", 0, "D", "to the end of 2026-11-30 (UTC), or 30d, 12h before now (default: now)",
     FIELD(until)},
    {"key", 0, "ID", "only what this key used", FIELD(key)},
    {"csv", 0, NULL, "print comma-separated values with a heading", FIELD(csv)},
    {"json", 0, NULL, "print exactly one JSON value", FIELD(json)},
    {"verbose", 'v', NULL, "say more on standard error", FIELD(verbose)},
    {"quiet", 'q', NULL, "no progress, only errors", FIELD(quiet)},
    {"help", 'h', NULL, "this text", FIELD(help)},
};

const struct option *option_table(size_t *n)
{
    *n = sizeof option_rows / sizeof *option_rows;
    return option_rows;
}

// Options that every command takes.
static const char always[] = "verbose quiet help";

static bool listed(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = names; (p = strstr(p, name)); p += len)
        if ((p == names || p[-1] == ' ') && (p[len] == 0 || p[len] == ' '))
            return true;
    return false;
}

bool option_applies(const struct option *o, const struct command *c)
{
    return listed(always, o->name) || listed(c->options, o->name);
}

const char *option_name(const struct option *o, const struct command *c)
{
    // In `bench`, --batch takes sizes; in `tokenize` it is a switch. One word, two rows. So with
    // --against, which in `perplexity` is a file.
    if (strcmp(o->name, "sequences") == 0 && !listed(c->options, "batch"))
        return "batch";
    return strcmp(o->name, "rivals") == 0 && !listed(c->options, "against") ? "against" : o->name;
}

void settings_init(struct settings *s)
{
    *s = (struct settings){
        .temperature = NAN,
        .top_p = NAN,
        .min_p = NAN,
        .typical_p = NAN,
        .repetition_penalty = NAN,
        .presence_penalty = NAN,
        .frequency_penalty = NAN,
        .top_k = -1,
        .max_new = -1,
        .choices = 1,
        .logprobs = -1,
        .seed = -1,
        .words = 150,
        .style = "paragraph",
        .prompt_sizes = "512",
        .repeats = 3,
        .batch_sizes = "8",
        .port = -1,
        .timeout = 60,
        .drain = 30,
        .deadline = 3600,
        .load_wait = 120,
        .by = "model",
    };
}

static void list_add(struct text_list *l, const char *text)
{
    memory_grow(l->items, l->capacity, l->n + 1);
    l->items[l->n++] = text;
}

void settings_release(struct settings *s)
{
    free(s->models.items);
    free(s->stops.items);
    free(s->biases.items);
    free(s->rivals.items);
    free(s->words_given.items);
}

static bool set_number(struct settings *s, const struct option *o, const char *shown,
                       const char *text, struct error *err)
{
    char *end;
    errno = 0;
    void *field = (char *)s + o->offset;
    double value;
    if (o->type == OPT_FLOAT) {
        value = strtod(text, &end);
        if (end == text || *end || !isfinite(value))
            return error_set(err, ERR_USAGE, "%s: '%s' is not a number", shown, text);
    } else {
        long long whole = strtoll(text, &end, 10);
        if (end == text || *end || errno)
            return error_set(err, ERR_USAGE, "%s: '%s' is not a whole number", shown, text);
        value = (double)whole;
    }
    if (value < o->min || value > o->max)
        return error_set(err, ERR_USAGE, "%s: %s is not between %.10g and %.10g", shown, text,
                         o->min, o->max);
    if (o->type == OPT_FLOAT)
        *(float *)field = (float)value;
    else if (o->type == OPT_INT64)
        *(int64_t *)field = (int64_t)value;
    else
        *(int *)field = (int)value;
    return true;
}

static bool set_option(struct settings *s, const struct option *o, const char *shown,
                       const char *text, struct error *err)
{
    void *field = (char *)s + o->offset;
    switch (o->type) {
    case OPT_BOOL: *(bool *)field = true; return true;
    case OPT_TEXT: *(const char **)field = text; return true;
    case OPT_LIST: list_add(field, text); return true;
    case OPT_INT:
    case OPT_INT64:
    case OPT_FLOAT: return set_number(s, o, shown, text, err);
    }
    return false;
}

// HEARTH_TOP_K for --top-k. A switch is on for 1, true, yes.
static bool read_environment(struct settings *s, const struct command *c, struct error *err)
{
    size_t n;
    const struct option *rows = option_table(&n);
    for (size_t i = 0; i < n; i++) {
        const struct option *o = &rows[i];
        char name[64] = "HEARTH_";
        size_t at = strlen(name);
        for (const char *p = o->name; *p && at + 1 < sizeof name; p++)
            name[at++] = *p == '-' ? '_' : (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
        const char *value = getenv(name);
        // A list adds up on the command line, so a variable is only its default (see HEARTH_MODEL).
        if (!value || !*value || o->type == OPT_LIST || !option_applies(o, c) ||
            strcmp(o->name, "help") == 0)
            continue;
        bool on =
            strcmp(value, "1") == 0 || strcmp(value, "true") == 0 || strcmp(value, "yes") == 0;
        if (o->type == OPT_BOOL && !on)
            continue;
        if (!set_option(s, o, name, value, err))
            return false;
    }
    return true;
}

static const struct option *find_long(const struct command *c, const char *name, size_t len)
{
    size_t n;
    const struct option *rows = option_table(&n);
    for (size_t i = 0; i < n; i++) {
        const char *shown = option_name(&rows[i], c);
        if (option_applies(&rows[i], c) && strlen(shown) == len && memcmp(shown, name, len) == 0)
            return &rows[i];
    }
    return NULL;
}

static const struct option *find_short(const struct command *c, char letter)
{
    size_t n;
    const struct option *rows = option_table(&n);
    for (size_t i = 0; i < n; i++)
        if (letter && rows[i].letter == letter && option_applies(&rows[i], c))
            return &rows[i];
    return NULL;
}

// One argument that starts with '-': --name, --name=value, -n, -nVALUE. *used counts a value taken
// from the next argument.
static bool read_option(struct settings *s, const struct command *c, const char *arg,
                        const char *next, int *used, struct error *err)
{
    const struct option *o;
    const char *value = NULL;
    char shown[80];
    if (arg[1] == '-') {
        const char *equals = strchr(arg, '=');
        size_t len = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
        o = find_long(c, arg + 2, len);
        value = equals ? equals + 1 : NULL;
        (void)snprintf(shown, sizeof shown, "%.*s", (int)len + 2, arg);
    } else {
        o = find_short(c, arg[1]);
        value = arg[2] ? arg + 2 : NULL;
        (void)snprintf(shown, sizeof shown, "%.2s", arg);
    }
    if (!o)
        return error_set(err, ERR_USAGE, "there is no option %s (see `hearth %s --help`)", shown,
                         c->name);
    if (o->type == OPT_BOOL && value)
        return error_set(err, ERR_USAGE, "%s takes no value", shown);
    if (o->type != OPT_BOOL && !value) {
        if (!next)
            return error_set(err, ERR_USAGE, "%s needs a value (%s)", shown, o->argument);
        value = next;
        *used = 1;
    }
    return set_option(s, o, shown, value, err);
}

bool settings_read(struct settings *s, const struct command *c, int argc, char **argv,
                   struct error *err)
{
    bool only_words = false;
    if (!read_environment(s, c, err))
        return false;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        int used = 0;
        if (!only_words && strcmp(arg, "--") == 0)
            only_words = true;
        else if (only_words || arg[0] != '-' || arg[1] == 0)
            list_add(&s->words_given, arg);
        else if (!read_option(s, c, arg, i + 1 < argc ? argv[i + 1] : NULL, &used, err))
            return false;
        i += used;
    }
    if (s->help)
        return true;
    int n = (int)s->words_given.n;
    if (n < c->min_words)
        return error_set(err, ERR_USAGE, "something is missing: hearth %s %s", c->name,
                         c->arguments);
    if (c->max_words >= 0 && n > c->max_words)
        return error_set(err, ERR_USAGE, "'%s' is one argument too many: hearth %s %s",
                         s->words_given.items[c->max_words], c->name, c->arguments);
    return true;
}
