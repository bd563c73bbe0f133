#include "local/tokenizer/read_pipeline.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/unicode.h"

#define GPT2_WORDS                                                                                 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

enum { DEPTH_MAX = 8, TEXT_MAX_BYTES = 1024 };

static bool flag(const json_t *object, const char *key, bool otherwise)
{
    bool value = otherwise;
    (void)json_get_bool(object, key, &value);
    return value;
}

static const char *type_of(const json_t *json)
{
    const char *type = json_get_text(json, "type");
    return type ? type : "";
}

static bool is(const char *type, const char *name)
{
    return strcmp(type, name) == 0;
}

typedef bool (*reader)(struct tokenizer *, const json_t *, const char *, int, struct error *);

// The members of a Sequence, each by `read`.
static bool read_list(struct tokenizer *t, const json_t *json, const char *member,
                      const char *field, int depth, reader read, struct error *err)
{
    const json_t *list = json_object_get(json, member);
    if (!json_is_array(list))
        return error_set(err, ERR_FORMAT, "%s.%s: not a list", field, member);
    if (depth >= DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "%s: sequences are nested more than %d deep", field,
                         DEPTH_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char inner[160];
        (void)snprintf(inner, sizeof inner, "%.100s.%.20s[%zu]", field, member, i);
        if (!read(t, json_array_get(list, i), inner, depth + 1, err))
            return false;
    }
    return true;
}

// {"String": "x"} or {"Regex": "x"}. NULL with err.
static struct pattern *read_pattern(const json_t *json, const char *field, struct error *err)
{
    char inner[160];
    const json_t *v = json_object_get(json, "pattern");
    const json_t *text = json_object_get(v, "String"), *regex = json_object_get(v, "Regex");
    (void)snprintf(inner, sizeof inner, "%.140s.pattern", field);
    if (json_is_string(v))
        text = v;
    if (json_is_string(regex))
        return pattern_new_regex(json_slice(regex), inner, err);
    if (json_is_string(text))
        return pattern_new_text(json_slice(text), inner);
    error_set(err, ERR_FORMAT, "%s: neither String nor Regex", inner);
    return NULL;
}

// A text member of bounded length. False with err if it is absent or too long.
static bool read_text(const json_t *json, const char *key, const char *field, char **text,
                      size_t *len, struct error *err)
{
    const json_t *v = json_object_get(json, key);
    if (!json_is_string(v) || json_string_length(v) > TEXT_MAX_BYTES)
        return error_set(err, ERR_FORMAT, "%s.%s: not a string of at most %d bytes", field, key,
                         TEXT_MAX_BYTES);
    *text = memory_text_n(json_string_value(v), json_string_length(v));
    *len = json_string_length(v);
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool read_charsmap(struct normalizer *n, const json_t *json, const char *field,
                          struct error *err)
{
    const json_t *v = json_object_get(json, "precompiled_charsmap");
    if (!json_is_string(v))
        return error_set(err, ERR_FORMAT, "%s.precompiled_charsmap: not a string", field);
    struct slice in = json_slice(v);
    size_t len = 0;
    uint32_t bits = 0;
    int n_bits = 0;
    n->blob = memory_array(char, in.len + 1);
    for (size_t i = 0; i < in.len && in.ptr[i] != '='; i++) {
        int digit = base64_digit(in.ptr[i]);
        if (digit < 0)
            return error_set(err, ERR_FORMAT, "%s.precompiled_charsmap: not base64", field);
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            n->blob[len++] = (char)(bits >> n_bits & 0xFF);
        }
    }
    return charsmap_open(&n->map, slice_of(n->blob, len), field, err);
}

static struct normalizer *next_normalizer(struct tokenizer *t, const char *field, struct error *err)
{
    if (t->normalizers.n == NORMALIZERS_MAX) {
        error_set(err, ERR_LIMIT, "%s: more than %d steps", field, NORMALIZERS_MAX);
        return NULL;
    }
    return &t->normalizers.items[t->normalizers.n++];
}

static bool add_normalizer(struct tokenizer *t, enum normalizer_kind kind, const char *field,
                           struct error *err)
{
    struct normalizer *n = next_normalizer(t, field, err);
    if (n)
        n->kind = kind;
    return n != NULL;
}

