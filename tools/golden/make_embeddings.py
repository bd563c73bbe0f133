#!/usr/bin/env python3
"""Embeddings of the small random models of tests/golden/data/models, by transformers: what test_embeddings.c expects.

    make_embeddings.py     writes tests/golden/data/embeddings.json

Needs torch, transformers and safetensors, as make_model_goldens.py, whose weights it makes again from the goldens' recipes.
A text is the beginning of the golden's tokens. The hidden states are those after the last norm (last_hidden_state of the
model without its head); each way of pooling gives a vector that is then made of length 1, as sentence-transformers does.
"""
import json
import pathlib
import tempfile

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

from make_model_goldens import OUT, uniform

CASES = ["llama-grouped", "llama-dynamic", "mistral-window-page", "mixtral", "qwen2", "qwen3-tied", "qwen3moe", "gemma2",
         "gemma3-linear", "phi3-longrope", "gpt2"]
LENGTHS = [1, 41, 141]


def load(golden):
    with tempfile.TemporaryDirectory() as folder:
        weights = {name: (uniform(name, int(np.prod(shape))) * np.float32(scale) + np.float32(offset)).reshape(shape)
                   for name, shape, scale, offset in golden["tensors"]}
        save_file(weights, pathlib.Path(folder) / "model.safetensors", metadata={"format": "pt"})
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(golden["config"]))
        more = {"experts_implementation": "eager"} if "moe" in golden["config"]["model_type"] or "mixtral" == golden["config"]["model_type"] else {}
        return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **more).eval()


def unit(row):
    row = row.astype(np.float64)
    return [float("%.7g" % x) for x in row / np.sqrt((row * row).sum())]


@torch.no_grad()
def main():
    out = {"transformers": transformers.__version__}
    for name in CASES:
        golden = json.loads((OUT / f"{name}.json").read_text())
        rows = []
        for n in LENGTHS:
            model = load(golden)  # anew: a longer text would leave its rotations behind
            hidden = model(torch.tensor([golden["tokens"][:n]])).last_hidden_state[0].numpy()
            rows.append({"n": n, "mean": unit(hidden.astype(np.float64).mean(0)), "cls": unit(hidden[0]), "last": unit(hidden[-1])})
        out[name] = rows
        print(name, len(rows[0]["mean"]))
    text = json.dumps(out, separators=(",", ":")).replace('{"n"', '\n{"n"').replace('],"', '],\n"')
    (OUT.parent / "embeddings.json").write_text(text + "\n")


if __name__ == "__main__":
    transformers.utils.logging.set_verbosity_error()
    main()
