// help.c - --help, the overview, manual pages (mdoc) and completion, all from the same tables.
#include <ctype.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/option_table.h"
#include "cli/options.h"

static void wrap(FILE *out, const char *text, size_t indent, size_t at)
{
    const size_t width = 90;
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, " \n");
        if (at + len > width && at > indent) {
            (void)fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        }
        (void)fwrite(p, 1, len, out);
        at += len;
        p += len;
        for (; *p == ' '; p++, at++)
            if (p[1] && p[1] != ' ')
                (void)fputc(' ', out);
        for (; *p == '\n'; p++, at = indent)
            (void)fprintf(out, "\n%*s", p[1] == '\n' ? 0 : (int)indent, "");
    }
    (void)fputc('\n', out);
}

static void print_options(FILE *out, const struct command *c)
{
    size_t n;
    const struct option *rows = option_table(&n);
    for (size_t i = 0; i < n; i++) {
        char left[64];
        if (!option_applies(&rows[i], c))
            continue;
        int len = snprintf(left, sizeof left, "  %c%c%c --%s%s%s", rows[i].letter ? '-' : ' ',
                           rows[i].letter ? rows[i].letter : ' ', rows[i].letter ? ',' : ' ',
                           option_name(&rows[i], c), rows[i].argument ? " " : "",
                           rows[i].argument ? rows[i].argument : "");
        (void)fprintf(out, "%-32s", left);
        if (len > 31)
            (void)fprintf(out, "\n%32s", "");
        wrap(out, rows[i].help, 32, 32);
    }
}

void print_help(FILE *out, const struct command *c)
{
    (void)fprintf(out, "hearth %s %s\n\n", c->name, c->arguments);
    wrap(out, c->description, 0, 0);
    (void)fprintf(out, "\nOptions:\n");
    print_options(out, c);
}

void print_overview(FILE *out)
{
    (void)fprintf(out,
                  "Hearth %s: large language models, local or from a vendor, behind one door.\n\n"
                  "hearth COMMAND ...\n\n",
                  HEARTH_VERSION);
    for (size_t i = 0; commands[i]; i++)
        (void)fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(out, "  %-12s %s\n", "help", "this text; `hearth help COMMAND` says more");
    (void)fprintf(
        out,
        "\nMODEL is a GGUF file, a Hugging Face folder, a name of `hearth list`, or nothing: then\n"
        "HEARTH_MODEL, else the model that ships with Hearth.\n");
}

void print_commands(FILE *out)
{
    for (size_t i = 0; commands[i]; i++)
        (void)fprintf(out, "%s\n", commands[i]->name);
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

// Text in mdoc: a leading dot or quote would be a macro, a backslash an escape.
static void roff(FILE *out, const char *text)
{
    bool line_start = true;
    for (const char *p = text; *p; p++) {
        if (line_start && (*p == '.' || *p == '\''))
            (void)fputs("\\&", out);
        if (*p == '\n' && p[1] == '\n') {
            (void)fputs("\n.Pp", out);
            continue;
        }
        if (*p == '\\')
            (void)fputs("\\e", out);
        else if (*p == '-')
            (void)fputs("\\-", out);
        else
            (void)fputc(*p, out);
        line_start = *p == '\n';
    }
    (void)fputc('\n', out);
}

static void manual_options(FILE *out, const struct command *c)
{
    size_t n;
    const struct option *rows = option_table(&n);
    (void)fprintf(out, ".Sh OPTIONS\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < n; i++) {
        if (!option_applies(&rows[i], c))
            continue;
        (void)fprintf(out, ".It ");
        if (rows[i].letter)
            (void)fprintf(out, "Fl %c , ", rows[i].letter);
        (void)fprintf(out, "Fl Fl %s", option_name(&rows[i], c));
        if (rows[i].argument)
            (void)fprintf(out, " Ar %s", rows[i].argument);
        (void)fputc('\n', out);
        roff(out, rows[i].help);
    }
    (void)fprintf(out, ".El\n");
}

void print_manual(FILE *out, const struct command *c)
{
    char title[64] = "HEARTH";
    if (c) {
        (void)snprintf(title, sizeof title, "HEARTH-%s", c->name);
        for (char *p = title; *p; p++)
            *p = (char)toupper((unsigned char)*p);
    }
    (void)fprintf(out, ".Dd November 2026\n.Dt %s 1\n.Os Hearth %s\n.Sh NAME\n.Nm hearth%s%s\n.Nd ",
                  title, HEARTH_VERSION, c ? "-" : "", c ? c->name : "");
    roff(out, c ? c->summary : "large language models, local or from a vendor, behind one door");
    (void)fprintf(out, ".Sh SYNOPSIS\n.Nm hearth %s\n", c ? c->name : "");
    (void)fprintf(out, ".Ar %s\n.Sh DESCRIPTION\n", c ? c->arguments : "COMMAND ...");
    if (c) {
        roff(out, c->description);
        manual_options(out, c);
    } else {
        roff(out, "Each command has a page of its own.");
        (void)fprintf(out, ".Bl -tag -width Ds\n");
        for (size_t i = 0; commands[i]; i++) {
            (void)fprintf(out, ".It Xr hearth-%s 1\n", commands[i]->name);
            roff(out, commands[i]->summary);
        }
        (void)fprintf(out, ".El\n");
    }
    (void)fprintf(
        out,
        ".Sh ENVIRONMENT\nEvery option that is no list can be given as a variable:\n.Ev "
        "HEARTH_TOP_K\n"
        "for\n.Fl Fl top-k .\n.Ev HEARTH_MODEL\nis the model where none is named.\n.Ev NO_COLOR\n"
        "switches colour off.\n"
        ".Sh EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted.\n");
}

void print_completion(FILE *out)
{
    size_t n;
    const struct option *rows = option_table(&n);
    (void)fprintf(out, "# bash completion for hearth; made by `hearth help --completion`\n"
                       "_hearth() {\n  local cur=${COMP_WORDS[COMP_CWORD]} options=\n"
                       "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W \"help");
    for (size_t i = 0; commands[i]; i++)
        (void)fprintf(out, " %s", commands[i]->name);
    (void)fprintf(out, "\" -- \"$cur\")); return\n  fi\n  case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; commands[i]; i++) {
        (void)fprintf(out, "  %s) options=\"", commands[i]->name);
        for (size_t k = 0; k < n; k++)
            if (option_applies(&rows[k], commands[i]))
                (void)fprintf(out, " --%s", option_name(&rows[k], commands[i]));
        (void)fprintf(out, "\" ;;\n");
    }
    (void)fprintf(
        out, "  esac\n  case $cur in\n  -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
             "  *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n  esac\n}\n"
             "complete -o filenames -F _hearth hearth\n");
}
