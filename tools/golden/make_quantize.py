#!/usr/bin/env python3
"""Rows of floats, and what the reference quantizers make of them.

Writes tests/golden/data/quantize.txt: one line a row, "type floatshex blockshex", as gguf-py rounds them; and
tests/golden/data/quantize_errors.txt: "row floatshex", then for each block format "type plain|weighted error", what ggml's
own quantizer loses: for each row the sum of weight * (value - as it reads back)^2 as a share of the sum of weight * value^2, added
up. Weights are 1 + i % 7 for value i. Needs: gguf, numpy, and llama-cpp-python for its ggml library.
"""
import ctypes
import os
import sys

import numpy as np
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES as SIZES
from gguf.constants import GGMLQuantizationType as T

rng = np.random.default_rng(20240602)
here = os.path.dirname(os.path.abspath(__file__))
path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../../tests/golden/data/quantize.txt")

rows = [rng.normal(size=32) * s for s in (1, 0.02, 1e-3, 1e-7, 1e4)]
rows += [rng.standard_t(2, size=32) * 0.1, np.zeros(32), np.full(32, -0.5), np.arange(-16, 16) / 16]
rows += [np.arange(32) - 0.0, np.where(np.arange(32) == 5, 3.0, 0), np.where(np.arange(32) == 5, -3.0, 0)]
halves = (rng.integers(-127, 127, 32) + 0.5) / 127  # ties of q8_0: with d = 1/127 they stand halfway
halves[0] = 1.0
rows += [halves, (rng.integers(-8, 8, 32) + 0.5) * 0.25, np.tile([2.0, -2.0], 16), np.tile([-2.0, 2.0], 16)]
rows += [rng.normal(size=32) * 2e-5, np.full(32, 60000.0)]
with open(path, "w") as out:
    for kind in (T.F32, T.F16, T.BF16, T.Q8_0):
        for row in rows:
            x = row.astype(np.float32)
            blocks = quants.quantize(x.reshape(1, -1), kind)
            out.write(f"{kind.name.lower()} {x.astype('<f4').tobytes().hex()} {blocks.tobytes().hex()}\n")

BLOCKS = (T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL, T.IQ4_XS, T.MXFP4)
spec = __import__("importlib.util").util.find_spec("llama_cpp")
ggml = ctypes.CDLL(os.path.join(os.path.dirname(spec.origin), "lib", "libggml-base.so"))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t


def reference(kind, x, weights):
    block, size = SIZES[kind]
    out = np.zeros((x.shape[0], x.shape[1] // block * size), np.uint8)
    ggml.ggml_quantize_chunk(int(kind), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data), ctypes.c_int64(0),
                             ctypes.c_int64(x.shape[0]), ctypes.c_int64(x.shape[1]),
                             ctypes.c_void_p(weights.ctypes.data if weights is not None else None))
    return quants.dequantize(out, kind).astype(np.float64)


wide = [rng.normal(size=256) * 0.02, rng.standard_t(4, size=256) * 0.05, rng.laplace(size=256), rng.uniform(-1, 1, size=256)]
wide += [rng.normal(size=256) * np.repeat(np.exp(rng.normal(size=8)), 32), np.abs(rng.normal(size=256)) * 0.1]
wide += [rng.normal(size=256) + 3, np.where(rng.uniform(size=256) < 0.05, 1, 0.02) * rng.normal(size=256)]
wide = np.ascontiguousarray(np.array(wide, dtype=np.float32))
weights = (1 + np.arange(256) % 7).astype(np.float32)
with open(os.path.join(os.path.dirname(path), "quantize_errors.txt"), "w") as out:
    for row in wide:
        out.write(f"row {row.astype('<f4').tobytes().hex()}\n")
    for kind in BLOCKS:
        for name, w in (("plain", None), ("weighted", weights)):
            u = np.ones(256) if w is None else w.astype(np.float64)
            miss = reference(kind, wide, w) - wide
            share = (u * miss**2).sum(axis=1) / (u * wide.astype(np.float64)**2).sum(axis=1)
            out.write(f"{kind.name.lower()} {name} {share.sum():.9g}\n")
