// access.h - where the hub is and who asks, from the environment. Threads: any.
#pragma once
#include <stdbool.h>

struct error;
struct url;

// HF_ENDPOINT, else huggingface.co; without a slash at its end. False with err.
bool access_endpoint(struct url *out, struct error *err);
// *token is NULL where there is none; the caller frees it. False with err for a file that is named
// but cannot be read, or holds no token. Errors never quote it.
bool access_token(char **token, struct error *err);
bool access_is_offline(void);  // HF_HUB_OFFLINE
// SSL_CERT_FILE, the authorities to trust in place of the system's; NULL if not set.
const char *access_ca_file(void);
int access_stall_s(void);  // HF_HUB_DOWNLOAD_TIMEOUT in seconds; 0 if not set
