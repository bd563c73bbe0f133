#include "cli/line_editor.h"

#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cli/command.h"

enum { HISTORY_LINES = 1000 };

struct line_editor {
    bool terminal;
    EditLine *el;
    History *history;
    char history_path[PATH_MAX];
    const char *prompt;
};

static char *show_prompt(EditLine *el)
{
    struct line_editor *e = NULL;
    el_get(el, EL_CLIENTDATA, &e);
    return (char *)e->prompt;  // libedit takes no const
}

// Reads one character; Ctrl-C ends the line instead of being swallowed by a retry.
static int read_character(EditLine *el, wchar_t *c)
{
    char bytes[4];
    (void)el;
    for (size_t n = 0; n < sizeof bytes;) {
        ssize_t got = interrupted() ? -1 : read(STDIN_FILENO, bytes + n, 1);
        if (got < 0 && errno == EINTR && !interrupted())
            continue;
        if (got <= 0)
            return (int)got;
        uint32_t code;
        n++;
        if (utf8_decode(bytes, n, &code)) {
            *c = (wchar_t)code;
            return 1;
        }
        if (utf8_whole(bytes, n) == n)
            break;  // cannot become a character any more
    }
    *c = 0xFFFD;
    return 1;
}

// $XDG_STATE_HOME/hearth/history, in HEARTH_HOME if that is set. Empty if there is no home.
static void find_history(char *path, size_t size)
{
    const char *own = getenv("HEARTH_HOME"), *state = getenv("XDG_STATE_HOME"),
               *home = getenv("HOME");
    char folder[PATH_MAX - 16] = "";
    if (own && *own)
        (void)snprintf(folder, sizeof folder, "%s", own);
    else if (state && *state)
        (void)snprintf(folder, sizeof folder, "%s/hearth", state);
    else if (home && *home)
        (void)snprintf(folder, sizeof folder, "%s/.local/state/hearth", home);
    path[0] = 0;
    if (!folder[0])
        return;
    for (char *p = folder + 1; *p; p++) {  // the folders above it, one by one
        if (*p != '/')
            continue;
        *p = 0;
        (void)mkdir(folder, 0700);
        *p = '/';
    }
    (void)mkdir(folder, 0700);
    (void)snprintf(path, size, "%s/history", folder);
}

struct line_editor *line_editor_open(void)
{
    struct line_editor *e = memory_new(1, sizeof *e);
    HistEvent event;
    e->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!e->terminal)
        return e;
    e->el = el_init("hearth", stdin, stdout, stderr);
    e->history = history_init();
    if (!e->el || !e->history) {
        e->terminal = false;
        return e;
    }
    (void)history(e->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(e->history, &event, H_SETUNIQUE, 1);
    find_history(e->history_path, sizeof e->history_path);
    if (e->history_path[0])
        (void)history(e->history, &event, H_LOAD, e->history_path);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_PROMPT, show_prompt);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_GETCFN, read_character);
    el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(e->el, NULL);  // the user's ~/.editrc
    return e;
}

void line_editor_close(struct line_editor *e)
{
    HistEvent event;
    if (!e)
        return;
    if (e->history) {
        if (e->history_path[0]) {
            mode_t old = umask(0077);
            (void)history(e->history, &event, H_SAVE, e->history_path);
            (void)umask(old);
        }
        history_end(e->history);
    }
    if (e->el)
        el_end(e->el);
    free(e);
}

bool line_editor_is_terminal(const struct line_editor *e)
{
    return e->terminal;
}

static enum line_result read_plain(struct buf *line)
{
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n = getline(&text, &capacity, stdin);
    if (n > 0)
        buf_add(line, text, (size_t)n - (text[n - 1] == '\n'));
    free(text);
    if (n < 0)
        return interrupted() ? LINE_INTERRUPTED : LINE_END;
    return LINE_READ;
}

enum line_result line_editor_read(struct line_editor *e, const char *prompt, struct buf *line)
{
    int n = 0;
    HistEvent event;
    buf_clear(line);
    if (!e->terminal)
        return read_plain(line);
    e->prompt = prompt;
    const char *text = el_gets(e->el, &n);
    if (interrupted()) {
        el_set(e->el, EL_REFRESH);
        (void)printf("\n");
        return LINE_INTERRUPTED;
    }
    if (!text || n <= 0)
        return LINE_END;
    buf_add(line, text, (size_t)n);
    if (line->len && line->ptr[line->len - 1] == '\n')
        line->ptr[--line->len] = 0;
    if (line->len)
        (void)history(e->history, &event, H_ENTER, buf_text(line));
    return LINE_READ;
}
