// kill_at.c - loaded before a program's libraries, it kills the program, or fails it, at the nth
// step that it makes in the file system: KILL_AT=n, or FAIL_AT=n with FAIL_ERRNO. STEPS names a
// file for the number of steps there were.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int n_steps;

// True if this step is to fail.
static int step(void)
{
    const char *kill_at = getenv("KILL_AT"), *fail_at = getenv("FAIL_AT"),
               *why = getenv("FAIL_ERRNO");
    int n = ++n_steps;
    if (kill_at && atoi(kill_at) == n)
        raise(SIGKILL);
    if (!fail_at || atoi(fail_at) != n)
        return 0;
    errno = why ? atoi(why) : EIO;
    return 1;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("STEPS");
    char text[16];
    int fd =
        path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;
    if (fd >= 0 && snprintf(text, sizeof text, "%d", n_steps) > 0)
        (void)!syscall(SYS_write, fd, text, strlen(text));
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(type, name, parameters, arguments)                                                    \
    type name parameters                                                                           \
    {                                                                                              \
        return step() ? (type)-1 : NEXT(name) arguments;                                           \
    }
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
WRAP(int, link, (const char *from, const char *to), (from, to))
WRAP(int, symlink, (const char *from, const char *to), (from, to))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, remove, (const char *path), (path))
WRAP(int, rmdir, (const char *path), (path))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fallocate, (int fd, int mode, off_t from, off_t n), (fd, mode, from, n))
WRAP(int, ftruncate, (int fd, off_t n), (fd, n))
WRAP(ssize_t, pwrite, (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at))

ssize_t write(int fd, const void *bytes, size_t n)
{
    struct stat st;
    int is_file = fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    return is_file && step() ? -1 : NEXT(write)(fd, bytes, n);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return flags & O_CREAT && step() ? -1 : NEXT(open)(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return mode[0] == 'w' && step() ? NULL : NEXT(fopen)(path, mode);
}
