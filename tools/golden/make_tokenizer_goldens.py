#!/usr/bin/env python3
"""Trains small tokenizers with `tokenizers` and `sentencepiece` and writes what they answer.

Writes tests/golden/data/tokenizer/: texts.json, and a folder per tokenizer with its own file and
golden.json ({"plain": ids, "special": ids, "decoded": texts}, one entry per text). The training text
is the repository's own documentation and some generated lines. Run from the repository root.
"""
import base64
import io
import json
import pathlib
import random
import shutil
import sys

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors as R, trainers as T

sys.path.insert(0, "tools")
OUT = pathlib.Path("tests/golden/data/tokenizer")
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPACES = " \t\n\r\x0b\x0c\u00a0\u1680\u2003\u200a\u200b\u2028\u202f\u3000\ufeff\u0085\u2581"


def corpus():
    text = "".join(p.read_text() for p in sorted(pathlib.Path("docs").glob("*.md")))
    lines = [l for l in text.splitlines() if l.strip()][:1500]
    return lines + ["Ærøskøbing naïve café über straße"] * 5 + ["日本語 テスト 東京 한국어 дом"] * 5 + ["1234 5678 90 3.14"] * 5


def texts():
    r = random.Random(7)
    fixed = ["", " ", "  ", "\n", "Hello world", " Hello  world ", "Hello, y'all! How are you?", "the model's tokens don't stop; WE'LL see",
             "3.14159 1234567 ½ ² Ⅷ", "naïve café e\u0301 ﬁ ﷺ ㌔ ａｂｃ", "日本語テスト 東京 한국어 ไทย हिन्दी", "🙂 👩‍👩‍👧 🇩🇪", "a\u0300\u0323b İ ı ſ K ß",
             "<s>Hello</s> [CLS] x [SEP]", "<s> Hello </s>  <mask> mask<mask>ed", "<|x|>a <|x|> b", "\u2581a\u2581\u2581b c", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "foo_bar(baz)=[1,2];//x\r\n\r\n\tend",
             "\x00\x01\x7f\x85\ufffd\ufeff", "don't 'S 'LL 'ſ o'clock", "ends with space ", "日本\u3000語", "x\u200by\u2028z"]
    words = "the of model text world's token 12 345 naïve 東京 é 🙂 <s> </s> don't x=1".split()
    out = list(fixed)
    for i in range(70):
        out.append("".join(r.choice(words) + r.choice([" ", "", "  ", "\n", ", "]) for _ in range(r.randrange(1, 9))))
    for i in range(50):
        out.append("".join(chr(r.choice([r.randrange(32, 127), r.randrange(0xA0, 0x500), r.randrange(0x600, 0xD000), r.randrange(0xE000, 0x32000)])) if r.random() < 0.8 else r.choice(SPACES) for _ in range(r.randrange(1, 20))))
    for i in range(20):
        out.append(bytes(r.choice([r.randrange(256), r.randrange(32, 127), 0xE2, 0xF0, 0x9F]) for _ in range(r.randrange(1, 16))).decode("utf-8", "replace"))
    for i in range(20):
        out.append("".join(r.choice(SPACES) * r.randrange(1, 5) + r.choice("a1.é") for _ in range(5)))
    return out


def bpe(vocab=400, **k):
    keep = {x: k.pop(x) for x in ("initial_alphabet", "special_tokens", "continuing_subword_prefix", "end_of_word_suffix") if x in k}
    t = Tokenizer(M.BPE(**k, **{x: v for x, v in keep.items() if x.endswith("fix")}))
    return t, T.BpeTrainer(vocab_size=vocab, show_progress=False, **keep)


def trained(t, trainer, lines):
    t.train_from_iterator(lines, trainer)
    return t


