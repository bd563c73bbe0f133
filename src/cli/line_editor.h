// line_editor.h - lines from the user: edited and remembered on a terminal, plain elsewhere.
//
// Over libedit. History is kept in the user's state folder between sessions.
#pragma once
#include <stdbool.h>

struct buf;
struct line_editor;

enum line_result { LINE_READ, LINE_INTERRUPTED, LINE_END };

struct line_editor *line_editor_open(void);
void line_editor_close(struct line_editor *e);  // saves the history
// One line without its newline; prompts only on a terminal.
enum line_result line_editor_read(struct line_editor *e, const char *prompt, struct buf *line);
bool line_editor_is_terminal(const struct line_editor *e);
