#!/usr/bin/env python3
"""Hearth beside llama.cpp (and ik_llama.cpp) on the same files: medians, as a Markdown table and a plot.

    bench/peers.py MODEL.gguf ... [--prefill 128,512,2048] [--depth 0,2048,8192] [--batch 2,4,8,16,32]
                   [--new 16] [--threads 2] [--rounds 3] [--cpu-time] [--ik FOLDER [--ik-setting repack]]
                   [--markdown FILE] [--svg FILE]

Needs llama-cpp-python (built with native flags). --ik takes the folder with ik_llama.cpp's llama-bench and
llama-batched-bench. Every cell is measured in turn by each program, --rounds times, so that a slow minute of
the machine meets all. A cell is one of: reading a prompt; making tokens behind a context that was filled;
making tokens for several sequences at once, each behind 32 tokens. --cpu-time (with --threads 1) counts the
CPU time of the program instead of the clock, for a machine that others use.

Speed does not depend on the values of weights: a file with random ones, of any shape, will do, rounded by
`hearth quantize FILE OUT --type q4_k_m`. Its stated context must hold the deepest cell.
"""
import argparse
import ctypes
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

import llama_cpp as ll

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCH_PROMPT, BATCH_STEPS = 32, 16  # as `hearth bench` has them (local/eval/bench.h)
# Put before the C library, it gives programs their CPU time for every clock.
CLOCK_C = """
#define _GNU_SOURCE
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
int clock_gettime(clockid_t clock, struct timespec *t)
{
    (void)clock;
    return (int)syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, t);
}
"""


@ll.llama_log_callback
def QUIET(level, text, data):
    pass


