#include "base/fresh_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"

enum { TRIES = 100 };

static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

// Calls `make` with names beside the path until one is free. It returns -1 with errno, EEXIST for a
// name that is taken. The name is kept in f->temporary.
static int named_beside(struct fresh_file *f, int (*make)(const char *name, int fd), int fd)
{
    struct buf name = {0};
    int made = -1;
    for (int i = 0; i < TRIES && made < 0 && (i == 0 || errno == EEXIST); i++) {
        buf_clear(&name);
        buf_printf(&name, "%s.%ld-%d.tmp", f->path, (long)getpid(), i);
        made = make(buf_text(&name), fd);
    }
    if (made < 0) {
        int why = errno;
        buf_release(&name);
        errno = why;
    } else {
        f->temporary = name.ptr;
    }
    return made;
}

// Not mkstemp, whose files nobody else may read.
static int create(const char *name, int fd)
{
    (void)fd;
    return open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static void open_file_name(char *name, size_t size, int fd)
{
    (void)snprintf(name, size, "/proc/self/fd/%d", fd);
}

static int give_name(const char *name, int fd)
{
    char from[40];
    open_file_name(from, sizeof from, fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

// A file without a name in the path's folder, or -1 where it could not be given one later.
static int create_nameless(const char *path)
{
    char *folder = memory_text(path), *slash = strrchr(folder, '/'), name[40];
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash ? folder : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    free(folder);
    if (fd < 0)
        return -1;
    open_file_name(name, sizeof name, fd);
    if (access(name, F_OK) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static FILE *open_beside(struct fresh_file *f)
{
    int fd = create_nameless(f->path);
    f->nameless = fd >= 0;
    if (fd < 0)
        fd = named_beside(f, create, -1);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (fd >= 0 && !file)
        (void)close(fd);
    return file;
}

bool fresh_file_open(struct fresh_file *f, const char *path)
{
    *f = (struct fresh_file){.path = memory_text(path)};
    f->f = is_special(path) ? fopen(path, "wbe") : open_beside(f);
    if (f->f)
        return true;
    int why = errno;
    fresh_file_drop(f);
    errno = why;
    return false;
}

// All of it on the disk and, if it had none, with a name beside the path.
static bool write_out(struct fresh_file *f)
{
    bool special = !f->temporary && !f->nameless;
    return fflush(f->f) == 0 && (special || fsync(fileno(f->f)) == 0) &&
           (!f->nameless || named_beside(f, give_name, fileno(f->f)) == 0);
}

bool fresh_file_finish(struct fresh_file *f)
{
    FILE *file = f->f;
    bool ok = write_out(f);
    int why = errno;
    f->f = NULL;
    if (fclose(file) == 0)
        errno = why;
    else
        ok = false;
    ok = ok && (!f->temporary || rename(f->temporary, f->path) == 0);
    why = errno;
    if (ok) {
        free(f->temporary);
        f->temporary = NULL;
    }
    fresh_file_drop(f);
    errno = why;
    return ok;
}

void fresh_file_drop(struct fresh_file *f)
{
    if (f->f)
        (void)fclose(f->f);
    if (f->temporary)
        (void)unlink(f->temporary);
    free(f->temporary);
    free(f->path);
    *f = (struct fresh_file){0};
}
