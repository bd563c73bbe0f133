#!/usr/bin/env python3
"""Compares ids and decoded text with the `tokenizers` and `sentencepiece` libraries.

  compare_tokenizers.py PROGRAM DATA [-n 10000] [--only NAME] [--small FOLDER]

PROGRAM is build/release/bench/bench_tokenizer; DATA holds tokenizers/ and text/. Every model is
tried on generated strings (all of Unicode, odd white space, special tokens inside text, invalid
UTF-8 read as U+FFFD), on paragraphs of the books, and on the books whole. Prints how many agree.
With --small the tokenizers of tests/golden/data/tokenizer are tried instead.
"""
import argparse
import json
import pathlib
import random
import subprocess
import tempfile

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SPACES = " \t\n\r\x0b\x0c\u00a0\u1680\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u0085\u180e\u2581"
WORDS = "the of Hello world's I'm don't WE'LL they'd 'S 'LL x=1; foo_bar() 3.14159 1234567 www.example.com C++ naïve Ærøskøbing straße ΑΒΓ дом 東京 日本語テスト 한국어 ไทย हिन्दी العربية עברית 🙂 👩‍👩‍👧 🇩🇪 é e\u0301 ﬁ ² ½ Ⅷ ａｂｃ ㌔ İ ı ſ K".split()




def character(r):
    k = r.random()
    if k < 0.3:
        return chr(r.randrange(0x20, 0x7F))
    if k < 0.45:
        return r.choice(SPACES)
    if k < 0.6:
        return chr(r.randrange(0xA0, 0x600))
    if k < 0.8:
        c = r.randrange(0x600, 0xFFFF)
    else:
        c = r.choice([r.randrange(0x10000, 0x20000), r.randrange(0x1F300, 0x1FAFF), r.randrange(0x20000, 0x32000), r.randrange(0, 0x110000)])
    return "\ufffd" if 0xD800 <= c <= 0xDFFF else chr(c)


def generate(r, specials):
    kind = r.randrange(8)
    if kind == 0:
        return "".join(character(r) for _ in range(r.randrange(0, 40)))
    if kind == 1:
        return "".join(r.choice(WORDS) + r.choice([" ", "", "  ", "\n", "\n\n", "\t", " \n", ", ", "'", "..."]) for _ in range(r.randrange(1, 20)))
    if kind == 2:
        return "".join(r.choice(SPACES) * r.randrange(1, 6) + r.choice(["", "a", "1", ".", "é"]) for _ in range(r.randrange(1, 10)))
    if kind == 3 and specials:
        return "".join(r.choice([r.choice(specials), r.choice(specials)[:-1], r.choice(WORDS), " ", "\n", character(r)]) for _ in range(r.randrange(1, 12)))
    if kind == 4:  # invalid UTF-8, as Python reads it
        return bytes(r.choice([r.randrange(256), r.randrange(0x20, 0x7F), 0xE2, 0xF0, 0x9F]) for _ in range(r.randrange(0, 40))).decode("utf-8", "replace")
    if kind == 5:
        return r.choice("aA1 .'-é東\n\u0301") * r.randrange(1, 200)
    if kind == 6:
        c = r.randrange(0x110000 - 32)
        return "".join(chr(x) for x in range(c, c + 32) if not 0xD800 <= x <= 0xDFFF)
    return "".join(r.choice([character(r), r.choice(WORDS), " "]) for _ in range(r.randrange(1, 60)))


class Library:
    def __init__(self, tokenizer):
        self.t = tokenizer
        self.specials = [a.content for a in tokenizer.get_added_tokens_decoder().values()]

    def encode(self, texts, special):
        self.t.encode_special_tokens = not special
        return [e.ids for e in self.t.encode_batch(texts, add_special_tokens=special)]

    def decode(self, ids):
        return self.t.decode_batch(ids, skip_special_tokens=False)


class Pieces:
    specials = []

    def __init__(self, path):
        self.t = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(self, texts, special):
        return self.t.encode(texts)

    def decode(self, ids):
        return self.t.decode(ids)


def lines(program, model, mode, values):
    text = "".join(json.dumps(v, ensure_ascii=r < 0) + "\n" for r, v in enumerate(values))
    done = subprocess.run([program, str(model), mode], input=text.encode("utf-8", "surrogatepass"), capture_output=True)
    if done.returncode:
        raise SystemExit(f"{model}: {done.stderr.decode()}")
    return [json.loads(l) for l in done.stdout.splitlines()]


