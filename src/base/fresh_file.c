#include "base/fresh_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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

static FILE *open_beside(struct fresh_file *f)
{
    struct buf name = {0};
    int fd = -1;
    // Not mkstemp, whose files nobody else may read.
    for (int i = 0; i < TRIES && fd < 0 && (i == 0 || errno == EEXIST); i++) {
        buf_clear(&name);
        buf_printf(&name, "%s.%ld-%d.tmp", f->path, (long)getpid(), i);
        fd = open(buf_text(&name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (fd < 0) {
        int why = errno;
        buf_release(&name);
        errno = why;
        return NULL;
    }
    f->temporary = name.ptr;
    FILE *file = fdopen(fd, "wb");
    if (!file)
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

static bool write_out(FILE *f, bool to_disk)
{
    bool ok = fflush(f) == 0 && (!to_disk || fsync(fileno(f)) == 0);
    int why = errno;
    if (fclose(f) == 0)
        errno = why;
    else
        ok = false;
    return ok;
}

bool fresh_file_finish(struct fresh_file *f)
{
    FILE *file = f->f;
    f->f = NULL;
    bool ok =
        write_out(file, f->temporary) && (!f->temporary || rename(f->temporary, f->path) == 0);
    int why = errno;
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