static bool add_bert(struct tokenizer *t, const json_t *json, const char *field, struct error *err)
{
    bool lower = flag(json, "lowercase", true);
    bool accents = flag(json, "strip_accents", lower);
    if (flag(json, "clean_text", true) && !add_normalizer(t, NORMALIZE_BERT_CLEAN, field, err))
        return false;
    if (flag(json, "handle_chinese_chars", true) &&
        !add_normalizer(t, NORMALIZE_BERT_CHINESE, field, err))
        return false;
    if (accents && (!add_normalizer(t, NORMALIZE_NFD, field, err) ||
                    !add_normalizer(t, NORMALIZE_BERT_MARKS, field, err)))
        return false;
    return !lower || add_normalizer(t, NORMALIZE_LOWERCASE, field, err);
}

bool read_normalizer(struct tokenizer *t, const json_t *json, const char *field, int depth,
                     struct error *err)
{
    static const struct {
        const char *type;
        enum normalizer_kind kind;
    } plain[] = {
        {"NFC", NORMALIZE_NFC},
        {"NFD", NORMALIZE_NFD},
        {"NFKC", NORMALIZE_NFKC},
        {"NFKD", NORMALIZE_NFKD},
        {"Lowercase", NORMALIZE_LOWERCASE},
        {"StripAccents", NORMALIZE_STRIP_ACCENTS},
        {"Nmt", NORMALIZE_NMT},
        {"ByteLevel", NORMALIZE_BYTE_LETTERS},
    };
    if (!json || json_is_null(json))
        return true;
    const char *type = type_of(json);
    if (is(type, "Sequence"))
        return read_list(t, json, "normalizers", field, depth, read_normalizer, err);
    if (is(type, "BertNormalizer"))
        return add_bert(t, json, field, err);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is(type, plain[i].type))
            return add_normalizer(t, plain[i].kind, field, err);
    struct normalizer *n = next_normalizer(t, field, err);
    if (!n)
        return false;
    if (is(type, "Replace")) {
        n->kind = NORMALIZE_REPLACE;
        n->pattern = read_pattern(json, field, err);
        return n->pattern && read_text(json, "content", field, &n->text, &n->text_len, err);
    }
    if (is(type, "Prepend")) {
        n->kind = NORMALIZE_PREPEND;
        return read_text(json, "prepend", field, &n->text, &n->text_len, err);
    }
    if (is(type, "Strip")) {
        n->kind = NORMALIZE_STRIP;
        n->left = flag(json, "strip_left", true);
        n->right = flag(json, "strip_right", true);
        return true;
    }
    if (is(type, "Precompiled")) {
        n->kind = NORMALIZE_CHARSMAP;
        return read_charsmap(n, json, field, err);
    }
    return error_set(err, ERR_UNSUPPORTED, "%s.type: '%.40s'", field, type);
}

bool add_pretokenizer(struct tokenizer *t, struct pretokenizer p, const char *field,
                      struct error *err)
{
    if (t->n_pre == PRETOKENIZERS_MAX) {
        pretokenizer_release(&p);
        return error_set(err, ERR_LIMIT, "%s: more than %d steps", field, PRETOKENIZERS_MAX);
    }
    t->pre[t->n_pre++] = p;
    return true;
}

bool add_split_regex(struct tokenizer *t, const char *regex, int behavior, bool invert,
                     const char *field, struct error *err)
{
    struct pattern *pattern = pattern_new_regex(slice_str(regex), field, err);
    struct pretokenizer p = {.kind = PRE_SPLIT, .pattern = pattern, .invert = invert};
    p.behavior = (enum split_behavior)behavior;
    return pattern && add_pretokenizer(t, p, field, err);
}

bool add_byte_level(struct tokenizer *t, bool prefix_space, bool use_regex, const char *field,
                    struct error *err)
{
    struct pretokenizer p = {.kind = PRE_BYTE_LEVEL, .prefix_space = prefix_space};
    if (use_regex)
        p.pattern = pattern_new_regex(slice_str(GPT2_WORDS), field, err);
    return add_pretokenizer(t, p, field, err);
}