def library_of(folder):
    path = folder / "tokenizer.json"
    if path.exists():
        data = json.loads(path.read_text())
        merges = data["model"].get("merges", [])
        # Some published files hold merges of pieces with spaces, which the library refuses.
        if any(isinstance(m, str) and m.count(" ") != 1 for m in merges):
            data["model"]["merges"] = [m.split(" ") for m in merges if m.count(" ") == 1]
        return Library(Tokenizer.from_str(json.dumps(data)))
    if (folder / "tokenizer.model").exists():
        return Pieces(folder / "tokenizer.model")
    t = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens(["<|endoftext|>"])
    return Library(t)


def difference(name, what, inputs, ours, theirs, shown=3):
    assert len(ours) == len(theirs) == len(inputs)
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    print(f"{name}: {what}: {len(inputs) - len(wrong)} of {len(inputs)} agree", flush=True)
    for i in wrong[:shown]:
        print("   ", ascii(inputs[i])[:300], "\n      ours  ", ascii(ours[i])[:300], "\n      theirs", ascii(theirs[i])[:300])
    return len(wrong)


def compare(program, name, model, library, texts, books):
    bad = 0
    pieces = isinstance(library, Pieces)
    for what, special in (("plain", False),) if pieces else (("plain", False), ("special", True)):
        theirs = library.encode(texts, special)
        ours = lines(program, model, "--special" if special else "--encode", texts)
        bad += difference(name, f"{what} ids of strings", texts, ours, theirs)
    r = random.Random(len(texts))
    raw = [bytes(r.choice([r.randrange(256), r.randrange(0x80, 0xC0), r.choice(b"\xe2\x82\xac\xf0\x9f\xed\xa0\xf4\x90\xc0 a")]) for _ in range(r.randrange(1, 30))) for _ in texts]
    expected = library.encode([b.decode("utf-8", "replace") for b in raw], False)
    bad += difference(name, "ids of broken UTF-8", raw, lines(program, model, "--encode", [list(b) for b in raw]), expected)
    decoded = lines(program, model, "--decode", theirs)
    bad += difference(name, "decoded strings", theirs, [d[0] for d in decoded], library.decode(theirs))
    bad += difference(name, "streamed equals decoded", theirs, [d[1] for d in decoded], [d[0] for d in decoded])
    for path in books:
        text = path.read_bytes().decode("utf-8", "replace")
        paragraphs = [p for p in text.split("\n\n") if p]
        bad += difference(name, path.name + " by paragraph", paragraphs, lines(program, model, "--encode", paragraphs), library.encode(paragraphs, False))
        bad += difference(name, path.name + " whole", [path.name], lines(program, model, "--encode", [text]), library.encode([text], False))
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("-n", type=int, default=10000)
    parser.add_argument("--only")
    parser.add_argument("--small", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-books", action="store_true")
    args = parser.parse_args()
    folder = args.data / "tokenizers"
    books = [] if args.no_books else [args.data / "text" / n for n in ("war-and-peace.txt", "promessi_sposi.txt", "wiki.test.raw")]
    bad = 0
    cases = [(n, folder / n, folder / n) for n in ("llama2", "llama3", "qwen2.5", "gpt2", "phi3-mini", "mistral-v3")]
    temporary = tempfile.TemporaryDirectory()
    spm = pathlib.Path(temporary.name, "llama2-model")
    spm.mkdir()
    (spm / "tokenizer.model").write_bytes((folder / "llama2/tokenizer.model").read_bytes())
    cases.append(("llama2 .model", spm, spm))
    cases.append(("gguf gpt-2", folder / "gguf/ggml-vocab-gpt-2.gguf", folder / "gpt2"))
    cases.append(("gguf llama-spm", folder / "gguf/ggml-vocab-llama-spm.gguf", spm))
    if args.small:
        cases = [(p.name, p, p) for p in sorted(args.small.iterdir()) if p.is_dir()]
    for name, model, reference in cases:
        if args.only and args.only != name:
            continue
        library = library_of(reference)
        r = random.Random(args.seed)
        texts = [generate(r, library.specials) for _ in range(args.n)]
        bad += compare(args.program, name, model, library, texts, books)
    print("all agree" if bad == 0 else f"{bad} differ")
    return bad != 0


raise SystemExit(main())
