// client.c - the list of clients.
#include "dialects/client.h"

#include <string.h>

const struct dialect_client *dialect_client_find(const char *name)
{
    static const struct dialect_client *const clients[] = {&client_openai, &client_anthropic,
                                                           &client_gemini};
    if (strcmp(name, "google") == 0)
        return &client_gemini;
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        if (strcmp(clients[i]->name, name) == 0)
            return clients[i];
    }
    return NULL;
}