static bool add_class(struct tokenizer *t, unsigned classes, enum split_behavior behavior,
                      const char *field, struct error *err)
{
    struct pretokenizer p = {.kind = PRE_SPLIT, .behavior = behavior};
    p.pattern = pattern_new_class((uint16_t)classes, field);
    return add_pretokenizer(t, p, field, err);
}

bool bert_pretokenizer(struct tokenizer *t, struct error *err)
{
    return add_class(t, CHAR_SPACE, SPLIT_REMOVED, "pre_tokenizer", err) &&
           add_class(t, CHAR_BERT_PUNCT, SPLIT_ISOLATED, "pre_tokenizer", err);
}

static bool read_behavior(const json_t *json, enum split_behavior *behavior, const char *field,
                          struct error *err)
{
    static const char *const names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
    const char *name = json_get_text(json, "behavior");
    for (int i = 0; name && i < 5; i++) {
        if (is(name, names[i])) {
            *behavior = (enum split_behavior)i;
            return true;
        }
    }
    return error_set(err, ERR_FORMAT, "%s.behavior: '%.40s' is no behaviour", field,
                     name ? name : "");
}

// One character, given as a string.
static bool read_character(const json_t *json, const char *key, const char *field, char *out,
                           size_t room, size_t *len, struct error *err)
{
    const json_t *v = json_object_get(json, key);
    uint32_t c;
    if (!json_is_string(v) || json_string_length(v) == 0 || json_string_length(v) >= room ||
        utf8_decode(json_string_value(v), json_string_length(v), &c) != json_string_length(v))
        return error_set(err, ERR_FORMAT, "%s.%s: not one character", field, key);
    *len = json_string_length(v);
    memcpy(out, json_string_value(v), *len);
    out[*len] = 0;
    return true;
}

static bool read_scheme(const json_t *json, enum prepend_scheme *scheme, const char *field,
                        struct error *err)
{
    const char *name = json_get_text(json, "prepend_scheme");
    bool prefix = flag(json, "add_prefix_space", true);
    *scheme = PREPEND_ALWAYS;
    if (name && is(name, "first"))
        *scheme = PREPEND_FIRST;
    else if (name && is(name, "never"))
        *scheme = PREPEND_NEVER;
    else if (name && !is(name, "always"))
        return error_set(err, ERR_FORMAT, "%s.prepend_scheme: '%.40s'", field, name);
    if (!prefix)
        *scheme = PREPEND_NEVER;
    return true;
}

static bool read_metaspace(struct tokenizer *t, const json_t *json, const char *field,
                           struct error *err)
{
    struct pretokenizer p = {.kind = PRE_METASPACE, .split = flag(json, "split", true)};
    if (!read_character(json, "replacement", field, p.meta, sizeof p.meta, &p.meta_len, err) ||
        !read_scheme(json, &p.scheme, field, err))
        return false;
    p.pattern = pattern_new_text(slice_of(p.meta, p.meta_len), field);
    return add_pretokenizer(t, p, field, err);
}

static bool read_split(struct tokenizer *t, const json_t *json, const char *field,
                       struct error *err)
{
    struct pretokenizer p = {.kind = PRE_SPLIT, .invert = flag(json, "invert", false)};
    if (!read_behavior(json, &p.behavior, field, err))
        return false;
    p.pattern = read_pattern(json, field, err);
    return p.pattern && add_pretokenizer(t, p, field, err);
}

static bool read_fixed(struct tokenizer *t, const json_t *json, const char *field,
                       struct error *err)
{
    int64_t length = 5;
    (void)json_get_i64(json, "length", &length);
    if (length < 1)
        return error_set(err, ERR_FORMAT, "%s.length: %lld", field, (long long)length);
    struct pretokenizer p = {.kind = PRE_FIXED_LENGTH, .length = (size_t)length};
    return add_pretokenizer(t, p, field, err);
}

static bool read_delimiter(struct tokenizer *t, const json_t *json, const char *field,
                           struct error *err)
{
    char text[8];
    size_t len;
    struct pretokenizer p = {.kind = PRE_SPLIT, .behavior = SPLIT_REMOVED};
    if (!read_character(json, "delimiter", field, text, sizeof text, &len, err))
        return false;
    p.pattern = pattern_new_text(slice_of(text, len), field);
    return add_pretokenizer(t, p, field, err);
}

