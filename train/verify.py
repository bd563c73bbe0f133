"""Checks the GGUF file in `hearth` against the network it came from: ids, and greedy answers.

    make && python train/verify.py --checkpoint train/out/final.pt

The network runs in float32 with weights rounded as the file stores them. The file's weights
written out in float32 must give the same ids of the prompt and the same greedy answer, token
for token, up to a place where the network itself finds both tokens as likely. The file itself
also has its activations rounded to eight bits: what that changes is shown.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import torch
from tokenizers import Tokenizer

from export import TRAIN, read_checkpoint
from model import Llama
from prompts import Prompts, Request, write_prompt
from template import write_chat
from vocabulary import TURN_END

N_TOKENS = 60
NEARLY = 0.01  # difference of logits that the order of sums may turn over
TEXTS = (
    "The bridge was closed for repairs in March 2019. Engineers found that 14 of its 220 cables "
    "had rusted through. The bridge carries about 30,000 cars a day. Repairs of the cables cost "
    "4.5 million dollars. Drivers complained. The bridge opened again in May with new cables.",
    "Bees keep their hive warm in winter by shivering. A hive holds some forty thousand bees, "
    "and each of them eats honey to stay warm. A keeper therefore leaves enough honey in the "
    "hive. “It is a matter of trust,” said Ana Müller, who keeps bees near Graz.",
    "A parser reads bytes and gives back a tree.\n\nErrors\n\nA parser must report every error "
    "with its place. Errors without a place cannot be mended. The tree is given back only if "
    "there was no error.\n\nMemory\n\nThe tree lives in one arena, which the caller frees.",
)


def rounded(weight: torch.Tensor) -> torch.Tensor:
    if weight.ndim == 1:
        return weight
    q8 = gguf.GGMLQuantizationType.Q8_0
    packed = gguf.quants.quantize(weight.numpy(), q8)
    return torch.from_numpy(gguf.quants.dequantize(packed, q8))


@torch.no_grad()
def greedy(model: Llama, tokens: list[int], end: int) -> list[int]:
    answer: list[int] = []
    while len(answer) < N_TOKENS and end not in answer:
        hidden = model(torch.tensor([tokens + answer]))[0, -1]
        answer.append(int(model.logits(hidden).argmax()))
    return answer


@torch.no_grad()
def doubt(model: Llama, tokens: list[int], answer: list[int], other: list[int]) -> float:
    """How far apart the network finds the first two tokens that differ."""
    same = next(i for i, (a, b) in enumerate(zip(answer, other, strict=False)) if a != b)
    logits = model.logits(model(torch.tensor([tokens + answer[:same]]))[0, -1])
    return float(logits[answer[same]] - logits[other[same]])


def answer_of_file(hearth: Path, path: Path, prompt: str) -> tuple[list[int], list[int]]:
    """Ids of the rendered prompt, and of the answer."""
    options = ("--temperature", "0", "-n", str(N_TOKENS), "--json")
    command = [str(hearth), "run", str(path), "-", *options]
    done = subprocess.run(command, input=prompt, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["prompt_tokens"], found["sequences"][0]["tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=TRAIN / "out/final.pt")
    parser.add_argument("--gguf", type=Path, default=TRAIN.parent / "models/hearth-small.gguf")
    parser.add_argument("--hearth", type=Path, default=TRAIN.parent / "build/release/hearth")
    parser.add_argument("--tokenizer", type=Path, default=TRAIN / "out/tokenizer.json")
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    model = read_checkpoint(options.checkpoint)
    model.load_state_dict({name: rounded(w) for name, w in model.state_dict().items()})
    end, prompts, same = tokenizer.token_to_id(TURN_END), Prompts.read(), True
    with tempfile.TemporaryDirectory() as folder:
        float32 = Path(folder) / "float32.gguf"
        command = [str(options.hearth), "quantize", str(options.gguf), str(float32), "--type", "f32"]
        subprocess.run(command, capture_output=True, check=True)
        for text in TEXTS:
            for style in ("paragraph", "outline"):
                prompt = write_prompt(prompts, Request(30, text, style=style))
                tokens = tokenizer.encode(write_chat(prompt)).ids
                answer = greedy(model, tokens, end)
                print(f"network: {tokenizer.decode(answer)!r}")
                for path, must in ((float32, True), (options.gguf, False)):
                    prompt_ids, other = answer_of_file(options.hearth, path, prompt)
                    gap = doubt(model, tokens, answer, other) if answer != other else 0.0
                    same &= tokens == prompt_ids and (gap < NEARLY or not must)
                    name = "float32" if must else "file"
                    word = f"parts at a doubt of {gap:.3f}: {tokenizer.decode(other)!r}"
                    print(f"  {name}: {'same' if answer == other else word}")
    print("ids and answers agree" if same else "ids or answers differ")
    sys.exit(not same)


if __name__ == "__main__":
    main()
