// hf_templates.h - where a Hugging Face folder keeps its chat templates; used by model_file.c.
//
// In this order: chat_template.jinja and additional_chat_templates/NAME.jinja, chat_template.json,
// tokenizer_config.json (a string, or a list of {"name", "template"}). Threads: immutable after
// open.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct error;
struct json_t;

enum { HF_TEMPLATES_MAX = 16 };

struct hf_templates {
    struct {
        char *name;  // "default" for chat_template.jinja
        struct buf text;
    } files[HF_TEMPLATES_MAX];
    size_t n_files;
    struct json_t *json;  // chat_template.json
};

// False with err if a file cannot be read. Release it either way.
bool hf_templates_open(struct hf_templates *t, const char *folder, struct error *err);
void hf_templates_release(struct hf_templates *t);
bool hf_templates_empty(const struct hf_templates *t);
// Empty if there is none of this name. tokenizer_config may be NULL.
struct slice hf_templates_find(const struct hf_templates *t, const struct json_t *tokenizer_config,
                               const char *name);
