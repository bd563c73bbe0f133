// names.h - which words may be a repository, a revision, a quantization, a file's path, a name.
//
// The one place that decides what may become part of a path or an address. Threads: any.
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { NAME_BYTES = 97, FILE_PATH_BYTES = 513 };

// owner/name, each of letters, digits, '.', '_', '-'; no ".." and nothing hidden.
bool name_is_repo(const char *text);
// A branch, a tag, a commit or refs/pr/N.
bool name_is_revision(const char *text);
// Letters, digits, '.', '_', '-'; may be empty.
bool name_is_quant(const char *text);
// A name in the store, without quantization: lower case letters, digits, '.', '_', '-'.
bool name_is_stored(const char *text);
// A path that stays below the folder it is put in, whatever it is: plain components of at most 255
// bytes, eight at most, valid UTF-8 without control characters or backslashes.
bool name_is_path(const char *text, size_t len);
bool name_is_hex(const char *text, size_t n_digits);  // lower case, exactly so many

void name_lower(char *text);  // ASCII only
// The name that a repository gets: its own part in lower case, without "-gguf".
void name_of_repo(const char *repo, char name[NAME_BYTES]);
