"""What the tests' repositories hold: the model in the box, a checkout of a tiny random Llama, and bytes of any size."""
import json
import os
import random
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
WIDTH, INNER, LAYERS, HEADS = 32, 64, 2, 4


def hearth_small():
    with open(os.path.join(ROOT, "models/hearth-small.gguf"), "rb") as f:
        return f.read()


def gguf_bytes(n_bytes, seed=1):
    """Looks like the start of a GGUF file; for tests of the way, not of what arrives."""
    return b"GGUF" + struct.pack("<I", 3) + random.Random(seed).randbytes(n_bytes - 8)


def safetensors(tensors):
    """{name: shape} with small random numbers, F32."""
    header, at, body = {"__metadata__": {"format": "pt"}}, 0, []
    for name, shape in tensors.items():
        n = 1
        for d in shape:
            n *= d
        r = random.Random(name)
        norm = name.endswith("norm.weight")
        values = [1.0 if norm else r.uniform(-0.1, 0.1) for _ in range(n)]
        body.append(struct.pack(f"<{n}f", *values))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * n]}
        at += 4 * n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(body)


def byte_letters():
    """GPT-2's letters for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, n = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + n)
            n += 1
    return [letters[b] for b in range(256)]


def checkout():
    """{path: bytes} of a Hugging Face folder that runs: two shards, a tokenizer, and what must not be fetched."""
    vocab = {letter: i for i, letter in enumerate(byte_letters())}
    vocab["<s>"], vocab["</s>"] = 256, 257
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH,
              "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
              "num_key_value_heads": HEADS, "vocab_size": len(vocab), "max_position_embeddings": 256,
              "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "torch_dtype": "float32",
              "bos_token_id": 256, "eos_token_id": 257, "hidden_act": "silu"}
    special = [{"id": vocab[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for t in ("<s>", "</s>")]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
                 "pre_tokenizer": level, "post_processor": None, "decoder": level,
                 "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                           "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
                           "merges": []}}
    shards = [{"model.embed_tokens.weight": [len(vocab), WIDTH], "model.norm.weight": [WIDTH]}, {}]
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        shards[i % 2].update({p + "input_layernorm.weight": [WIDTH], p + "post_attention_layernorm.weight": [WIDTH],
                              **{f"{p}self_attn.{n}_proj.weight": [WIDTH, WIDTH] for n in "qkvo"},
                              p + "mlp.gate_proj.weight": [INNER, WIDTH], p + "mlp.up_proj.weight": [INNER, WIDTH],
                              p + "mlp.down_proj.weight": [WIDTH, INNER]})
    files = {f"model-0000{i + 1}-of-00002.safetensors": safetensors(s) for i, s in enumerate(shards)}
    index = {"metadata": {}, "weight_map": {n: f"model-0000{i + 1}-of-00002.safetensors"
                                            for i, s in enumerate(shards) for n in s}}
    files |= {"config.json": json.dumps(config, indent=1).encode(), "tokenizer.json": json.dumps(tokenizer).encode(),
              "model.safetensors.index.json": json.dumps(index).encode(),
              "tokenizer_config.json": b'{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true}',
              "generation_config.json": b'{"temperature": 0.5}', "README.md": b"# Tiny\n", "LICENSE": b"None.\n",
              "chat_template.jinja": b"{% for m in messages %}{{ m.content }}\n{% endfor %}"}
    return files


NOT_FETCHED = {"pytorch_model.bin": b"pickle", "model.pt": b"pickle", "weights.pth": b"pickle", "last.ckpt": b"pickle",
               "modeling_tiny.py": b"import os", "setup.sh": b"#!/bin/sh", "consolidated.safetensors": safetensors({"a": [2]}),
               "consolidated.00.safetensors": safetensors({"b": [2]}), "original/model.safetensors": safetensors({"c": [2]}),
               "original/params.json": b"{}", "onnx/model.onnx": b"onnx", "onnx/config.json": b"{}",
               ".gitattributes": b"*.bin filter=lfs\n"}
