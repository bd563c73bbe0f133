// fuzz_gguf_tokenizer.c - the tokenizer keys of a GGUF file; the text is the end of the file.
#include "fuzz_tokenizer.h"
#include "local/formats/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct slice all = slice_of((const char *)data, size);
    struct gguf *g = gguf_open_memory(data, size, &err);
    struct tokenizer *t = g ? tokenizer_open_gguf(g, &err) : NULL;
    need(t || err.code != ERR_NONE);
    if (t)
        try_tokenizer(t, slice_sub(all, size > 200 ? size - 200 : 0, 200));
    tokenizer_close(t);
    gguf_close(g);
    return 0;
}
