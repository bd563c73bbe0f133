"""Writes the trained model as GGUF: Q8_0 matrices, F32 norms, tokenizer and chat template.

    python train/export.py --checkpoint train/out/final.pt

The recipe does this at its end; the command is for a checkpoint in between.
Source: github.com/ggml-org/ggml/blob/master/docs/gguf.md (keys), and the Llama
convention of that format that rotary pairs are neighbours.
"""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from gguf_file import write_gguf
from model import Llama
from seeds import SHAPE
from template import read_template

TRAIN = Path(__file__).resolve().parent


def read_checkpoint(path: Path) -> Llama:
    model = Llama(SHAPE)
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["model"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=TRAIN / "out/final.pt")
    parser.add_argument("--tokenizer", type=Path, default=TRAIN / "out/tokenizer.json")
    parser.add_argument("--gguf", type=Path, default=TRAIN / "out/hearth-small.gguf")
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    write_gguf(read_checkpoint(options.checkpoint), tokenizer, read_template(), options.gguf)


if __name__ == "__main__":
    main()