def byte_level(pre, lines, normalizer=None, extra=(), vocab=450, **k):
    t, trainer = bpe(vocab, initial_alphabet=P.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"], **k)
    t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = D.ByteLevel()
    return trained(t, trainer, lines)


def cases(lines):
    split = lambda r, b="isolated", invert=False: P.Split(Regex(r), b, invert)
    raw = P.ByteLevel(add_prefix_space=False, use_regex=False)
    yield "gpt2", byte_level(P.ByteLevel(add_prefix_space=False), lines)
    t = byte_level(P.Sequence([split(LLAMA3), raw]), lines, ignore_merges=True)
    t.post_processor = R.Sequence([R.ByteLevel(trim_offsets=False), R.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])])
    yield "llama3", t
    yield "qwen2", byte_level(P.Sequence([split(QWEN2), raw]), lines, N.NFC())
    yield "o200k", byte_level(P.Sequence([split(O200K), raw]), lines)
    t = byte_level(P.Sequence([P.Punctuation("contiguous"), P.ByteLevel(add_prefix_space=False), P.Digits(False), split("[0-9][0-9][0-9]")]), lines)
    yield "falcon", t
    t = byte_level(P.Sequence([P.Digits(True), P.ByteLevel(add_prefix_space=True)]), lines, N.Sequence([N.NFKC(), N.StripAccents()]))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True), AddedToken("<|x|>", rstrip=True)])
    t.post_processor = R.RobertaProcessing(("</s>", 1), ("<s>", 0))
    yield "roberta", t
    yield "deepseek", byte_level(P.Sequence([split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(r"\s+$"), split("[一-龥ࠀ-一가-퟿]+"), P.Digits(True), raw]), lines)
    yield "bloom", byte_level(P.Sequence([split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), raw]), lines)
    # SentencePiece BPE as converted: everything one word, byte fallback.
    t, trainer = bpe(500, unk_token="<unk>", fuse_unk=True, byte_fallback=True, special_tokens=["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)])
    t.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    t.pre_tokenizer = P.Split("▁", "merged_with_next")
    trained(t, trainer, lines)
    data = json.loads(t.to_str())
    data["pre_tokenizer"] = None
    data["added_tokens"] = [a for a in data["added_tokens"] if a["id"] < 3]
    t = Tokenizer.from_str(json.dumps(data))
    t.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    t.post_processor = R.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    yield "llama2", t
    for scheme in ("first", "never"):
        t, trainer = bpe(400, unk_token="<unk>", special_tokens=["<unk>", "<s>"])
        t.pre_tokenizer = P.Metaspace(prepend_scheme=scheme, split=scheme == "first")
        t.decoder = D.Metaspace(prepend_scheme=scheme)
        yield "metaspace-" + scheme, trained(t, trainer, lines)
    t, trainer = bpe(400, unk_token="<unk>", special_tokens=["<unk>"], end_of_word_suffix="</w>")
    t.normalizer = N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()])
    t.pre_tokenizer = P.Sequence([split(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "removed", True)])
    t.decoder = D.BPEDecoder("</w>")
    yield "clip", trained(t, trainer, lines)
    t, trainer = bpe(400, unk_token="<unk>", special_tokens=["<unk>"], continuing_subword_prefix="##")
    t.pre_tokenizer = P.Whitespace()
    yield "prefix", trained(t, trainer, lines)
    t = Tokenizer(M.WordPiece(unk_token="[UNK]"))
    t.normalizer = N.BertNormalizer()
    t.pre_tokenizer = P.BertPreTokenizer()
    t.decoder = D.WordPiece()
    trained(t, T.WordPieceTrainer(vocab_size=500, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False), lines)
    t.post_processor = R.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    yield "bert", t
    t = Tokenizer(M.WordPiece(unk_token="[UNK]", max_input_chars_per_word=10))
    t.normalizer = N.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    t.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Punctuation("merged_with_previous"), P.Digits(False)])
    t.decoder = D.WordPiece(cleanup=False)
    yield "bert-cased", trained(t, T.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]"], show_progress=False), lines)
    charsmap = charsmap_of("nmt_nfkc")
    t = Tokenizer(M.Unigram())
    t.normalizer = N.Sequence([N.Precompiled(charsmap), N.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Metaspace()])
    t.decoder = D.Metaspace()
    trained(t, T.UnigramTrainer(vocab_size=400, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False), lines)
    t.post_processor = R.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    yield "t5", t
    t = Tokenizer(M.Unigram())
    t.normalizer = N.Sequence([N.Nmt(), N.NFKD(), N.Strip(), N.Lowercase()])
    t.pre_tokenizer = P.Metaspace(prepend_scheme="first", split=False)
    t.decoder = D.Metaspace(prepend_scheme="first")
    trained(t, T.UnigramTrainer(vocab_size=300, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False), lines)
    t.add_tokens(["world"])
    yield "unigram", t
    t = Tokenizer(M.WordLevel(unk_token="?"))
    t.pre_tokenizer = P.Sequence([P.CharDelimiterSplit(" "), P.Punctuation("merged_with_next")])
    trained(t, T.WordLevelTrainer(vocab_size=300, special_tokens=["?"], show_progress=False), lines)
    t.add_tokens([AddedToken("world", single_word=True, normalized=False), AddedToken("naïve")])
    yield "wordlevel", t


