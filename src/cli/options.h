// options.h - the one table of options and what is made from it.
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "cli/command.h"

struct error;

void settings_init(struct settings *s);
void settings_release(struct settings *s);
// Reads HEARTH_ variables, then argv[0..argc) (after the command's name). False with err.
bool settings_read(struct settings *s, const struct command *c, int argc, char **argv,
                   struct error *err);

void print_help(FILE *out, const struct command *c);    // hearth COMMAND --help
void print_overview(FILE *out);                         // hearth help
void print_commands(FILE *out);                         // names, one a line
void print_manual(FILE *out, const struct command *c);  // a page in mdoc; NULL: hearth(1)
void print_completion(FILE *out);                       // bash
const struct command *command_find(const char *name);   // NULL if there is none
