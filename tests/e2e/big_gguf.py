#!/usr/bin/env python3
"""Writes a GGUF file of a large model's shape: a true header, and a hole where 141 GB of F16 weights would be.

usage: big_gguf.py FILE          the shape is Llama 2 70B's; the file takes no space on disk
       big_gguf.py FILE small    one of 103 million parameters: 205 MB
"""
import struct
import sys

LAYERS, WIDTH, HEADS, KV, FF, VOCAB = 80, 8192, 64, 8, 28672, 32000
if sys.argv[2:] == ["small"]:
    LAYERS, WIDTH, HEADS, KV, FF, VOCAB = 8, 1024, 16, 16, 2816, 100
F32, F16 = 0, 1


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def key(name, kind, fmt, value):
    return text(name) + struct.pack("<I", kind) + (text(value) if kind == 8 else struct.pack("<" + fmt, value))


def texts(name, items):
    return text(name) + struct.pack("<IIQ", 9, 8, len(items)) + b"".join(map(text, items))


def tokenizer():
    """One token a character."""
    tokens = [chr(c) for c in range(33, 33 + 94)] + [f"<{i}>" for i in range(VOCAB - 94)]
    return [key("tokenizer.ggml.model", 8, "", "gpt2"), key("tokenizer.ggml.pre", 8, "", "gpt-2"),
            texts("tokenizer.ggml.tokens", tokens), texts("tokenizer.ggml.merges", [])]


def main():
    a = "llama."
    keys = [key("general.architecture", 8, "", "llama"), key("general.file_type", 4, "I", 1),
            key(a + "block_count", 4, "I", LAYERS), key(a + "embedding_length", 4, "I", WIDTH),
            key(a + "attention.head_count", 4, "I", HEADS), key(a + "attention.head_count_kv", 4, "I", KV),
            key(a + "feed_forward_length", 4, "I", FF), key(a + "context_length", 4, "I", 4096),
            key(a + "vocab_size", 4, "I", VOCAB),
            key(a + "attention.layer_norm_rms_epsilon", 6, "f", 1e-5)]
    keys += tokenizer() if VOCAB < 1000 else []
    tensors = [("token_embd.weight", F16, (WIDTH, VOCAB)), ("output_norm.weight", F32, (WIDTH,)),
               ("output.weight", F16, (WIDTH, VOCAB))]
    kv = WIDTH // HEADS * KV
    for i in range(LAYERS):
        b = f"blk.{i}."
        tensors += [(b + "attn_norm.weight", F32, (WIDTH,)), (b + "ffn_norm.weight", F32, (WIDTH,)),
                    (b + "attn_q.weight", F16, (WIDTH, WIDTH)), (b + "attn_k.weight", F16, (WIDTH, kv)),
                    (b + "attn_v.weight", F16, (WIDTH, kv)), (b + "attn_output.weight", F16, (WIDTH, WIDTH)),
                    (b + "ffn_gate.weight", F16, (WIDTH, FF)), (b + "ffn_up.weight", F16, (WIDTH, FF)),
                    (b + "ffn_down.weight", F16, (FF, WIDTH))]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys)
    offset = 0
    for name, kind, shape in tensors:
        head += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in shape)
        head += struct.pack("<IQ", kind, offset)
        n = 2 if kind == F16 else 4
        for d in shape:
            n *= d
        offset += (n + 31) // 32 * 32
    with open(sys.argv[1], "wb") as out:
        out.write(head + b"\0" * (-len(head) % 32))
        out.truncate(out.tell() + offset)


main()
