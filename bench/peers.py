#!/usr/bin/env python3
"""Hearth beside llama.cpp on the same file, in one run, interleaved: medians of prefill and decode.

    bench/peers.py MODEL.gguf [--prompt 512] [--new 64] [--threads 2] [--rounds 3]

Needs llama-cpp-python (built with native flags). Each round measures one, then the other, so that a
slow minute of the machine meets both. Prints a Markdown table and the ratio.
"""
import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time

import llama_cpp as ll

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class LlamaCpp:
    def __init__(self, path, args):
        ll.llama_backend_init()
        ll.llama_log_set(QUIET, ctypes.c_void_p(0))
        self.model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
        self.n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))
        p = ll.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch = args.prompt + args.new + 64, args.prompt, args.prompt
        p.n_threads = p.n_threads_batch = args.threads
        self.context = ll.llama_init_from_model(self.model, p)
        self.args = args

    def decode(self, tokens):
        array = (ll.llama_token * len(tokens))(*tokens)
        if ll.llama_decode(self.context, ll.llama_batch_get_one(array, len(tokens))) != 0:
            sys.exit("llama_decode failed")
        ll.llama_synchronize(self.context)

    def clear(self):
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)

    def measure(self):
        self.clear()
        tokens = [(i * 7919 + 13) % self.n_vocab for i in range(self.args.prompt)]
        start = time.perf_counter()
        self.decode(tokens)
        prefill = self.args.prompt / (time.perf_counter() - start)
        self.clear()
        self.decode(tokens[:1])
        start = time.perf_counter()
        for i in range(self.args.new):
            self.decode([tokens[i]])
        return prefill, self.args.new / (time.perf_counter() - start)


@ll.llama_log_callback
def QUIET(level, text, data):
    pass


def hearth(path, args):
    command = [os.path.join(ROOT, "build/release/hearth"), "bench", path, "-p", str(args.prompt), "-n", str(args.new),
               "--batch", "0", "-r", "1", "-t", str(args.threads), "--json", "-q"]
    o = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return o["prefill"]["tokens_per_s"], o["decode"]["tokens_per_s"], o["machine"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    theirs = LlamaCpp(args.model, args)
    rows = []
    for _ in range(args.rounds):
        ours = hearth(args.model, args)
        rows.append((ours[0], ours[1], *theirs.measure(), ours[2]))
        print("  round: hearth %.1f %.1f, llama.cpp %.1f %.1f tokens/s; machine %.1f GB/s %.2f TOPS"
              % (*rows[-1][:4], rows[-1][4]["read_gbytes_per_s"], rows[-1][4]["int8_tops"]), file=sys.stderr)
    m = [statistics.median(r[i] for r in rows) for i in range(4)]
    print(f"| {os.path.basename(args.model)}, {args.threads} threads | Hearth | llama.cpp | ratio |\n|---|---|---|---|")
    print(f"| prefill {args.prompt} | {m[0]:.1f} | {m[2]:.1f} | {m[0] / m[2]:.2f} |")
    print(f"| decode {args.new} | {m[1]:.1f} | {m[3]:.1f} | {m[1] / m[3]:.2f} |")


if __name__ == "__main__":
    main()