bool read_pretokenizer(struct tokenizer *t, const json_t *json, const char *field, int depth,
                       struct error *err)
{
    enum split_behavior behavior = SPLIT_ISOLATED;
    if (!json || json_is_null(json))
        return true;
    const char *type = type_of(json);
    if (is(type, "Sequence"))
        return read_list(t, json, "pretokenizers", field, depth, read_pretokenizer, err);
    if (is(type, "Split"))
        return read_split(t, json, field, err);
    if (is(type, "ByteLevel"))
        return add_byte_level(t, flag(json, "add_prefix_space", true),
                              flag(json, "use_regex", true), field, err);
    if (is(type, "Metaspace"))
        return read_metaspace(t, json, field, err);
    if (is(type, "Digits"))
        return add_class(t, CHAR_NUMERIC,
                         flag(json, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS,
                         field, err);
    if (is(type, "Punctuation"))
        return (!json_object_get(json, "behavior") || read_behavior(json, &behavior, field, err)) &&
               add_class(t, CHAR_BERT_PUNCT, behavior, field, err);
    if (is(type, "WhitespaceSplit"))
        return add_class(t, CHAR_SPACE, SPLIT_REMOVED, field, err);
    if (is(type, "Whitespace"))  // words, and runs of what is neither word nor space
        return add_class(t, CHAR_SPACE, SPLIT_REMOVED, field, err) &&
               add_class(t, CHAR_WORD, SPLIT_CONTIGUOUS, field, err);
    if (is(type, "BertPreTokenizer"))
        return bert_pretokenizer(t, err);
    if (is(type, "CharDelimiterSplit"))
        return read_delimiter(t, json, field, err);
    if (is(type, "FixedLength"))
        return read_fixed(t, json, field, err);
    return error_set(err, ERR_UNSUPPORTED, "%s.type: '%.40s'", field, type);
}

static bool fill_decoder(struct decoder *d, const char *type, const json_t *json, const char *field,
                         struct error *err)
{
    enum prepend_scheme scheme;
    if (is(type, "ByteLevel")) {
        d->kind = DECODE_BYTE_LEVEL;
        return true;
    }
    if (is(type, "ByteFallback")) {
        d->kind = DECODE_BYTE_FALLBACK;
        return true;
    }
    if (is(type, "Fuse")) {
        d->kind = DECODE_FUSE;
        return true;
    }
    if (is(type, "Metaspace")) {
        d->kind = DECODE_METASPACE;
        if (!read_scheme(json, &scheme, field, err))
            return false;
        d->strips_first = scheme != PREPEND_NEVER;
        return read_text(json, "replacement", field, &d->text, &d->text_len, err);
    }
    if (is(type, "Replace")) {
        d->kind = DECODE_REPLACE;
        d->pattern = read_pattern(json, field, err);
        return d->pattern && read_text(json, "content", field, &d->text, &d->text_len, err);
    }
    if (is(type, "Strip")) {
        d->kind = DECODE_STRIP;
        (void)json_get_i64(json, "start", &d->start);
        (void)json_get_i64(json, "stop", &d->stop);
        return read_text(json, "content", field, &d->text, &d->text_len, err);
    }
    if (is(type, "WordPiece")) {
        d->kind = DECODE_WORDPIECE;
        d->cleanup = flag(json, "cleanup", true);
        return read_text(json, "prefix", field, &d->text, &d->text_len, err);
    }
    if (is(type, "BPEDecoder")) {
        d->kind = DECODE_BPE;
        return read_text(json, "suffix", field, &d->text, &d->text_len, err);
    }
    if (is(type, "CTC")) {
        size_t len;
        d->kind = DECODE_CTC;
        d->cleanup = flag(json, "cleanup", true);
        return read_text(json, "word_delimiter_token", field, &d->text, &d->text_len, err) &&
               read_text(json, "pad_token", field, &d->pad, &len, err);
    }
    return error_set(err, ERR_UNSUPPORTED, "%s.type: '%.40s'", field, type);
}

bool read_decoder(struct tokenizer *t, const json_t *json, const char *field, int depth,
                  struct error *err)
{
    if (!json || json_is_null(json))
        return true;
    const char *type = type_of(json);
    if (is(type, "Sequence"))
        return read_list(t, json, "decoders", field, depth, read_decoder, err);
    if (t->decoders.n == DECODERS_MAX)
        return error_set(err, ERR_LIMIT, "%s: more than %d steps", field, DECODERS_MAX);
    return fill_decoder(&t->decoders.items[t->decoders.n++], type, json, field, err);
}

// New ids go around those that are there already.
static void surround(struct tokens *before, const struct tokens *fresh)
{
    struct tokens all = {0};
    for (size_t i = 0; i < fresh->n; i++)
        tokens_add(&all, fresh->ids[i]);
    for (size_t i = 0; i < before->n; i++)
        tokens_add(&all, before->ids[i]);
    tokens_release(before);
    *before = all;
}

static bool template_ids(const json_t *json, const json_t *piece, struct tokens *to,
                         const char *field, struct error *err)
{
    const char *name = json_get_text(piece, "id");
    const json_t *special =
        name ? json_object_get(json_object_get(json, "special_tokens"), name) : NULL;
    const json_t *ids = json_object_get(special, "ids");
    if (json_array_size(ids) > 64)
        return error_set(err, ERR_LIMIT, "%s.special_tokens: more than 64 ids", field);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= VOCAB_MAX)
            return error_set(err, ERR_FORMAT, "%s.special_tokens: '%.40s' has no valid id", field,
                             name);
        tokens_add(to, (int32_t)json_integer_value(id));
    }
    if (!json_is_array(ids))
        return error_set(err, ERR_FORMAT, "%s.single: '%.40s' is no special token", field,
                         name ? name : "");
    return true;
}

