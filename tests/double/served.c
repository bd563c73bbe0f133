#include "served.h"

#include <openssl/sha.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"

enum { LOG_MAX = 512 << 20 };

static void member(struct buf *b, const char *name, struct slice text)
{
    buf_printf(b, ",\"%s\":", name);
    json_write_text(b, text);
}

static void number(struct buf *b, const char *name, int64_t value)
{
    buf_printf(b, ",\"%s\":%lld", name, (long long)value);
}

static void sha_member(struct buf *b, struct slice body)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)body.ptr, body.len, digest);
    buf_text_add(b, ",\"sha256\":\"");
    for (size_t i = 0; i < sizeof digest; i++) {
        buf_char(b, "0123456789abcdef"[digest[i] >> 4]);
        buf_char(b, "0123456789abcdef"[digest[i] & 15]);
    }
    buf_char(b, '"');
}

// Grows the table so that a third of it stays free.
static void grow_times(struct served_log *log)
{
    size_t old = log->times_capacity;
    struct served_times *was = log->times;
    if (old && log->n_times < old / 3 * 2)
        return;
    log->times_capacity = old ? old * 2 : 1024;
    log->times = memory_array(struct served_times, log->times_capacity);
    for (size_t i = 0; i < old; i++) {
        size_t at = was[i].key & (log->times_capacity - 1);
        if (!was[i].key)
            continue;
        while (log->times[at].key)
            at = (at + 1) & (log->times_capacity - 1);
        log->times[at] = was[i];
    }
    free(was);
}

int64_t served_times(struct served_log *log, const struct asked *a)
{
    uint64_t key = hash_bytes(buf_text(&a->text), a->text.len, (uint64_t)a->vendor);
    key = hash_bytes(a->model_name, strlen(a->model_name), key);
    key = hash_bytes(a->folder.ptr, a->folder.len, key) | 1;
    grow_times(log);
    size_t at = key & (log->times_capacity - 1);
    while (log->times[at].key && log->times[at].key != key)
        at = (at + 1) & (log->times_capacity - 1);
    log->n_times += log->times[at].key == 0;
    log->times[at].key = key;
    return ++log->times[at].n;
}

static void write_counts(struct buf *b, const struct counts *c)
{
    buf_printf(b, ",\"counts\":{\"in\":%lld", (long long)c->in);
    number(b, "cached", c->cached);
    number(b, "write_5m", c->write_5m);
    number(b, "write_1h", c->write_1h);
    number(b, "out", c->out);
    number(b, "reasoning", c->reasoning);
    buf_char(b, '}');
}

void served_begin(struct served *s, struct served_log *log, const struct http1_request *r,
                  const struct asked *a, const struct answer *o, bool key_fits, int64_t attempt)
{
    static const char *const whats[] = {"chat", "embed", "count", "models", "nothing"};
    struct buf *b = &s->line;
    s->wire_bytes = 0;
    s->finished = false;
    s->pieces = s->chunks = s->text_bytes = 0;
    s->told_in = s->told_out = s->told_thoughts = -1;
    buf_clear(b);
    log->n_requests++;
    if (log->off)
        return;
    buf_printf(b, "{\"n\":%llu,\"vendor\":\"%s\",\"what\":\"%s\"", (unsigned long long)o->number,
               vendor_name(a->vendor), whats[a->what]);
    member(b, "path", r->target);
    member(b, "folder", a->folder);
    member(b, "model", slice_str(a->model_name ? a->model_name : ""));
    member(b, "id", a->s.id);
    member(b, "bad", slice_str(scenario_bad_name(a->s.bad)));
    buf_printf(b, ",\"stream\":%s,\"key\":%s", a->stream ? "true" : "false",
               key_fits ? "true" : "false");
    member(b, "key_header", slice_str(r->key_header));
    member(b, "accept_encoding", r->accept_encoding);
    number(b, "attempt", attempt);
    number(b, "status", o->status);
    member(b, "finish", slice_str(o->finish));
    number(b, "body_bytes", (int64_t)r->body.len);
    sha_member(b, r->body);
    if (log->bodies)
        member(b, "body", r->body);
    write_counts(b, &o->counts);
}

void served_piece(struct served *s, const struct piece *p)
{
    s->pieces++;
    s->finished = s->finished || p->finish;
    s->chunks += p->chunk;
    s->text_bytes += p->text_bytes;
    if (p->told_in >= 0)
        s->told_in = p->told_in;
    if (p->told_out >= 0)
        s->told_out = p->told_out;
    if (p->told_out >= 0)
        s->told_thoughts = p->told_thoughts;
}

void served_end(struct served *s, struct served_log *log, const char *how)
{
    struct buf *b = &s->line;
    if (log->off || b->len == 0)
        return;
    number(b, "pieces", s->pieces);
    number(b, "chunks", s->chunks);
    number(b, "text_bytes", s->text_bytes);
    number(b, "told_in", s->told_in);
    number(b, "told_out", s->told_out);
    number(b, "told_thoughts", s->told_thoughts);
    number(b, "wire_bytes", (int64_t)s->wire_bytes);
    buf_printf(b, ",\"finished\":%s", s->finished ? "true" : "false");
    member(b, "ended", slice_str(how));
    buf_text_add(b, "}\n");
    log->n_lines++;
    log->lines.max_bytes = LOG_MAX;
    buf_slice(&log->lines, buf_view(b));
    if (log->file)
        fwrite(b->ptr, 1, b->len, log->file);
    buf_clear(b);
}

void served_reset(struct served_log *log)
{
    buf_clear(&log->lines);
    log->n_lines = log->n_requests = 0;
    free(log->times);
    log->times = NULL;
    log->n_times = log->times_capacity = 0;
}

void served_release(struct served_log *log)
{
    if (log->file)
        fclose(log->file);
    buf_release(&log->lines);
    free(log->times);
}
