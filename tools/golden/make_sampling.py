#!/usr/bin/env python3
"""Golden data for tests/golden/test_sampling_golden.c: what transformers' logits processors leave.

Each case holds logits, a prompt, options, and the tokens that survive with their probabilities,
computed by transformers' own processors in the order in which generate() chains them.
Usage: make_sampling.py > tests/golden/data/sampling.json   (needs torch, transformers)
"""
import json
import random

import torch
from transformers.generation import logits_process as lp

random.seed(7)
torch.manual_seed(7)


def chain(o):
    out = lp.LogitsProcessorList()
    if o.get("bias"):
        out.append(lp.SequenceBiasLogitsProcessor([[[t], b] for t, b in o["bias"]]))
    if o.get("repetition_penalty", 1) != 1:
        out.append(lp.RepetitionPenaltyLogitsProcessor(o["repetition_penalty"]))
    if o.get("temperature", 1) != 1:
        out.append(lp.TemperatureLogitsWarper(o["temperature"]))
    if o.get("top_k"):
        out.append(lp.TopKLogitsWarper(o["top_k"]))
    if o.get("top_p", 1) < 1:
        out.append(lp.TopPLogitsWarper(o["top_p"]))
    if o.get("min_p"):
        out.append(lp.MinPLogitsWarper(o["min_p"]))
    if o.get("typical_p", 1) < 1:
        out.append(lp.TypicalLogitsWarper(o["typical_p"]))
    return out


def case(o, n, spread, ties=False):
    # Thousandths, distinct unless ties are wanted, so that the text holds them exactly.
    values = random.sample(range(int(-900 * spread), int(900 * spread)), n)
    if ties:
        values = [v // 700 * 700 for v in values]
    logits = [v / 1000 for v in values]
    prompt = [random.randrange(n) for _ in range(12)]
    scores = torch.tensor([logits], dtype=torch.float32)
    scores = chain(o)(torch.tensor([prompt]), scores)
    probs = torch.softmax(scores.double(), -1)[0]
    kept = [[i, float(f"{probs[i]:.9g}")] for i in range(n) if probs[i] > 0]
    return {"options": o, "prompt": prompt, "logits": logits, "kept": kept}


cases = []
single = [{"temperature": t} for t in (0.3, 1.0, 2.5)]
single += [{"top_k": k} for k in (1, 5, 40, 500)]
single += [{"top_p": p} for p in (0.05, 0.5, 0.9, 0.95, 0.999)]
single += [{"min_p": p} for p in (0.02, 0.1, 0.7)]
single += [{"typical_p": p} for p in (0.1, 0.5, 0.9, 0.99)]
single += [{"repetition_penalty": p} for p in (0.8, 1.3, 2.0)]
single += [{"bias": [[3, 5.0], [7, -100.0], [8, 0.25]]}]
for o in single:
    cases.append(case(o, random.choice((17, 60, 97)), random.choice((2, 6, 12))))
cases.append(case({"top_k": 9}, 60, 6, ties=True))
for _ in range(24):
    o = {"temperature": round(random.uniform(0.4, 1.8), 3)}
    if random.random() < 0.5:
        o["top_k"] = random.randrange(2, 50)
    if random.random() < 0.6:
        o["top_p"] = round(random.uniform(0.3, 0.99), 3)
    if random.random() < 0.5:
        o["min_p"] = round(random.uniform(0.001, 0.3), 4)
    if random.random() < 0.5:
        o["typical_p"] = round(random.uniform(0.2, 0.98), 3)
    if random.random() < 0.4:
        o["repetition_penalty"] = round(random.uniform(0.7, 1.6), 3)
    if random.random() < 0.3:
        o["bias"] = [[random.randrange(60), round(random.uniform(-4, 4), 2)]]
    cases.append(case(o, random.choice((60, 97, 131)), random.choice((2, 5, 10))))
print('{"cases": [')
print(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
print("]}")
