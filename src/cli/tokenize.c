// tokenize.c - `hearth tokenize` and `hearth detokenize`: text to ids and back.
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "cli/commands.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/tokenizer.h"
#include "providers/model_ref.h"

enum { TEXT_MAX_BYTES = 1 << 30 };

struct opened {
    struct model_file *file;
    struct tokenizer *tokenizer;
};

static void opened_release(struct opened *o)
{
    tokenizer_close(o->tokenizer);
    model_file_close(o->file);
}

static bool opened_init(struct opened *o, const char *reference, struct error *err)
{
    char path[MODEL_REF_BYTES];
    *o = (struct opened){0};
    if (!model_ref_path(reference, path, err))
        return false;
    o->file = model_file_open(path, MODEL_NO_WEIGHTS, err);
    o->tokenizer = o->file ? tokenizer_open(o->file, err) : NULL;
    if (!o->tokenizer)
        opened_release(o);
    return o->tokenizer != NULL;
}

static void print_ids(const struct tokens *ids, bool json)
{
    struct buf out = {0};
    if (json)
        buf_char(&out, '[');
    for (size_t i = 0; i < ids->n; i++)
        buf_printf(&out, "%s%d", i == 0 ? "" : json ? "," : " ", ids->ids[i]);
    buf_text_add(&out, json ? "]\n" : "\n");
    (void)fwrite(out.ptr, 1, out.len, stdout);
    buf_release(&out);
}

static unsigned encode_flags(const struct settings *s)
{
    return s->no_special ? TOKENIZE_PLAIN : TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL;
}

// One JSON string a line in, one JSON array a line out.
static bool tokenize_lines(const struct tokenizer *t, const struct settings *s, struct error *err)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    bool ok = true;
    for (size_t number = 1; ok && (len = getline(&line, &capacity, stdin)) >= 0; number++) {
        json_t *value = json_parse(slice_of(line, (size_t)len), err);
        struct tokens ids = {0};
        ok = json_is_string(value);
        if (!ok && value)
            error_set(err, ERR_FORMAT, "not a JSON string");
        ok = ok && tokenizer_encode(t, json_slice(value), encode_flags(s), &ids, err);
        if (ok)
            print_ids(&ids, true);
        else
            error_wrap(err, "standard input, line %zu", number);
        tokens_release(&ids);
        json_decref(value);
    }
    free(line);
    return ok;
}

static bool tokenize_text(const struct tokenizer *t, const struct settings *s, struct error *err)
{
    struct buf input = {0};
    struct tokens ids = {0};
    struct slice text;
    bool ok = true;
    const char *given = s->words_given.n > 1 ? s->words_given.items[1] : "-";
    if (strcmp(given, "-") == 0) {
        ok = file_read("-", TEXT_MAX_BYTES, &input, err);
        text = buf_view(&input);
    } else {
        text = slice_str(given);
    }
    ok = ok && tokenizer_encode(t, text, encode_flags(s), &ids, err);
    if (ok)
        print_ids(&ids, s->json);
    tokens_release(&ids);
    buf_release(&input);
    return ok;
}

static int run_tokenize(struct settings *s)
{
    struct opened o;
    struct error err = {0};
    if (!opened_init(&o, s->words_given.items[0], &err))
        return fail_error(&err);
    bool ok =
        s->batch_lines ? tokenize_lines(o.tokenizer, s, &err) : tokenize_text(o.tokenizer, s, &err);
    opened_release(&o);
    return ok ? EXIT_DONE : fail_error(&err);
}

static bool parse_id(const char *word, int32_t *id, struct error *err)
{
    char *end;
    errno = 0;
    long value = strtol(word, &end, 10);
    if (end == word || *end || errno || value < 0 || value > INT32_MAX)
        return error_set(err, ERR_USAGE, "'%s' is not a token id", word);
    *id = (int32_t)value;
    return true;
}

static int run_detokenize(struct settings *s)
{
    struct opened o;
    struct error err = {0};
    if (!opened_init(&o, s->words_given.items[0], &err))
        return fail_error(&err);
    struct tokens ids = {0};
    struct buf text = {0};
    bool ok = true;
    for (size_t i = 1; ok && i < s->words_given.n; i++) {
        int32_t id = 0;
        ok = parse_id(s->words_given.items[i], &id, &err);
        tokens_add(&ids, id);
    }
    ok = ok && tokenizer_decode(o.tokenizer, ids.ids, ids.n, s->no_special, &text, &err);
    if (ok) {
        (void)fwrite(buf_text(&text), 1, text.len, stdout);
        (void)putchar('\n');
    }
    buf_release(&text);
    tokens_release(&ids);
    opened_release(&o);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_tokenize = {
    .name = "tokenize",
    .arguments = "MODEL [TEXT|-]",
    .summary = "text to token ids",
    .description =
        "Prints the ids of a text on one line, separated by spaces, exactly as the model's own "
        "tokenizer gives them. Without TEXT, or with -, standard input is read. A folder or GGUF "
        "without weights will do.",
    .options = "no-special json batch",
    .min_words = 1,
    .max_words = 2,
    .run = run_tokenize,
};

const struct command command_detokenize = {
    .name = "detokenize",
    .arguments = "MODEL ID...",
    .summary = "token ids to text",
    .description = "Prints the text of token ids. With --no-special, control tokens give no text.",
    .options = "no-special",
    .min_words = 1,
    .max_words = -1,
    .run = run_detokenize,
};
