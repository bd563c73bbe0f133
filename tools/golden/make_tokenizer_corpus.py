#!/usr/bin/env python3
"""Writes the fuzz corpora of the tokenizers: small whole ones, and one file per class of damage."""
import json
import pathlib
import struct

CORPUS = pathlib.Path("tests/fuzz/corpus")
TEXT = "Hello  world <s> a\u0301 12345 \u2581\u6771\u4eac \U0001f642\n\n'll ".encode() + b"\xff\xe2\x82"
BPE = {"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, "ab": 3, "\u0120": 4, "l": 5, "ll": 6, "<s>": 7, "\u2581": 8}, "merges": ["a b", ["l", "l"]]}
ADDED = [{"id": 7, "content": "<s>", "special": True, "lstrip": True, "normalized": True}, {"id": 9, "content": "world", "single_word": True, "rstrip": True}]


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def nested(key, depth):
    step = sequence(key)
    for _ in range(depth):
        step = sequence(key, step)
    return step


def json_cases():
    model = dict(BPE)
    yield "byte-level", {"model": model, "added_tokens": ADDED, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}, "decoder": {"type": "ByteLevel"}, "post_processor": {"type": "RobertaProcessing", "sep": ["<s>", 7], "cls": ["<s>", 7]}}
    yield "normalizers", {"model": dict(model, byte_fallback=True, fuse_unk=True), "added_tokens": ADDED, "normalizer": sequence("normalizers", {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Strip"}, {"type": "Nmt"}, {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"Regex": " +"}, "content": "\u2581"}, {"type": "BertNormalizer"}), "decoder": sequence("decoders", {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1})}
    yield "pre-tokenizers", {"model": dict(model, continuing_subword_prefix="", end_of_word_suffix="</w>"), "pre_tokenizer": sequence("pretokenizers", split("\\d", "Contiguous"), split("[a-c]+", "MergedWithNext", True), split(" ", "MergedWithPrevious"), {"type": "Digits", "individual_digits": True}, {"type": "Punctuation"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}, {"type": "Whitespace"}, {"type": "CharDelimiterSplit", "delimiter": "x"}, {"type": "FixedLength", "length": 3}), "decoder": {"type": "BPEDecoder", "suffix": "</w>"}}
    yield "unigram", {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1.5], ["ab", -2], ["\u2581", -3], ["world", -1]], "byte_fallback": False}, "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}}
    yield "wordpiece", {"model": {"type": "WordPiece", "unk_token": "?", "max_input_chars_per_word": 20, "continuing_subword_prefix": "##", "vocab": {"?": 0, "a": 1, "##b": 2, "world": 3, "##l": 4}}, "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}
    yield "wordlevel", {"model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "world": 1}}, "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": {"type": "CTC", "pad_token": "?", "word_delimiter_token": "|"}}
    yield "template", {"model": model, "post_processor": sequence("processors", {"type": "ByteLevel"}, {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [7], "tokens": ["<s>"]}}})}
    yield "same-id-twice", {"model": dict(model, vocab={"a": 0, "b": 0})}
    yield "id-negative", {"model": dict(model, vocab={"a": -1})}
    yield "id-huge", {"model": dict(model, vocab={"a": 2**62})}
    yield "id-last-allowed", {"model": dict(model, vocab={"a": 2**21 - 1}, merges=[])}
    yield "id-string", {"model": dict(model, vocab={"a": "1"})}
    yield "merge-unknown", {"model": dict(model, merges=["a z"])}
    yield "merge-one-side", {"model": dict(model, merges=["ab"])}
    yield "merge-number", {"model": dict(model, merges=[1])}
    yield "scores-wrong-type", {"model": {"type": "Unigram", "vocab": [["a", "x"]]}}
    yield "unk-out-of-range", {"model": {"type": "Unigram", "unk_id": 5, "vocab": [["a", 0]]}}
    yield "regex-broken", {"model": model, "pre_tokenizer": split("(")}
    yield "regex-catastrophic", {"model": model, "pre_tokenizer": split("(a|a|l+)+$")}
    yield "regex-empty", {"model": model, "pre_tokenizer": split("")}
    yield "regex-keep-out", {"model": model, "pre_tokenizer": split("(?=.\\K)")}
    yield "regex-recursive", {"model": model, "pre_tokenizer": split("(a(?1)?)*")}
    yield "sequence-deep", {"model": model, "pre_tokenizer": nested("pretokenizers", 30)}
    yield "normalizer-deep", {"model": model, "normalizer": nested("normalizers", 30)}
    yield "normalizer-grows", {"model": model, "normalizer": sequence("normalizers", *[{"type": "Replace", "pattern": {"Regex": ""}, "content": "x" * 200}] * 5)}
    yield "charsmap-short", {"model": model, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AA=="}}
    yield "charsmap-offset", {"model": model, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "CAAAAP//////////YQA="}}
    yield "charsmap-no-base64", {"model": model, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "*"}}
    yield "added-empty", {"model": model, "added_tokens": [{"id": 3, "content": ""}]}
    yield "added-no-id", {"model": model, "added_tokens": [{"content": "x"}]}
    yield "template-unknown", {"model": model, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {}}}
    yield "template-id-out-of-range", {"model": model, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {"x": {"ids": [1000000]}}}}
    yield "steps-too-many", {"model": model, "pre_tokenizer": sequence("pretokenizers", *[{"type": "Whitespace"}] * 40)}
    yield "type-unknown", {"model": model, "decoder": {"type": "Nothing"}}
    yield "vocab-empty", {"model": dict(model, vocab={}, merges=[])}


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def spm(pieces, trainer=b"", normalizer=b""):
    body = b"".join(field(1, field(1, p.encode()) + field(2, float(s)) + field(3, k)) for p, s, k in pieces)
    return body + field(2, trainer) + field(3, normalizer)


