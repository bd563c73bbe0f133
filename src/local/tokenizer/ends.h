// ends.h - the tokens that begin and end texts and turns, from every file that names them.
#pragma once
#include <stdbool.h>

struct error;
struct model_file;
struct tokenizer;

// Hugging Face folders: added tokens and bos/eos/unk/pad of tokenizer_config.json,
// special_tokens_map.json and added_tokens.json. False with err.
bool read_folder_extras(struct tokenizer *t, const struct model_file *file, struct error *err);
// Collects all tokens that end a turn, and bos and eos where only the model's config has them.
void find_ends(struct tokenizer *t, const struct model_file *file);
