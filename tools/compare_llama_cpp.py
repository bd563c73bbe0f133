#!/usr/bin/env python3
"""Does llama.cpp read the GGUF files we write, and answer as transformers did for the folder?

    compare_llama_cpp.py [--hearth build/release/hearth] [--type f32] [CASE...]

Each golden of tests/golden/data/models becomes a folder again (config, weights, a small byte-level
tokenizer), `hearth quantize` writes it as GGUF, llama-cpp-python evaluates the golden's tokens with
F32 keys and values. Reported: the relative error of its logits against transformers', and how many
of the 100 greedy tokens are the same. Needs llama-cpp-python, numpy, safetensors.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
GOLDENS = HERE.parent / "tests/golden/data/models"
# What llama.cpp does not do (our engine reads keys of our own for these).
CANNOT = {
    "llama-dynamic": "no dynamic rope",
    "llama-yarn-stated": "no yarn without whole dimensions",
    "mistral-window": "llama's window is ignored",
    "mistral-window-page": "llama's window is ignored",
    "mixtral-window": "llama's window is ignored",
    "qwen2-window": "qwen2's window is ignored",
    "qwen3-tied": "no biases in qwen3",
    "qwen3moe-plain": "weights of experts always sum to one",
    "qwen3moe-mixed": "no dense layers in qwen3moe",
    "gemma2-odd": "scale of scores and softcaps are fixed",
    "gemma3-linear": "scale of scores is fixed",
    "gemma3-types": "pattern of windows is fixed",
    "phi3-window": "phi3's window is ignored",
    "gpt2-odd": "always the tanh form of GELU",
}


def uniform(name, n):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & ((1 << 64) - 1)
    x = (np.arange(n, dtype=np.uint64) + np.uint64(h)) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def byte_letters():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def tokenizer(n_vocab):
    """Byte-level BPE of exactly n_vocab pieces: as many letters as fit, two merges, one special token."""
    pieces = (["\u010a", "\u0120"] + [c for c in byte_letters() if c not in "\u010a\u0120"])[: n_vocab - 3]
    pieces += [pieces[5] + pieces[6], pieces[5] + pieces[6] + pieces[7], "<|end|>"]
    return {
        "version": "1.0",
        "added_tokens": [{"id": n_vocab - 1, "content": "<|end|>", "special": True, "normalized": False, "lstrip": False,
                          "rstrip": False, "single_word": False}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {p: i for i, p in enumerate(pieces)},
                  "merges": [[pieces[5], pieces[6]], [pieces[5] + pieces[6], pieces[7]]]},
    }


def write_folder(golden, folder):
    from safetensors.numpy import save_file

    weights = {}
    for name, shape, scale, offset in golden["tensors"]:
        w = uniform(name, int(np.prod(shape))) * np.float32(scale) + np.float32(offset)
        weights[name] = w.reshape(shape)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(golden["config"]))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(golden["config"]["vocab_size"])))


def evaluate(path, tokens):
    import llama_cpp

    llm = llama_cpp.Llama(model_path=str(path), n_ctx=144, n_batch=144, logits_all=True, verbose=False,
                          type_k=0, type_v=0, n_threads=1, flash_attn=False)
    llm.eval(tokens)
    return np.array(llm.scores[: len(tokens)], dtype=np.float32)


def compare(name, kind, hearth):
    golden = json.loads((GOLDENS / f"{name}.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_folder(golden, folder)
        out = folder / "out.gguf"
        subprocess.run([hearth, "quantize", str(folder), str(out), "--type", kind], check=True, stderr=subprocess.DEVNULL)
        tokens, n_prompt = golden["tokens"], golden["n_prompt"]
        got = evaluate(out, tokens)
    worst = 0.0
    for pos, row in zip(golden["logits"]["positions"], golden["logits"]["rows"]):
        row = np.array(row)
        worst = max(worst, float(np.abs(got[pos] - row).max() / np.abs(row).max()))
    same = sum(int(got[i].argmax()) == tokens[i + 1] for i in range(n_prompt - 1, len(tokens) - 1))
    print(f"{name:24} {kind}: relative error {worst:.1e}, {same} of {len(tokens) - n_prompt} greedy tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearth", default=str(HERE.parent / "build/release/hearth"))
    parser.add_argument("--type", default="f32")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # llama.cpp may abort: a process each
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    if args.one:
        compare(args.cases[0], args.type, args.hearth)
        return
    for name in args.cases or sorted(p.stem for p in GOLDENS.glob("*.json")):
        if name in CANNOT and not args.cases:
            print(f"{name:24} left out: {CANNOT[name]}")
            continue
        run = subprocess.run([sys.executable, __file__, "--one", "--type", args.type, "--hearth", args.hearth, name],
                             capture_output=True, text=True)
        print(run.stdout.strip() or f"{name:24} FAILED: {run.stderr.strip().splitlines()[-1:]}", flush=True)


if __name__ == "__main__":
    main()
