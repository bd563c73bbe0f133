// hub.h - repositories of a Hugging Face hub: what they hold, and a few bytes of a file.
//
// For whoever wants to know about a model before it is here. What is downloaded into the local
// store is pull.h's. The hub's address and the token come from the environment: HF_ENDPOINT,
// HF_TOKEN (else the file HF_TOKEN_PATH, else $HF_HOME/token); with HF_HUB_OFFLINE nothing is asked
// and hub_open fails. Nothing that the hub says is trusted: names, sizes and hashes of all files
// are checked before any is handed out. Calls wait for the network and try again what is worth it.
// Threads: one at a time for a hub. A struct hub_repo never changes after it was resolved.
// Source: huggingface.co/docs/hub/api and what huggingface_hub asks for.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct buf;
struct error;
struct hub;

enum { HUB_QUANT_BYTES = 48, HUB_REPO_BYTES = 200 };

// What a user wrote for a repository: owner/name[:QUANT], or its address at the hub.
struct hub_reference {
    char repo[HUB_REPO_BYTES];    // owner/name
    char quant[HUB_QUANT_BYTES];  // as written; "" if none
};

struct hub_file {
    const char *path;  // relative, in plain components: safe to be made below a folder
    uint64_t bytes;
    char sha256[65];  // of large files, else ""
    char git[41];     // git's blob id of the others, else ""
};

struct hub_repo {
    char repo[HUB_REPO_BYTES];
    char revision[HUB_REPO_BYTES];
    char commit[65];  // what the revision was when it was resolved; all files are of this commit
    const struct hub_file *files;  // sorted by path, each once
    size_t n_files;
    struct arena memory;
};

// The files that make one model. quant is in lower case; "" for a checkout, and for a repository
// with a GGUF file that names none.
struct hub_choice {
    char quant[HUB_QUANT_BYTES];
    bool gguf;
    const struct hub_file **files;  // in order of their parts; point into the repository
    size_t n_files;
    uint64_t bytes;
};

// What a callback sees of a long call; false ends it with ERR_CANCELLED.
typedef bool (*hub_go_on)(void *self);

// go_on may be NULL; it is asked several times a second while a call waits.
struct hub *hub_open(hub_go_on go_on, void *self, struct error *err);
void hub_close(struct hub *h);  // NULL is fine

// False with err (ERR_USAGE) if text is no repository of this hub.
bool hub_reference_read(const struct hub *h, const char *text, struct hub_reference *out,
                        struct error *err);

// The files of a repository at a revision (NULL: main). False with err; hub_repo_release is due in
// either case.
bool hub_repo_resolve(struct hub *h, const char *repo, const char *revision, struct hub_repo *out,
                      struct error *err);
void hub_repo_release(struct hub_repo *r);

// The model of `quant` ("" or NULL: the best there is, as docs/hub.md says). False with err: none,
// several, or a part missing. hub_choice_release is due in either case.
bool hub_choose(const struct hub_repo *r, const char *quant, struct hub_choice *out,
                struct error *err);
void hub_choice_release(struct hub_choice *c);
// Every GGUF model of the repository, in order of its files; *choices is freed with
// hub_choices_free. 0 for a checkout. Models that lack a part are left out.
size_t hub_choices(const struct hub_repo *r, struct hub_choice **choices);
void hub_choices_free(struct hub_choice *choices, size_t n);

// Appends the first n_bytes of a file, or all of a shorter one: enough to read a header by. They
// cannot be verified, since hashes are of whole files.
bool hub_fetch_start(struct hub *h, const struct hub_repo *r, const struct hub_file *f,
                     uint64_t n_bytes, struct buf *out, struct error *err);
// Appends a whole file of at most max_bytes, and verifies it.
bool hub_fetch_whole(struct hub *h, const struct hub_repo *r, const struct hub_file *f,
                     uint64_t max_bytes, struct buf *out, struct error *err);
