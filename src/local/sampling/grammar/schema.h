// schema.h - JSON Schema (draft 2020-12) to a program: every text it takes is JSON that validates.
//
// What it takes may be less than the schema allows, never more: members stand in the order of
// `properties`, numbers and white space are bounded (json_text.h), members that no keyword speaks
// of are left out unless nothing says what the object's members are. A keyword that cannot be
// compiled is an error (ERR_UNSUPPORTED) that names it and its place; a schema that is none is
// ERR_FORMAT. docs/constrained-output.md lists keywords. Threads: any.
// Source: json-schema.org/draft/2020-12.
#pragma once
#include "base/slice.h"

struct error;
struct json_t;
struct program;

// NULL with err. A finished program.
struct program *schema_compile(const struct json_t *schema, struct error *err);
