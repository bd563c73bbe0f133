// sections.h - the members of a configuration file, and what they must be together.
#pragma once
#include <stdbool.h>

struct reader;
struct tree_node;

// Into r->config. False with r->err.
bool sections_read(struct reader *r, const struct tree_node *root);
// The same of one section each, under the row's name.
struct row;
bool section_providers(struct reader *r, const struct row *m, const struct tree_node *v, void *c);
bool section_routes(struct reader *r, const struct row *m, const struct tree_node *v, void *c);
bool section_redactions(struct reader *r, const struct row *m, const struct tree_node *v, void *c);
// Whether every candidate is somebody's, once all sections were read.
bool section_check_routes(struct reader *r);
// Of one reference; `at` for errors.
bool section_check_reference(struct reader *r, const char *model, const struct tree_node *at);