static bool read_template(struct tokenizer *t, const json_t *json, const char *field,
                          struct error *err)
{
    struct tokens before = {0}, after = {0};
    const json_t *single = json_object_get(json, "single");
    bool seen = false, ok = json_is_array(single) && json_array_size(single) <= 64;
    if (!ok)
        error_set(err, ERR_FORMAT, "%s.single: not a list of at most 64", field);
    for (size_t i = 0; ok && i < json_array_size(single); i++) {
        const json_t *piece = json_array_get(single, i);
        const json_t *special = json_object_get(piece, "SpecialToken");
        if (special)
            ok = template_ids(json, special, seen ? &after : &before, field, err);
        else if (seen)
            ok = error_set(err, ERR_UNSUPPORTED, "%s.single: the text more than once", field);
        else
            seen = true;
    }
    if (ok) {
        surround(&t->before, &before);
        for (size_t i = 0; i < after.n; i++)
            tokens_add(&t->after, after.ids[i]);
    }
    tokens_release(&before);
    tokens_release(&after);
    return ok;
}

static bool pair_id(const json_t *json, const char *key, const char *field, int32_t *id,
                    struct error *err)
{
    const json_t *v = json_array_get(json_object_get(json, key), 1);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= VOCAB_MAX)
        return error_set(err, ERR_FORMAT, "%s.%s: not a token and its id", field, key);
    *id = (int32_t)json_integer_value(v);
    return true;
}

bool read_postprocessor(struct tokenizer *t, const json_t *json, const char *field, int depth,
                        struct error *err)
{
    if (!json || json_is_null(json))
        return true;
    const char *type = type_of(json);
    if (is(type, "Sequence"))
        return read_list(t, json, "processors", field, depth, read_postprocessor, err);
    if (is(type, "ByteLevel"))  // changes offsets only
        return true;
    if (is(type, "TemplateProcessing"))
        return read_template(t, json, field, err);
    if (is(type, "BertProcessing") || is(type, "RobertaProcessing")) {
        int32_t sep, cls;
        if (!pair_id(json, "sep", field, &sep, err) || !pair_id(json, "cls", field, &cls, err))
            return false;
        surround(&t->before, &(struct tokens){&cls, 1, 1});
        tokens_add(&t->after, sep);
        return true;
    }
    return error_set(err, ERR_UNSUPPORTED, "%s.type: '%.40s'", field, type);
}
