"""A model that says what it is told: write(folder, answer, template, control=..., prompt=...); or, told None, anything.

Its only weights say which token comes at which place, so that a server can be shown any answer, marks that are
control tokens among them. Bytes are its tokens, the marks further ones. Standard library only.
"""
import array
import json
import os
import random
import re
import struct

PLACES = 256  # tokens of prompt and answer
END = "<|stop|>"


def byte_letters():
    """GPT-2's letters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, n = {}, 0
    for b in range(256):
        if b in plain:
            letters[b] = chr(b)
        else:
            letters[b] = chr(256 + n)
            n += 1
    return letters


def tokens_of(text, ids, marks):
    parts = re.split("(" + "|".join(map(re.escape, sorted(marks, key=len, reverse=True))) + ")", text)
    letters = byte_letters()
    out = []
    for part in parts:
        if part in marks:
            out.append(ids[part])
        else:
            out.extend(ids[letters[b]] for b in part.encode())
    return out


def write(folder, answer, template, control=(), ordinary=(), prompt="Hi", places=PLACES):
    """template: text whose marks say what the model is; it renders as `prompt`, whatever is asked. control,
    ordinary: added tokens of both kinds. answer None: the weights are drawn at random, the marks a little likelier.
    places: tokens of prompt and answer, a multiple of 16."""
    os.makedirs(folder, exist_ok=True)
    letters = byte_letters()
    ids = {letter: i for i, letter in enumerate(letters.values())}
    marks = [END, *control, *ordinary]
    for i, mark in enumerate(marks):
        ids[mark] = 256 + i
    n_vocab = len(ids)
    n_prompt = len(tokens_of(prompt, ids, marks))
    said = [] if answer is None else tokens_of(answer, ids, marks) + [ids[END]]
    assert n_prompt + len(said) < places, "too long an answer"

    def zeros(*shape):
        n = 1
        for s in shape:
            n *= s
        return shape, array.array("f", bytes(4 * n))

    def ones(n):
        return (n,), array.array("f", [1.0] * n)

    tensors = {"wte.weight": zeros(n_vocab, places), "wpe.weight": zeros(places, places),
               "ln_f.weight": ones(places), "ln_f.bias": zeros(places)}
    for k, token in enumerate(said):
        tensors["wte.weight"][1][token * places + n_prompt - 1 + k] = 1.0
    if answer is None:
        draw = random.Random(template)
        numbers = (draw.gauss(0.25 if t >= 256 else 0, 0.05) for t in range(n_vocab) for _ in range(places))
        tensors["wte.weight"] = (n_vocab, places), array.array("f", numbers)
        tensors["ln_f.bias"] = (places,), array.array("f", [4 / (0.25 * places)] * places)
    for p in range(places):
        tensors["wpe.weight"][1][p * places + p] = 1000.0
    width = 32
    block = {"ln_1.weight": ones(places), "ln_1.bias": zeros(places), "ln_2.weight": ones(places),
             "ln_2.bias": zeros(places), "attn.c_attn.weight": zeros(places, 3 * places),
             "attn.c_attn.bias": zeros(3 * places), "attn.c_proj.weight": zeros(places, places),
             "attn.c_proj.bias": zeros(places), "mlp.c_fc.weight": zeros(places, width),
             "mlp.c_fc.bias": zeros(width), "mlp.c_proj.weight": zeros(width, places),
             "mlp.c_proj.bias": zeros(places)}
    tensors.update({"h.0." + name: t for name, t in block.items()})
    header, at = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + 4 * len(data)]}
        at += 4 * len(data)
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, data in tensors.values():
            data.tofile(f)

    def save(name, value):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f)

    save("config.json", {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": 1, "n_head": 16, "n_embd": places,
        "n_inner": width, "n_positions": places, "n_ctx": places, "vocab_size": n_vocab,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "bos_token_id": ids[END],
        "eos_token_id": ids[END], "tie_word_embeddings": True})
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    save("tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "pre_tokenizer": level, "decoder": level,
        "added_tokens": [{"id": ids[m], "content": m, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": m not in ordinary} for m in marks],
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {k: v for k, v in ids.items() if k not in marks}, "merges": []}})
    save("tokenizer_config.json", {"eos_token": END, "tokenizer_class": "GPT2Tokenizer",
                                   "chat_template": "{# " + template + " #}" + prompt})
