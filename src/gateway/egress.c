#include "gateway/egress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/places.h"
#include "base/system.h"

enum { PENDING_MAX = 1 << 20, LINGER_NS = 20000000 };  // ends of this time go in one write

struct egress {
    atomic_int n_holds;
    pthread_mutex_t lock;
    pthread_cond_t ended;  // something is wanted, or to stop
    pthread_t writer;
    // Under the lock.
    char *path;  // NULL: no log
    bool has_writer;
    bool wanted, stop;   // of the writer
    struct buf pending;  // the lines of ends that are not written yet
    int fd;
    bool torn;  // the last line was not written whole
    bool complained;
};

// Every folder above the file that is not there; what cannot be made, open will tell.
static void make_folders(const char *path)
{
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *c = folder + 1; *c; c++)
        if (*c == '/') {
            *c = 0;
            (void)mkdir(folder, 0700);
            *c = '/';
        }
}

static bool open_file(struct egress *e, struct error *err)
{
    make_folders(e->path);
    int fd = open(e->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return error_set(err, ERR_IO, "egress log '%s': %s", e->path, strerror(errno));
    if (e->fd >= 0)
        (void)close(e->fd);
    e->fd = fd;
    e->torn = false;
    return true;
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    if (text)
        json_write_text(out, slice_str(text));
    else
        buf_text_add(out, "null");
}

static void write_line(struct buf *out, const struct egress_line *l, const char *event)
{
    struct timespec t;
    struct tm utc;
    char when[32];
    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)gmtime_r(&t.tv_sec, &utc);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(out, "{\"time\":\"%s.%03dZ\",\"event\":\"%s\"", when, (int)(t.tv_nsec / 1000000),
               event);
    add_text(out, "request", l->request_id);
    add_text(out, "key", l->key_id);
    add_text(out, "model", l->model);
    add_text(out, "provider", l->provider);
    add_text(out, "host", l->host);
    buf_printf(out, ",\"bytes_sent\":%" PRId64 ",\"redacted\":%d", l->bytes_sent, l->redacted);
    if (strcmp(event, "end") == 0) {
        buf_printf(out, ",\"bytes_received\":%" PRId64, l->bytes_received);
        add_text(out, "outcome", l->outcome);
    }
    buf_text_add(out, "}\n");
}

// Whether the path still names the file that is open: who rotates logs moves it away.
static bool is_there(const struct egress *e)
{
    struct stat here, open_one;
    return stat(e->path, &here) == 0 && fstat(e->fd, &open_one) == 0 &&
           here.st_ino == open_one.st_ino && here.st_dev == open_one.st_dev;
}

// The pending lines that are whole within n bytes were written; one that was cut will be again.
static void drop_written(struct egress *e, size_t n)
{
    while (n > 0 && n < e->pending.len && e->pending.ptr[n - 1] != '\n')
        n--;
    struct slice left = slice_sub(buf_view(&e->pending), n, SIZE_MAX);
    struct buf kept = {0};
    buf_slice(&kept, left);
    buf_release(&e->pending);
    e->pending = kept;
}

// The pending lines and `line` behind them in one write, so that lines of several processes do not
// mix. False with err if not all of it was written.
static bool write_out(struct egress *e, struct slice line, struct error *err)
{
    struct buf text = {0};
    if (e->torn)
        buf_char(&text, '\n');
    size_t n_mended = text.len;
    buf_add(&text, e->pending.ptr, e->pending.len);
    buf_add(&text, line.ptr, line.len);
    ssize_t n;
    do
        n = write(e->fd, text.ptr, text.len);
    while (n < 0 && errno == EINTR);
    bool ok = n == (ssize_t)text.len;
    if (!ok)
        (void)error_set(err, ERR_IO, "egress log '%s': %s", e->path,
                        n < 0 ? strerror(errno) : "the disk is full");
    if (n > 0) {
        e->torn = text.ptr[n - 1] != '\n';
        drop_written(e, (size_t)n - n_mended);
    }
    buf_release(&text);
    return ok;
}

