// rows.h - a map of a configuration read by a table: names, types, bounds and where they go.
//
// No message quotes a value: somebody may have written a secret there. Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct arena;
struct config;
struct error;
struct tree_node;

struct reader {
    const char *name;    // of the text, for errors
    const char *folder;  // of the file: relative paths begin here; NULL: as they are
    struct arena *arena;
    struct config *config;
    struct error *err;
    size_t n_texts;  // kept so far: aliases could make many of few
};
struct row {
    const char *name;
    bool (*read)(struct reader *r, const struct row *m, const struct tree_node *value, void *field);
    size_t offset;    // of the field; with custom readers often 0, the whole struct
    double min, max;  // of numbers
};

// Every member of a map (or null: none) into the struct at `base`. What no row names is an error.
bool rows_read(struct reader *r, const struct tree_node *map, const struct row *rows, size_t n_rows,
               const char *what, void *base);
// Sets err at the node's place; returns false.
bool reader_fault(struct reader *r, const struct tree_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Readers of one value: const char *, (a path), bool, int, double.
bool row_text(struct reader *r, const struct row *m, const struct tree_node *v, void *field);
bool row_path(struct reader *r, const struct row *m, const struct tree_node *v, void *field);
bool row_bool(struct reader *r, const struct row *m, const struct tree_node *v, void *field);
bool row_int(struct reader *r, const struct row *m, const struct tree_node *v, void *field);
bool row_number(struct reader *r, const struct row *m, const struct tree_node *v, void *field);
// A list of texts (or one), numbers and "true" as they are written; at most `max` of them.
bool row_texts(struct reader *r, const char *name, const struct tree_node *v, size_t max,
               const char ***texts, size_t *n);
const char *row_resolve(struct reader *r, const char *path);
// What begins like a vendor's key.
bool row_looks_secret(const char *text);
