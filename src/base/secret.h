// secret.h - a text that nobody must see: a vendor's key, and the header line that it goes into.
//
// It lies in pages of its own that are locked in memory where the system allows it, are left out
// of core dumps, and are zeroed when it is released. What libcurl and TLS copy while they send it
// is theirs. Threads: immutable, share it freely.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct error;
struct secret;

enum { SECRET_MAX_BYTES = 4096 };

// Whether a text can be a key: printable ASCII without blanks and line ends, not empty and not too
// long. False with err (ERR_USAGE), which begins with `what` and never quotes the text.
bool secret_check(const char *what, const char *text, struct error *err);
// A copy of `before` (NULL: nothing) with the checked key behind it. NULL with err (ERR_MEMORY).
struct secret *secret_new(const char *before, const char *key, struct error *err);
void secret_free(struct secret *s);  // NULL is fine
// The text, as long as the secret lives. Not const, since libcurl's lists are not; never written.
char *secret_text(struct secret *s);
// Puts stars over what begins as the key does in a text of ours that goes to others: an error that
// quotes what somebody else echoed. The key may be cut at the text's end.
void secret_hide(const struct secret *s, char *text);