// Under the lock. The first of several failures is told.
static void write_pending(struct egress *e)
{
    struct error err = {0};
    if (!e->pending.len)
        return;
    bool ok = (e->fd >= 0 || open_file(e, &err)) && write_out(e, slice_of(NULL, 0), &err);
    if (!ok && !e->complained)
        log_warn("%s", err.text);
    e->complained = !ok;
    if (e->pending.len > PENDING_MAX)
        drop_written(e, e->pending.len - PENDING_MAX);
}

// Under the lock, which is given up meanwhile; not longer than it takes to stop.
static void linger(struct egress *e)
{
    int64_t until = clock_ns() + LINGER_NS;
    struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    while (!e->stop && pthread_cond_timedwait(&e->ended, &e->lock, &t) != ETIMEDOUT)
        continue;
}

static void *write_ends(void *self)
{
    struct egress *e = self;
    system_give_way();
    pthread_mutex_lock(&e->lock);
    while (!e->stop) {
        if (!e->wanted) {
            pthread_cond_wait(&e->ended, &e->lock);
            continue;
        }
        e->wanted = false;
        linger(e);
        write_pending(e);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

static bool start_writer(struct egress *e, struct error *err)
{
    int code = system_thread_start(&e->writer, write_ends, e);
    e->has_writer = code == 0;
    return e->has_writer ||
           error_set(err, ERR_IO, "start the egress log's thread: %s", strerror(code));
}

struct egress *egress_open(const char *path, struct error *err)
{
    char found[PLACE_BYTES];
    if (!path && !place_data("egress.log", found, err))
        return NULL;
    struct egress *e = memory_array(struct egress, 1);
    pthread_condattr_t monotonic;
    atomic_init(&e->n_holds, 1);
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&e->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    e->fd = -1;
    e->path = memory_text(path ? path : found);
    if (!e->path[0]) {
        free(e->path);
        e->path = NULL;
    }
    if (!e->path || (open_file(e, err) && start_writer(e, err)))
        return e;
    egress_close(e);
    return NULL;
}

struct egress *egress_hold(struct egress *e)
{
    if (e)
        atomic_fetch_add(&e->n_holds, 1);
    return e;
}

void egress_close(struct egress *e)
{
    if (!e || atomic_fetch_sub(&e->n_holds, 1) != 1)
        return;
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_signal(&e->ended);
    pthread_mutex_unlock(&e->lock);
    if (e->has_writer)
        pthread_join(e->writer, NULL);
    write_pending(e);  // one that has no path has none
    if (e->fd >= 0)
        (void)close(e->fd);
    buf_release(&e->pending);
    pthread_cond_destroy(&e->ended);
    pthread_mutex_destroy(&e->lock);
    free(e->path);
    free(e);
}

bool egress_begin(struct egress *e, const struct egress_line *line, struct error *err)
{
    struct buf text = {0};
    write_line(&text, line, "begin");
    pthread_mutex_lock(&e->lock);
    bool there = e->fd >= 0 && is_there(e);
    if (!there && e->fd >= 0)
        write_pending(e);  // to the file where their beginnings are
    bool ok = !e->path ||
              ((there || open_file(e, err)) && write_out(e, slice_of(text.ptr, text.len), err));
    pthread_mutex_unlock(&e->lock);
    buf_release(&text);
    return ok;
}

void egress_end(struct egress *e, const struct egress_line *line)
{
    pthread_mutex_lock(&e->lock);
    if (e->path) {
        write_line(&e->pending, line, "end");
        if (!e->has_writer)
            write_pending(e);
        else if (!e->wanted)
            pthread_cond_signal(&e->ended);
        e->wanted = e->has_writer;
    }
    pthread_mutex_unlock(&e->lock);
}
