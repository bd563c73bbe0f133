// fuzz_tokenizer.c - tokenizer.json up to the first NUL, then the text to encode.
#include "fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n_json = nul ? (size_t)(nul - data) : size;
    size_t at = nul ? n_json + 1 : size;
    struct error err = {0};
    struct tokenizer *t = tokenizer_open_json(slice_of((const char *)data, n_json), &err);
    need(t || err.code != ERR_NONE);
    if (t)
        try_tokenizer(t, slice_of((const char *)data + at, size - at));
    tokenizer_close(t);
    return 0;
}
