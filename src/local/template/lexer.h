// lexer.h - template source to tokens, with whitespace control as transformers sets it:
// trim_blocks and lstrip_blocks on, one newline at the end of the file dropped.
#pragma once
#include <setjmp.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"

struct error;

enum token_type {
    T_DATA,
    T_NAME,
    T_TEXT,
    T_INT,
    T_FLOAT,
    T_OPERATOR,  // op: the character; 'f' // 'p' ** '=' == '!' != 'l' <= 'g' >= 'a' the single =
    T_OUTPUT_BEGIN,
    T_OUTPUT_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_END,
};

struct token {
    enum token_type type;
    char op;
    int line;
    struct slice text;  // of data and strings what they stand for, else as written
};

// What lexer and parser share: where to put things, and how to give up.
struct parse {
    struct arena *arena;
    struct error *err;
    jmp_buf failed;
    struct slice source;  // newlines normalized
    struct token *tokens;
    size_t n_tokens, capacity;
    size_t at;
    int depth;
    const struct token *stray;  // the first break outside a loop
    int loops;                  // around the cursor, up to the next macro
    struct template *template;
    unsigned char *flags;  // scopes.c
    size_t flags_capacity;
};

_Noreturn void parse_fail(struct parse *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Fills p->tokens from p->source; the last one is T_END.
void lex(struct parse *p);
