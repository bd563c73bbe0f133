// fuzz_document.c - any bytes as each kind of document. The first byte picks the name, so that one
// corpus serves all readers; what comes out must keep the promises of document.h.
#include <assert.h>
#include <stdint.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"
#include "documents/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// How documents come over HTTP: what was encoded is what is decoded; any bytes may be tried.
static void read_base64(struct slice bytes)
{
    struct buf text = {0}, again = {0};
    base64_encode(&text, bytes.ptr, bytes.len);
    assert(base64_decode(&again, buf_view(&text)));
    assert(again.len == bytes.len && (!again.len || memcmp(again.ptr, bytes.ptr, again.len) == 0));
    buf_clear(&again);
    (void)base64_decode(&again, bytes);
    buf_release(&text);
    buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x.txt", "x.md", "x.html", "x.rst", "-"};
    struct error err = {0};
    if (size == 0)
        return 0;
    struct slice bytes = slice_of((const char *)data + 1, size - 1);
    read_base64(bytes);
    struct document *d = document_read(bytes, names[data[0] % 5], &err);
    if (!d) {
        assert(err.code != ERR_NONE && err.text[0]);
        return 0;
    }
    size_t last = 0;
    for (size_t i = 0; i < d->n_blocks; i++) {
        const struct document_block *b = &d->blocks[i];
        assert(b->text.len > 0 && utf8_valid(b->text.ptr, b->text.len));
        assert(b->start <= b->end && b->end <= bytes.len);
        assert(b->start >= last);
        last = b->start;
    }
    assert(utf8_valid(d->title, strlen(d->title)));
    document_close(d);
    return 0;
}
