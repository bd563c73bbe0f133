// fuzz_spm.c - tokenizer.model of SentencePiece; the text to encode is the end of the file itself.
#include "fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct slice all = slice_of((const char *)data, size);
    struct tokenizer *t = tokenizer_open_spm(all, &err);
    need(t || err.code != ERR_NONE);
    if (t)
        try_tokenizer(t, slice_sub(all, size > 200 ? size - 200 : 0, 200));
    tokenizer_close(t);
    return 0;
}
