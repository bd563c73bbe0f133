// fuzz_redact.c - any text, or any JSON as a message, redacted by fixed rules.
//
// What leaves must hold nothing that a second look finds, and a vendor that says it all again, cut
// anywhere, must give the client what it had written.
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "gateway/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static const struct redaction_rules *rules(void)
{
    static const char *words[] = {"Acme", "Acme Corporation", "\"q\"", "\n\n", "WHO", "é"};
    static const struct config_redaction list[] = {
        {.name = "email", .pattern = "[\\w.+-]+@[\\w-]+(\\.[\\w-]+)+"},
        {.name = "card-number", .pattern = "\\b\\d{4}(?: ?\\d{4}){3}\\b"},
        {.name = "after", .pattern = "(?<=id: )\\S+|x(?!y)z*"},
        {.name = "list", .words = words, .n_words = 6}};
    static struct redaction_rules *made;
    if (!made)
        check(redaction_rules_new(list, sizeof list / sizeof *list, &made, NULL, NULL));
    return made;
}

static void collect(void *self, const struct chat_event *e)
{
    buf_slice(self, e->text);
}

static void echo(struct redaction *r, enum chat_event_kind kind, struct slice text, uint64_t seed,
                 struct buf *out)
{
    struct chat_sink sink = {.push = collect, .self = out};
    for (size_t at = 0; at < text.len;) {
        struct slice piece = slice_sub(text, at, 1 + (seed = hash_mix(seed)) % 9);
        redaction_event(r, &(struct chat_event){.kind = kind, .text = piece}, &sink);
        at += piece.len;
    }
    redaction_event(r, &(struct chat_event){.kind = CHAT_DONE}, &sink);
}

static void try_text(struct slice text, uint64_t seed)
{
    struct arena arena = {0};
    struct redaction *r, *again;
    struct error err = {0};
    struct buf said = {0};
    struct chat_request in = {.text = text}, out, twice;
    if (redaction_begin(rules(), &in, &arena, &out, &r, &err)) {
        echo(r, CHAT_TEXT, out.text, seed, &said);
        check(slice_eq(buf_view(&said), text));
        check((redaction_n(r) > 0) == !slice_eq(text, out.text));
        in.text = out.text;
        check(redaction_begin(rules(), &in, &arena, &twice, &again, &err));
        buf_clear(&said);
        echo(again, CHAT_TEXT, twice.text, seed, &said);
        check(slice_eq(buf_view(&said), out.text));
        redaction_free(again);
        redaction_free(r);
    } else {
        check(err.code == ERR_FORMAT || err.code == ERR_UNSUPPORTED);
    }
    buf_release(&said);
    arena_release(&arena);
}

static void try_json(struct slice text, uint64_t seed)
{
    struct arena arena = {0};
    struct redaction *r;
    struct error err = {0};
    struct buf sent = {0}, said = {0};
    json_t *v = json_parse(text, NULL);
    struct chat_message m = {.text = text, .raw = v, .parts = v, .blobs = v};
    struct chat_request in = {.messages = &m, .n_messages = 1, .tools = v, .extras = v}, out;
    if (v && redaction_begin(rules(), &in, &arena, &out, &r, &err)) {
        json_write(&sent, out.messages[0].raw, JSON_STYLE_COMPACT);
        echo(r, CHAT_TOOL_ARGUMENTS, buf_view(&sent), seed, &said);
        json_t *back = json_parse(buf_view(&said), NULL);
        check(back);  // whatever was put back, it is JSON
        json_decref(back);
        redaction_free(r);
    } else {
        check(!v || err.code != ERR_NONE);
    }
    json_decref(v);
    buf_release(&sent);
    buf_release(&said);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 14)
        return 0;
    struct slice text = slice_of((const char *)data + 1, size - 1);
    if (data[0] == 'j')
        try_json(text, size);
    else
        try_text(text, data[0]);
    return 0;
}
