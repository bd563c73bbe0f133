#include "gateway/egress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/places.h"

struct egress {
    char *path;  // NULL: no log
    pthread_mutex_t lock;
    int fd;     // under the lock, as what follows
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

struct egress *egress_open(const char *path, struct error *err)
{
    char found[PLACE_BYTES];
    if (!path && !place_data("egress.log", found, err))
        return NULL;
    struct egress *e = memory_array(struct egress, 1);
    pthread_mutex_init(&e->lock, NULL);
    e->fd = -1;
    e->path = memory_text(path ? path : found);
    if (!e->path[0]) {
        free(e->path);
        e->path = NULL;
    }
    if (!e->path || open_file(e, err))
        return e;
    egress_close(e);
    return NULL;
}

void egress_close(struct egress *e)
{
    if (!e)
        return;
    if (e->fd >= 0)
        (void)close(e->fd);
    pthread_mutex_destroy(&e->lock);
    free(e->path);
    free(e);
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

// In one write, so that lines of several processes do not mix.
static bool append(struct egress *e, const struct egress_line *line, const char *event,
                   struct error *err)
{
    struct buf text = {0};
    bool begins = strcmp(event, "begin") == 0;  // its end goes where it stands, or behind it
    bool ok = (!begins && e->fd >= 0) || is_there(e) || open_file(e, err);
    if (ok) {
        if (e->torn)
            buf_char(&text, '\n');
        write_line(&text, line, event);
        ssize_t n;
        do
            n = write(e->fd, text.ptr, text.len);
        while (n < 0 && errno == EINTR);
        ok = n == (ssize_t)text.len;
        if (!ok) {
            e->torn |= n > 0;
            (void)error_set(err, ERR_IO, "egress log '%s': %s", e->path,
                            n < 0 ? strerror(errno) : "the disk is full");
        } else {
            e->torn = false;
        }
    }
    buf_release(&text);
    return ok;
}

bool egress_begin(struct egress *e, const struct egress_line *line, struct error *err)
{
    if (!e->path)
        return true;
    pthread_mutex_lock(&e->lock);
    bool ok = append(e, line, "begin", err);
    pthread_mutex_unlock(&e->lock);
    return ok;
}

void egress_end(struct egress *e, const struct egress_line *line)
{
    struct error err = {0};
    if (!e->path)
        return;
    pthread_mutex_lock(&e->lock);
    bool ok = append(e, line, "end", &err), first = !ok && !e->complained;
    e->complained = !ok;
    pthread_mutex_unlock(&e->lock);
    if (first)
        log_warn("%s", err.text);
}
