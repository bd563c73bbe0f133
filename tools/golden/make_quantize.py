#!/usr/bin/env python3
"""Rows of floats, and the blocks that gguf-py's reference quantizers round them to.

Writes tests/golden/data/quantize.txt: one line a row, "type floatshex blockshex". Needs: gguf, numpy.
"""
import os
import sys

import numpy as np
from gguf import quants
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
    for kind in (T.F32, T.F16, T.BF16, T.Q8_0, T.Q4_0):
        for row in rows:
            x = row.astype(np.float32)
            blocks = quants.quantize(x.reshape(1, -1), kind)
            out.write(f"{kind.name.lower()} {x.astype('<f4').tobytes().hex()} {blocks.tobytes().hex()}\n")
