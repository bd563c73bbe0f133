#!/usr/bin/env python3
"""The perplexity of a text by Hearth and by llama.cpp, and how fast each reads it.

    bench/perplexity_peer.py MODEL.gguf TEXT [--threads 1] [--rounds 3] [--cpu-time] [--hearth BINARY ...]

Needs llama-cpp-python (built with native flags). Both cut the text into windows of 512 tokens, compute 511 of each,
the head for the second half, and the log-softmax of those rows; llama.cpp's rows go through numpy, whose time is told
apart. Loading is not counted. Beside them `hearth bench -p 511`, whose head computes one row in 511. Every round runs
all in turn. Several --hearth (old and new) are compared. --cpu-time as in bench/peers.py.
"""
import argparse
import ctypes
import json
import math
import os
import statistics
import subprocess
import tempfile
import time

import llama_cpp as ll
import numpy as np
import peers

CTX = 512


class LlamaCpp:
    def __init__(self, path, text, args):
        ll.llama_backend_init()
        ll.llama_log_set(peers.QUIET, ctypes.c_void_p(0))
        self.model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
        vocab = ll.llama_model_get_vocab(self.model)
        self.n_vocab, self.bos = ll.llama_vocab_n_tokens(vocab), -1
        tokens = (ll.llama_token * (len(text) + 8))()
        n = ll.llama_tokenize(vocab, text, len(text), tokens, len(tokens), True, False)
        if ll.llama_vocab_get_add_bos(vocab):
            self.bos = ll.llama_vocab_bos(vocab)
        self.windows = [list(tokens[i:i + CTX]) for i in range(0, n - CTX + 1, CTX)]
        p = ll.llama_context_default_params()
        p.n_ctx = p.n_batch = p.n_ubatch = CTX
        p.n_threads = p.n_threads_batch = args.threads
        self.context = ll.llama_init_from_model(self.model, p)
        self.now = time.process_time if args.cpu_time else time.perf_counter

    def window(self, tokens):
        """Negative log likelihoods of the second half, and the seconds of numpy."""
        if self.bos >= 0:
            tokens[0] = self.bos
        batch = ll.llama_batch_init(CTX - 1, 0, 1)
        batch.n_tokens = CTX - 1
        for i in range(CTX - 1):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = tokens[i], i, 1, 0
            batch.logits[i] = i >= CTX // 2
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)
        assert ll.llama_decode(self.context, batch) == 0
        ll.llama_synchronize(self.context)
        ll.llama_batch_free(batch)
        start, n = self.now(), CTX - 1 - CTX // 2
        logits = np.ctypeslib.as_array(ll.llama_get_logits(self.context), (n, self.n_vocab))
        came = logits[np.arange(n), tokens[CTX // 2 + 1:]].astype(np.float64)
        largest = logits.max(axis=1)
        sums = np.exp(logits - largest[:, None]).sum(axis=1, dtype=np.float64)
        return np.log(sums) + largest - came, self.now() - start

    def measure(self):
        """(perplexity, tokens read a second, the same without numpy)"""
        self.window(list(self.windows[0]))
        start = self.now()
        got = [self.window(w) for w in self.windows]
        seconds, read = self.now() - start, len(self.windows) * (CTX - 1)
        return (math.exp(np.concatenate([nll for nll, _ in got]).mean()), read / seconds,
                read / (seconds - sum(s for _, s in got)))


def hearth(args, binary, *words):
    env = dict(os.environ, **({"LD_PRELOAD": args.clock} if args.cpu_time else {}))
    command = [binary, *words, "-t", str(args.threads), "--json", "-q"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env).stdout)


def compare(args):
    with open(args.text, "rb") as f:
        peer = LlamaCpp(args.model, f.read(), args)
    rates, perplexities = {}, {}

    def add(name, rate, perplexity=None):
        rates.setdefault(name, []).append(rate)
        perplexities[name] = "" if perplexity is None else f"{perplexity:.4f}"

    for _ in range(args.rounds):
        for binary in args.hearth:
            out = hearth(args, binary, "perplexity", args.model, args.text)
            add(f"{binary}: perplexity", out["tokens_per_s"], out["perplexity"])
            out = hearth(args, binary, "bench", args.model, "-p", str(CTX - 1), "-n", "0", "--batch", "0")
            add(f"{binary}: bench -p {CTX - 1}", out["prefill"]["tokens_per_s"])
        perplexity, rate, without = peer.measure()
        add("llama.cpp", rate, perplexity)
        add("llama.cpp without numpy's part", without, perplexity)
    print(f"| {os.path.basename(args.model)} | tokens read a second | all rounds | perplexity |\n|---|---|---|---|")
    for name, r in rates.items():
        print(f"| {name} | {statistics.median(r):.0f} | {' '.join('%.0f' % x for x in sorted(r))} | {perplexities[name]} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--hearth", nargs="+", default=[os.path.join(peers.ROOT, "build/release/hearth")])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peers.make_clock(parser, args, folder)
        compare(args)


if __name__ == "__main__":
    main()