class LlamaCpp:
    """In this process; the model stays loaded from cell to cell, a context is made for each."""

    name = "llama.cpp"

    def __init__(self, path, args):
        ll.llama_backend_init()
        ll.llama_log_set(QUIET, ctypes.c_void_p(0))
        self.model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama.cpp cannot load {path}")
        self.n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))
        self.args = args
        self.now = time.process_time if args.cpu_time else time.perf_counter

    def close(self):
        ll.llama_model_free(self.model)

    def decode(self, context, rows):
        """rows of (sequence, position); logits for the last of each sequence."""
        batch = ll.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        last = {seq: i for i, (seq, _) in enumerate(rows)}
        for i, (seq, pos) in enumerate(rows):
            batch.token[i] = (pos * 7919 + seq * 101 + 13) % self.n_vocab
            batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = pos, 1, seq
            batch.logits[i] = last[seq] == i
        if ll.llama_decode(context, batch) != 0:
            sys.exit("llama_decode failed")
        ll.llama_synchronize(context)
        ll.llama_batch_free(batch)

    def fill(self, context, n_seqs, n):
        rows = [(s, i) for s in range(n_seqs) for i in range(n)]
        for i in range(0, len(rows), 512):
            self.decode(context, rows[i:i + 512])

    def measure(self, kind, n):
        n_seqs = n if kind == "batch" else 1
        filled = {"prefill": 0, "decode": n, "batch": BATCH_PROMPT}[kind]
        steps = {"prefill": n, "decode": self.args.new, "batch": BATCH_STEPS}[kind]
        p = ll.llama_context_default_params()
        p.n_ctx, p.n_seq_max = n_seqs * max(256, -(-(filled + steps) // 256) * 256), n_seqs
        p.n_batch = p.n_ubatch = 512
        p.n_threads = p.n_threads_batch = self.args.threads
        context = ll.llama_init_from_model(self.model, p)
        if not context:
            sys.exit("llama.cpp cannot make a context")
        self.decode(context, [(0, 0)])  # its first call makes buffers
        ll.llama_memory_clear(ll.llama_get_memory(context), True)
        self.fill(context, n_seqs, filled)
        start = self.now()
        if kind == "prefill":
            self.fill(context, 1, n)
        else:
            for i in range(steps):
                self.decode(context, [(s, filled + i) for s in range(n_seqs)])
        rate = steps * n_seqs / (self.now() - start)
        ll.llama_free(context)
        return rate


class Program:
    def __init__(self, path, args):
        self.path, self.args = path, args

    def close(self):
        pass

    def run(self, command, errors=subprocess.DEVNULL):
        env = dict(os.environ, **({"LD_PRELOAD": self.args.clock} if self.args.cpu_time else {}))
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=errors, text=True,
                              env=env).stdout


class Hearth(Program):
    name = "Hearth"

    def measure(self, kind, n):
        o = {"-p": 1, "-n": 0, "-d": 0, "--batch": 0, "-r": 1, "-t": self.args.threads}
        o.update({"prefill": {"-p": n}, "decode": {"-n": self.args.new, "-d": n}, "batch": {"--batch": n}}[kind])
        words = [str(w) for pair in o.items() for w in pair]
        out = json.loads(self.run([self.args.hearth, "bench", self.path, *words, "--json", "-q"]))
        return out["batch"][0]["tokens_per_s"] if kind == "batch" else out[kind]["tokens_per_s"]


class IkLlamaCpp(Program):
    """The better of its two settings, or one: weights as in the file, and interleaved while they load (-rtr)."""

    name = "ik_llama.cpp"

    def measure(self, kind, n):
        settings = {"best": (False, True), "file": (False,), "repack": (True,)}[self.args.ik_setting]
        return max(self.once(kind, n, repack) for repack in settings)

    def once(self, kind, n, repack):
        threads = ["-m", self.path, "-t", str(self.args.threads)]
        if kind == "batch":
            out = self.run([os.path.join(self.args.ik, "llama-batched-bench"), *threads, "-c", str(n * 256), "-b", "512",
                            "-ub", "512", "-npp", str(BATCH_PROMPT), "-ntg", str(BATCH_STEPS), "-npl", str(n),
                            *(["-rtr"] if repack else [])], subprocess.STDOUT)
            row = [line for line in out.splitlines() if line.startswith("|")][-1]
            return float(row.strip("| ").split("|")[7])  # S_TG t/s
        work = ["-p", str(n), "-n", "0"] if kind == "prefill" else ["-p", "0", "-n", str(self.args.new)]
        if kind == "decode" and n:
            work = ["-p", "0", "-n", "0", "-gp", f"{n},{self.args.new}"]
        out = self.run([os.path.join(self.args.ik, "llama-bench"), *threads, *work, "-r", "1", "-o", "json", "-rtr",
                        str(int(repack))])
        return json.loads(out)[-1]["avg_ts"]


def cells(args):
    return [(kind, int(n)) for kind, text in (("prefill", args.prefill), ("decode", args.depth), ("batch", args.batch))
            for n in text.split(",") if n]


def measure_file(path, args):
    """{(kind, n): {program: median}}"""
    programs = [kind(path, args) for kind in ([Hearth, LlamaCpp] + ([IkLlamaCpp] if args.ik else []))]
    rates = {cell: {p.name: [] for p in programs} for cell in cells(args)}
    for _ in range(args.rounds):
        for cell in rates:
            for p in programs:
                rates[cell][p.name].append(p.measure(*cell))
            print("  %s %s %d:" % (os.path.basename(path), *cell),
                  ", ".join("%s %.1f" % (name, r[-1]) for name, r in rates[cell].items()), file=sys.stderr, flush=True)
    for p in programs:
        p.close()
    return {cell: {name: statistics.median(r) for name, r in by.items()} for cell, by in rates.items()}


def cell_name(kind, n):
    return {"prefill": f"prefill {n}", "decode": f"decode at {n}", "batch": f"batch {n}"}[kind]


def best_peer(by):
    return max(rate for name, rate in by.items() if name != "Hearth")


def table(results):
    """One row a file and cell: rates, and ours over the best peer's."""
    names = list(next(iter(next(iter(results.values())).values())))
    lines = ["| file | cell | " + " | ".join(names) + " | ratio |", "|---|---|" + "---|" * (len(names) + 1)]
    for file, by_cell in results.items():
        for cell, by in by_cell.items():
            rates = " | ".join("%.3g" % by[name] if by[name] < 100 else "%.0f" % by[name] for name in names)
            lines.append(f"| {file} | {cell_name(*cell)} | {rates} | {by['Hearth'] / best_peer(by):.2f} |")
    return "\n".join(lines) + "\n"


def plot(results, title):
    """Bars of ours over the best peer's, by the logarithm; those behind are red."""
    left, width, row, top = 250, 520, 18, 40
    ratios = [(file, cell, by["Hearth"] / best_peer(by)) for file, by_cell in results.items()
              for cell, by in by_cell.items()]
    low, high = min(0.5, *(r for *_, r in ratios)), max(2.0, *(r for *_, r in ratios))
    scale = width / math.log(high / low)
    height = top + row * len(ratios) + 30

    def at(ratio):
        return left + scale * math.log(ratio / low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" font-family="sans-serif"'
           ' font-size="11">', '<rect width="100%" height="100%" fill="white"/>', f'<text x="10" y="18">{title}</text>']
    for i, (file, cell, ratio) in enumerate(ratios):
        y = top + i * row
        x0, x1 = sorted((at(1), at(ratio)))
        out.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{file}, {cell_name(*cell)}</text>')
        out.append(f'<rect x="{x0:.1f}" y="{y + 2}" width="{x1 - x0:.1f}" height="{row - 5}" '
                   f'fill="{"#3b7dd8" if ratio >= 1 else "#c0392b"}"/>')
        out.append(f'<text x="{at(max(ratio, 1)) + 4:.1f}" y="{y + 12}">{ratio:.2f}</text>')
    for tick in (0.25, 0.5, 1, 2, 4, 8):
        if low <= tick <= high:
            out.append(f'<line x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{top - 6}" y2="{height - 26}" stroke="#888"'
                       f'{"" if tick == 1 else " stroke-dasharray=%s2,3%s" % (chr(34), chr(34))}/>')
            out.append(f'<text x="{at(tick):.1f}" y="{height - 10}" text-anchor="middle">{tick:g}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def make_clock(parser, args, folder):
    """Sets args.clock, which Program.run puts before the C library, if --cpu-time asks for it."""
    if args.cpu_time and args.threads != 1:
        parser.error("--cpu-time counts waiting threads too: use it with --threads 1")
    if args.cpu_time:
        args.clock = os.path.join(folder, "clock.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", args.clock], input=CLOCK_C, text=True,
                       check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--prefill", default="128,512,2048")
    parser.add_argument("--depth", default="0,2048,8192")
    parser.add_argument("--batch", default="2,4,8,16,32")
    parser.add_argument("--new", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--ik")
    parser.add_argument("--ik-setting", choices=("best", "file", "repack"), default="best")
    parser.add_argument("--hearth", default=os.path.join(ROOT, "build/release/hearth"))
    parser.add_argument("--markdown")
    parser.add_argument("--svg")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_clock(parser, args, folder)
        results = {}
        for path in args.models:
            results[os.path.splitext(os.path.basename(path))[0]] = measure_file(path, args)
    text = table(results)
    print(text, end="")
    unit = "CPU time" if args.cpu_time else "clock"
    title = f"Hearth over its best peer, {args.threads} thread{'s' * (args.threads > 1)}, {unit}, medians of {args.rounds}"
    for name, content in ((args.markdown, text), (args.svg, plot(results, title))):
        if name:
            with open(name, "w", encoding="utf-8") as f:
                f.write(content)


if __name__ == "__main__":
    main()
