#include "local/tokenizer/gguf_pre.h"

#include "base/error.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/read_pipeline.h"

// Each in the words of the tokenizer.json files it comes from.
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CL100K(digits)                                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                           \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CASED_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail, digits)                                                                        \
    "[^\\r\\n\\p{L}\\p{N}]?" CASED_UPPER "*" CASED_LOWER "+" tail                                  \
    "|[^\\r\\n\\p{L}\\p{N}]?" CASED_UPPER "+" CASED_LOWER "*" tail "|" digits                      \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define FALCON_PUNCT "[\\p{P}\\$\\+<=>\\^~\\|`]+"
#define HAN_HANGUL "[一-龥ࠀ-一가-퟿]+"
// The formatter counts bytes and would break between any two of these letters.
// clang-format off
#define LATIN_GREEK_CYRILLIC \
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-" \
    "Ჿᴀ-" \
    "ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙ" \
    "ὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-" \
    "ꞇꞋ-" \
    "ꞎꭰ-ꮿ" \
    "ﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]" \
    "+"
// clang-format on

const char gguf_pre_gpt2[] = GPT2;

enum { BOS = 1, WHOLE_WORDS = 2, NFC = 4 };
static const struct {
    const char *names;  // separated by spaces
    unsigned flags;
    const char *steps[8];
} known[] = {
    {"default", 0, {FALCON_PUNCT, GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"gpt-2 phi-2 mpt olmo jais gpt-neox roberta-bpe modern-bert trillion granite-docling "
     "jina-es jina-de jina-v1-en jina-v2-es jina-v2-de a.x-4.0 mellum",
     0,
     {GPT2}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 midm-2.0 lfm2",
     BOS | WHOLE_WORDS,
     {CL100K("\\p{N}{1,3}")}},
    {"dbrx smaug-bpe chatglm-bpe glm4", 0, {CL100K("\\p{N}{1,3}")}},
    {"qwen2 deepseek-r1-qwen megrez", NFC, {CL100K("\\p{N}")}},
    {"stablelm2 hunyuan", 0, {CL100K("\\p{N}")}},
    {"deepseek-llm",
     0,
     {"[\\r\\n]", LATIN_GREEK_CYRILLIC, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", HAN_HANGUL,
      "\\p{N}+"}},
    {"deepseek-coder", 0, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN_HANGUL, "\\p{N}"}},
    {"deepseek-v3 hunyuan-dense",
     BOS,
     {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}"
      "\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"falcon", 0, {FALCON_PUNCT, GPT2, "[0-9][0-9][0-9]"}},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b", 0, {"\\p{N}", GPT2}},
    {"bloom gpt3-finnish poro-chat", 0, {" ?[^(\\s|.,!?…。，、।۔،)]+"}},
    {"viking", 0, {" ?[^(\\s|.,!?…。，、।۔،)]+", "\\p{N}"}},
    {"tekken pixtral", BOS | WHOLE_WORDS, {CASED("", "\\p{N}")}},
    {"gpt-4o llama4", 0, {CASED("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "\\p{N}{1,3}")}},
};

static bool is_among(struct slice name, const char *names)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        if (slice_eq(name, slice_of(p, n)))
            return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

bool gguf_pretokenizer(struct tokenizer *t, struct slice name, bool *add_bos, struct error *err)
{
    static const char field[] = "tokenizer.ggml.pre";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!is_among(name, known[i].names))
            continue;
        *add_bos = known[i].flags & BOS;
        t->model.ignore_merges = known[i].flags & WHOLE_WORDS;
        if (known[i].flags & NFC)
            t->normalizers.items[t->normalizers.n++].kind = NORMALIZE_NFC;
        for (int k = 0; k < 8 && known[i].steps[k]; k++)
            if (!add_split_regex(t, known[i].steps[k], SPLIT_ISOLATED, false, field, err))
                return false;
        return add_byte_level(t, false, false, field, err);
    }
    return error_set(err, ERR_UNSUPPORTED, "%s: the pre-tokenizer '%.*s' is not known", field,
                     (int)(name.len > 40 ? 40 : name.len), name.ptr);
}

// Line ends may stand in an expression as they are or as escapes.
static bool same_regex(const char *known_step, const char *step)
{
    while (*known_step && *step) {
        const char *escape = *step == '\r' ? "\\r" : *step == '\n' ? "\\n" : NULL;
        if (escape && strncmp(known_step, escape, 2) == 0)
            known_step += 2;
        else if (*known_step++ != *step)
            return false;
        step++;
    }
    return *known_step == *step;
}

static bool same_steps(const char *const *known_steps, const char *const *steps, int n)
{
    for (int i = 0; i < n; i++)
        if (i >= 8 || !known_steps[i] || !same_regex(known_steps[i], steps[i]))
            return false;
    return n == 8 || !known_steps[n];
}

struct slice gguf_pre_name(const char *const *steps, int n, bool whole_words, bool nfc)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bool flags =
            !(known[i].flags & WHOLE_WORDS) == !whole_words && !(known[i].flags & NFC) == !nfc;
        if (n > 0 && flags && same_steps(known[i].steps, steps, n))
            return slice_of(known[i].names, strcspn(known[i].names, " "));
    }
    return (struct slice){0};
}