def train_spm(lines, **k):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, hard_vocab_limit=False, num_threads=1, minloglevel=2, **k)
    return out.getvalue()


def charsmap_of(name):
    model = train_spm(corpus(), vocab_size=300, normalization_rule_name=name)
    at = 0
    fields = {}

    def varint(data, i):
        value = shift = 0
        while True:
            value |= (data[i] & 127) << shift
            shift += 7
            i += 1
            if data[i - 1] < 128:
                return value, i

    while at < len(model):
        key, at = varint(model, at)
        n, at = varint(model, at)
        fields[key >> 3] = model[at:at + n]
        at += n
    spec, at = fields[3], 0
    while at < len(spec):
        key, at = varint(spec, at)
        n, at2 = varint(spec, at)
        if key & 7 == 0:
            at = at2
            continue
        if key >> 3 == 2:
            return spec[at2:at2 + n]
        at = at2 + n
    raise ValueError("no charsmap")


def spm_cases(lines):
    yield "spm-unigram", train_spm(lines, vocab_size=400, model_type="unigram", normalization_rule_name="identity", user_defined_symbols=["<mask>", "world"])
    yield "spm-nfkc", train_spm(lines, vocab_size=350, model_type="unigram", normalization_rule_name="nmt_nfkc_cf", byte_fallback=True)
    yield "spm-bpe", train_spm(lines, vocab_size=600, model_type="bpe", normalization_rule_name="identity", byte_fallback=True, remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, split_digits=True, user_defined_symbols=["<mask>", "don't"])
    yield "spm-bpe-unk", train_spm(lines, vocab_size=350, model_type="bpe", normalization_rule_name="identity", add_dummy_prefix=False, split_by_whitespace=False)


def write(folder, name, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def main():
    lines, strings = corpus(), texts()
    shutil.rmtree(OUT, ignore_errors=True)
    write(OUT, "texts.json", json.dumps(strings, ensure_ascii=True, indent=0) + "\n")
    dump = lambda o: json.dumps(o, separators=(",", ":"))
    for name, t in cases(lines):
        t = Tokenizer.from_str(t.to_str())
        t.encode_special_tokens = True
        plain = [e.ids for e in t.encode_batch(strings, add_special_tokens=False)]
        t.encode_special_tokens = False
        special = [e.ids for e in t.encode_batch(strings)]
        write(OUT / name, "tokenizer.json", dump(json.loads(t.to_str())))
        write(OUT / name, "golden.json", dump({"plain": plain, "special": special, "decoded": [t.decode(i, skip_special_tokens=False) for i in special]}) + "\n")
        print(name, t.get_vocab_size())
    for name, model in spm_cases(lines):
        p = sentencepiece.SentencePieceProcessor(model_proto=model)
        plain = [p.encode(s) for s in strings]
        write(OUT / name, "tokenizer.model", model)
        write(OUT / name, "golden.json", dump({"plain": plain, "decoded": [p.decode(i) for i in plain]}) + "\n")
        print(name, p.get_piece_size())


main()
