#include "local/eval/perplexity.h"

#include "local/tokenizer/tokenizer.h"

bool perplexity_text(struct model *m, const struct tokenizer *t, struct slice text,
                     const struct perplexity_options *o, struct perplexity_result *out,
                     struct error *err)
{
    struct tokens empty = {0}, tokens = {0};
    // What stands before the tokens of any text, stands before those of none.
    bool ok = tokenizer_encode(t, slice_of("", 0), TOKENIZE_ADD_SPECIAL, &empty, err);
    int32_t bos = tokenizer_bos(t);
    if (!empty.n || empty.ids[0] != bos)
        bos = -1;
    if (bos >= 0)
        tokens_add(&tokens, bos);
    ok = ok && tokenizer_encode(t, text, TOKENIZE_PLAIN, &tokens, err) &&
         perplexity_tokens(m, tokens.ids, tokens.n, bos, o, out, err);
    tokens_release(&empty);
    tokens_release(&tokens);
    return ok;
}
