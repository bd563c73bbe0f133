// schema.h - JSON Schema (draft 2020-12) to a program: every text it takes is JSON that validates.
//
// What it takes may be less than the schema allows, never more: members stand in the order of
// `properties`, numbers and white space are bounded (json_text.h), members that no keyword speaks
// of are left out unless nothing says what the object's members are. A keyword that cannot be
// compiled is an error (ERR_UNSUPPORTED) that names it and its place; a schema that is none is
// ERR_FORMAT. docs/constrained-output.md lists keywords. Threads: any.
// Source: json-schema.org/draft/2020-12.
#pragma once
#include "local/sampling/grammar/json_text.h"

struct error;
struct json_t;

// NULL with err. A finished program.
struct program *schema_compile(const struct json_t *schema, struct error *err);

// How an object's members stand between tags. Strings stand as they are where is_text says so, by
// the schema of the object and the member's name; all else is JSON.
struct schema_tags {
    struct slice before_name, after_name, after_value;
    bool (*is_text)(const struct json_t *schema, const char *name);
};
// Adds a rule of values that satisfy the schema to json->p, in json's notation (tagged or loose
// ones need json->raw). With tags (else NULL): of members between them. False with err; the program
// is then of no use.
bool schema_add(struct json_text *json, const struct json_t *schema, const struct schema_tags *tags,
                uint32_t *rule, struct error *err);
