// members.h - members of a JSON request with their types checked; what is wrong is named.
//
// Absent and null members leave the value untouched and are right. Everything else of another type
// or range is refused with PROBLEM_REQUEST and the member's path: `at` ("tools[0]", or "" for the
// request itself), a dot, and the key. Threads: any.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct dialect_error;

// A whole number, also if written 3.0.
bool member_i64(const json_t *o, const char *at, const char *key, int64_t min, int64_t max,
                int64_t *value, struct dialect_error *err);
bool member_int(const json_t *o, const char *at, const char *key, int min, int max, int *value,
                struct dialect_error *err);
bool member_float(const json_t *o, const char *at, const char *key, double min, double max,
                  float *value, struct dialect_error *err);
bool member_bool(const json_t *o, const char *at, const char *key, bool *value,
                 struct dialect_error *err);
bool member_text(const json_t *o, const char *at, const char *key, struct slice *value,
                 struct dialect_error *err);
// NULL stays NULL.
bool member_array(const json_t *o, const char *at, const char *key, const json_t **value,
                  struct dialect_error *err);
bool member_object(const json_t *o, const char *at, const char *key, const json_t **value,
                   struct dialect_error *err);
// The path of a member in 96 bytes, for dialect_refuse: "at.key", or "key" where at is empty; with
// index >= 0 "at.key[index]".
struct member_path {
    char text[96];
};
struct member_path member_path(const char *at, const char *key, int index);
// "a number", "a string" ...: what a value is, for messages.
const char *member_type(const json_t *value);

// Stop texts: a string or an array of them, each of 1 to 256 bytes, at most 16. Lists live in the
// call's arena.
struct dialect_call;
bool member_stops(struct dialect_call *c, const json_t *o, const char *key,
                  struct dialect_error *err);
