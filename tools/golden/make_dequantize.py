#!/usr/bin/env python3
"""Blocks of random bytes in every GGUF block format, and the floats gguf-py reads from them.

Writes tests/golden/data/dequantize.txt: one line a block, "type blockhex floatshex". The scale of
a block is kept finite, since a NaN's bits are nobody's promise. Needs: gguf, numpy, torch.
"""
import os
import sys

import numpy as np
import torch
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T

# offsets of the 16-bit float scales within a block
SCALES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0], T.MXFP4: [],
}
rng = np.random.default_rng(20240601)
here = os.path.dirname(os.path.abspath(__file__))
path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../../tests/golden/data/dequantize.txt")


def line(name, block, floats):
    return f"{name} {block.tobytes().hex()} {floats.astype('<f4').tobytes().hex()}\n"


with open(path, "w") as out:
    for kind, at in SCALES.items():
        length, size = GGML_QUANT_SIZES[kind]
        for i in range(4 if length == 256 else 12):
            block = rng.integers(0, 256, size, dtype=np.uint8)
            for offset in at:
                # normal, subnormal and zero scales of both signs
                value = np.float16(rng.normal() * [1.0, 1e-2, 1e-6, 0.0][i % 4])
                block[offset:offset + 2] = np.frombuffer(value.tobytes(), np.uint8)
            if kind == T.MXFP4:
                block[0] = [0, 1, 2, 60, 126, 127, 128, 200, 250, 252, 120, 130][i]
            out.write(line(kind.name.lower(), block, quants.dequantize(block.reshape(1, -1), kind)[0]))
    every = np.arange(256, dtype=np.uint8)
    f8 = torch.from_numpy(every.copy()).view(torch.float8_e4m3fn).to(torch.float32).numpy()
    keep = ~np.isnan(f8)
    out.write(line("f8_e4m3", every[keep], f8[keep]))
    halves = rng.integers(0, 65536, 200, dtype=np.uint16)
    halves = np.concatenate([halves, np.array([0, 1, 0x3FF, 0x400, 0x7BFF, 0x7C00, 0x8000, 0x8001, 0xFC00], np.uint16)])
    halves = halves[~np.isnan(halves.view(np.float16))]
    out.write(line("f16", halves, halves.view(np.float16).astype(np.float32)))
    halves = halves[(halves & 0x7F80) != 0x7F80]
    out.write(line("bf16", halves, (halves.astype(np.uint32) << 16).view(np.float32)))