def spm_cases():
    base = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u2581", -1, 1), ("a", -2, 1), ("b", -3, 1), ("ab", -4, 1), ("<m>", 0, 4), ("\u2581a", -5, 1)]
    bpe, byte = field(3, 2), field(35, 1)
    yield "bpe", spm(base, bpe) + b"\x7a\x10 ab a  <m> b <s>x"
    yield "unigram", spm(base, field(3, 1)) + b"\x7a\x10 ab a  <m> b <s>x"
    yield "bytes", spm(base + [("<0x%02X>" % b, 0, 6) for b in range(256)], bpe + byte)
    yield "no-unknown", spm(base[1:], bpe)
    yield "piece-twice", spm(base + [("a", 0, 1)], bpe)
    yield "piece-empty", spm(base + [("", 0, 1)], bpe)
    yield "score-nan", spm(base + [("c", float("nan"), 1)], bpe)
    yield "type-wrong", spm(base + [("c", 0, 9)], bpe)
    yield "byte-wrong", spm(base + [("<0xZZ>", 0, 6)], bpe + byte)
    yield "model-type", spm(base, field(3, 4))
    yield "charsmap", spm(base, bpe, field(2, struct.pack("<I", 8) + b"\xff" * 8 + b"x\0"))
    yield "charsmap-long", spm(base, bpe, field(2, struct.pack("<I", 2**31) + b"x"))
    yield "cut-off", spm(base, bpe)[:-20]
    yield "length-huge", field(1, b"") + b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
    yield "group", b"\x0b\x0c"
    yield "empty", b""


def gguf(pairs):
    def text(s):
        s = s.encode() if isinstance(s, str) else s
        return struct.pack("<Q", len(s)) + s

    def value(v):
        if isinstance(v, str):
            return struct.pack("<I", 8) + text(v)
        if isinstance(v, bool):
            return struct.pack("<IB", 7, v)
        if isinstance(v, int):
            return struct.pack("<Ii", 5, v)
        kind, items = v
        body = b"".join(text(i) if kind == 8 else struct.pack({5: "<i", 6: "<f", 0: "<B"}[kind], i) for i in items)
        return struct.pack("<IIQ", 9, kind, len(items)) + body
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(text(k) + value(v) for k, v in pairs)


def gguf_cases():
    g = "tokenizer.ggml."
    tokens = ["<unk>", "<s>", "\u2581", "a", "b", "ab", "<m>", "\u0120"]
    kinds = (5, [2, 3, 1, 1, 1, 1, 4, 1])
    llama = [(g + "model", "llama"), (g + "tokens", (8, tokens)), (g + "scores", (6, [0, 0, -1, -2, -3, -4, 0, 0])), (g + "token_type", kinds)]
    gpt2 = [(g + "model", "gpt2"), (g + "pre", "llama-bpe"), (g + "tokens", (8, tokens)), (g + "token_type", kinds), (g + "merges", (8, ["a b"]))]
    yield "llama", gguf(llama + [(g + "bos_token_id", 1), ("x", " ab <m> a<s>b")])
    yield "gpt2", gguf(gpt2 + [("x", " ab <m> a<s>b")])
    yield "gpt2-default", gguf([gpt2[0], *gpt2[2:], ("x", " ab12345 ")])
    yield "bert", gguf([(g + "model", "bert"), (g + "tokens", (8, ["[UNK]", "[CLS]", "\u2581a", "b"])), ("x", " ab ab")])
    yield "t5", gguf([(g + "model", "t5")] + llama[1:] + [(g + "precompiled_charsmap", (0, [4, 0, 0, 0, 0, 0, 0, 0]))])
    yield "types-shorter", gguf(llama[:3] + [(g + "token_type", (5, [1]))])
    yield "scores-longer", gguf([llama[0], llama[1], (g + "scores", (6, [0] * 20))])
    yield "scores-wrong-type", gguf([llama[0], llama[1], (g + "scores", (8, ["x"] * 8))])
    yield "tokens-wrong-type", gguf([llama[0], (g + "tokens", (5, [1, 2]))])
    yield "merge-unknown", gguf(gpt2[:4] + [(g + "merges", (8, ["x y"]))])
    yield "pre-unknown", gguf([gpt2[0], (g + "pre", "?"), *gpt2[2:]])
    yield "id-out-of-range", gguf(llama + [(g + "eos_token_id", 99)])
    yield "model-unknown", gguf([(g + "model", "x"), llama[1]])


def write(name, case, data):
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / case).write_bytes(data)


for case, value in json_cases():
    write("tokenizer", case, json.dumps(value, separators=(",", ":")).encode() + b"\0" + TEXT)
write("tokenizer", "not-json", b"{")
write("tokenizer", "not-object", b"[]")
for case, data in spm_cases():
    write("spm", case, data)
for case, data in gguf_cases():
    write("gguf_tokenizer", case, data)
