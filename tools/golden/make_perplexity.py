#!/usr/bin/env python3
"""Golden data for tests/golden/test_perplexity.c: transformers' perplexity of a small trained model.

Usage: make_perplexity.py MODEL_FOLDER > tests/golden/data/perplexity.json
MODEL_FOLDER holds stories260K as a Hugging Face checkout. The text is written here; windows are
those of src/local/eval/perplexity.h, for several lengths.  (needs torch, transformers, sentencepiece)
"""
import json
import math
import sys

import sentencepiece
import torch
from transformers import LlamaForCausalLM

TEXT = """One morning a small bird named Pip sat on the old gate and looked at the garden. The garden was
full of red flowers and tall grass. "I want to find a big worm," said Pip. He hopped down to the ground
and began to look. First he looked under a leaf, but there was only a snail. "Hello, snail," said Pip.
"Did you see a worm?" The snail was very slow. "No," it said, "but the frog knows many things. Go and
ask the frog." So Pip went to the pond. The water was blue and cold, and the frog sat on a stone in the
sun. "Frog, where are the worms?" asked Pip. The frog smiled. "It did not rain for a week. The worms
are deep in the ground. Wait for the rain and sing until it comes." Pip sat on the gate again and he
sang all day. In the evening the clouds came, and then it began to rain. Pip was wet and happy. He found
a worm, and then he found two more. He took them home to his little sister, who was hungry. "Thank you,
Pip," she said. "You are the best brother." They ate and went to sleep, and the rain fell on the roof
all night. The next day the garden was green and bright, and every bird in the village sang with Pip."""

folder = sys.argv[1]
model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
sp = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model")
tokens = [1] + sp.encode(" ".join(TEXT.split()))
results = []
for ctx in (32, 100, 128, 256):
    nll, n = 0.0, 0
    for start in range(0, len(tokens) // ctx * ctx, ctx):
        window = [1] + tokens[start + 1 : start + ctx]
        with torch.no_grad():
            logits = model(torch.tensor([window])).logits[0].double()
        logp = torch.log_softmax(logits, -1)
        for j in range(ctx // 2, ctx - 1):
            nll -= logp[j, window[j + 1]].item()
            n += 1
    results.append({"ctx": ctx, "tokens": n, "perplexity": math.exp(nll / n)})
print(json.dumps({"bos": 1, "tokens": tokens, "results": results}))
