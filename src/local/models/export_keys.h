// export_keys.h - a model's facts as GGUF keys; part of export.c's work.
#pragma once
struct gguf_writer;
struct mix;
struct model_facts;

// general.* and <arch>.* keys for a model that comes from a folder.
void export_keys(struct gguf_writer *w, const struct model_facts *f, const char *name);
// The keys that say what the tensors' type is.
void export_type_keys(struct gguf_writer *w, const struct mix *mix);
