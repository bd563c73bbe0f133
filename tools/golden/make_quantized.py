#!/usr/bin/env python3
"""Tiny models as other libraries quantize them, and what their weights and logits are.

    make_quantized.py     writes tests/golden/data/quantized/CASE/{config.json,model.safetensors,expected.json}
                          and what fuzz_model_config.c starts from, tests/fuzz/corpus/model_config/packed-CASE

Codes, scales and zero points are random numbers, packed here as each format defines; the weights that they mean
are computed from the numbers, not from the packed bytes. expected.json holds, for every packed weight, a hash of its
values in single precision ("f32") and of what stays of them in memory ("kept", with the type it is kept in), and the
logits of a Llama forward pass in double precision over the former.  (needs numpy)
"""
import json
import pathlib

import numpy as np

CORPUS = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/fuzz/corpus/model_config"
OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/golden/data/quantized"
EMBD, FF, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 32, 64, 2, 1, 16, 48
SHAPES = {
    "self_attn.q_proj": (HEADS * HEAD_DIM, EMBD),
    "self_attn.k_proj": (KV_HEADS * HEAD_DIM, EMBD),
    "self_attn.v_proj": (KV_HEADS * HEAD_DIM, EMBD),
    "self_attn.o_proj": (EMBD, HEADS * HEAD_DIM),
    "mlp.gate_proj": (FF, EMBD),
    "mlp.up_proj": (FF, EMBD),
    "mlp.down_proj": (EMBD, FF),
}
# Phi 3 has these in one: rows one after another.
FUSED = {"self_attn.qkv_proj": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
         "mlp.gate_up_proj": ["mlp.gate_proj", "mlp.up_proj"]}
TOKENS = [1, 40, 7, 7, 23, 0, 31, 12, 47, 5]
f32 = np.float32


# -- numbers ---------------------------------------------------------------------------------------

def to_bf16(x):
    """Rounded to the nearest even, as uint16."""
    bits = np.ascontiguousarray(x, f32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(h):
    return (h.astype(np.uint32) << 16).view(f32)


def e4m3(codes):
    """FP8 with 4 bits of exponent, bias 7, 3 of mantissa, no infinity."""
    sign = np.where(codes & 128, -1.0, 1.0)
    exponent, mantissa = (codes >> 3 & 15).astype(int), (codes & 7).astype(float)
    value = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7.0))
    return (sign * value).astype(f32)


def fnv(x):
    h = 0xCBF29CE484222325
    for b in np.ascontiguousarray(x, f32).tobytes():
        h = ((h ^ b) * 0x100000001B3) & (1 << 64) - 1
    return f"{h:016x}"


# -- files -----------------------------------------------------------------------------------------

TYPES = {"float32": "F32", "float16": "F16", "int32": "I32", "int64": "I64", "int8": "I8", "uint8": "U8"}


class Bf16:
    def __init__(self, x):
        self.bits = to_bf16(x)


class F8:
    def __init__(self, codes):
        self.codes = codes.astype(np.uint8)


def kind_of(t):
    """The array to write, and its type's name."""
    if isinstance(t, Bf16):
        return t.bits, "BF16"
    return (t.codes, "F8_E4M3") if isinstance(t, F8) else (t, TYPES[str(t.dtype)])


def write_corpus(path, config, tensors):
    """Names, types and shapes; numbers are the fuzz target's own, but for the text of states."""
    lines = [json.dumps(config), "%%"]
    for name, t in tensors.items():
        array, kind = kind_of(t)
        if "quant_state" in name:
            lines.append(f"{name}:{kind} ={array.tobytes().decode()}")
        elif "g_idx" in name and "order" not in path.name:
            continue  # the target's own has two groups
        elif "weight_shape" in name and "zeros" not in path.name:
            continue  # the target's own is wrong
        elif array.ndim:
            lines.append(f"{name}:{kind} {' '.join(map(str, array.shape))}")
    path.write_text("\n".join(lines) + "\n")


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        array, kind = kind_of(t)
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


# -- packing ---------------------------------------------------------------------------------------

def pack_words(codes, bits):
    """Codes along the last dimension, the first in the lowest bits of an int32."""
    n = 32 // bits
    codes = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % n)])
    parts = codes.reshape(*codes.shape[:-1], -1, n).astype(np.uint32)
    words = np.zeros(parts.shape[:-1], np.uint32)
    for i in range(n):
        words |= parts[..., i] << np.uint32(bits * i)
    return words.view(np.int32)


def pack_awq(codes):
    """Eight codes of the last dimension to a word: columns 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits up."""
    parts = codes.reshape(codes.shape[0], -1, 8)[..., [0, 2, 4, 6, 1, 3, 5, 7]]
    return pack_words(parts.reshape(codes.shape), 4)


def less_one(words, bits):
    return (words.view(np.uint32) - np.uint32(0x11111111 if bits == 4 else 0x01010101)).view(np.int32)


# -- formats: each gives the tensors of one weight, its values, and what is kept of them -----------
# rng: random numbers; size: the magnitude that weights should have.

def affine(rng, shape, size, bits, group, zeros, order=None):
    """codes [rows, cols], scales and zeros [rows, groups], and the group of each column."""
    rows, cols = shape
    n = 1 if group < 0 else -(-cols // group)
    codes = rng.integers(0, 1 << bits, shape)
    scales = (size * rng.uniform(0.5, 1.5, (rows, n)) / (1 << bits - 1)).astype(f32)
    middle = 1 << bits - 1
    zero = np.full((rows, n), middle) if zeros is None else rng.integers(*zeros, (rows, n))
    columns = np.arange(cols) // (cols if group < 0 else group)
    if order:
        columns = rng.permutation(columns)
    return codes, scales, zero, columns


def meaning(codes, scales, zero, columns):
    return (codes - zero[:, columns]).astype(f32) * scales[:, columns].astype(f32)


def q4_1(codes, scales, zero, columns):
    """Codes of 4 bits with a minimum that is a half."""
    minimum = (-scales.astype(f32) * zero.astype(f32)).astype(np.float16).astype(f32)
    return codes.astype(f32) * scales[:, columns].astype(f32) + minimum[:, columns]


def gptq(bits, group, zeros=None, order=False, v2=False, scale=np.float16):
    def make(rng, shape, size):
        codes, scales, zero, columns = affine(rng, shape, size, bits, group, zeros, order)
        scales = scales.astype(scale)
        packed = pack_words(zero.T, bits)
        tensors = {"qweight": np.ascontiguousarray(pack_words(codes, bits).T),
                   "qzeros": packed if v2 else less_one(packed, bits),
                   "scales": np.ascontiguousarray(scales.T), "g_idx": columns.astype(np.int32)}
        value = meaning(codes, scales, zero, columns)
        if order or (bits == 8 and zeros):
            return tensors, value, "f16", value.astype(np.float16).astype(f32)
        if zeros:
            return tensors, value, "q4_1", q4_1(codes, scales, zero, columns)
        return tensors, value, "q4_0" if bits == 4 else "q8_0", value
    return make, {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": order, "sym": not zeros,
                  "checkpoint_format": "gptq_v2" if v2 else "gptq"}


def awq(group):
    def make(rng, shape, size):
        codes, scales, zero, columns = affine(rng, shape, size, 4, group, (0, 16))
        scales = scales.astype(np.float16)
        tensors = {"qweight": pack_awq(codes.T), "qzeros": pack_awq(zero.T), "scales": np.ascontiguousarray(scales.T)}
        return tensors, meaning(codes, scales, zero, columns), "q4_1", q4_1(codes, scales, zero, columns)
    return make, {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"}


def compressed(fmt, **weights):
    return {"quant_method": "compressed-tensors", "format": fmt, "quantization_status": "compressed",
            "ignore": ["lm_head"], "config_groups": {"group_0": {"targets": ["Linear"], "input_activations": None,
                                                                 "weights": weights}}}


def ct_packed(bits, group, zeros=None, order=False):
    def make(rng, shape, size):
        codes, scales, zero, columns = affine(rng, shape, size, bits, group, zeros, order)
        scales = from_bf16(to_bf16(scales))
        tensors = {"weight_packed": pack_words(codes, bits), "weight_scale": Bf16(scales),
                   "weight_shape": np.array(shape, np.int64)}
        if zeros:
            tensors["weight_zero_point"] = np.ascontiguousarray(pack_words(zero.T, bits).T)
        if order:
            tensors["weight_g_idx"] = columns.astype(np.int32)
        value = meaning(codes, scales, zero, columns)
        if order:
            return tensors, value, "bf16", from_bf16(to_bf16(value))
        if zeros:
            return tensors, value, "q4_1", q4_1(codes, scales, zero, columns)
        return tensors, value, "q4_0" if bits == 4 else "q8_0", value
    return make, compressed("pack-quantized", num_bits=bits, type="int", symmetric=not zeros,
                            strategy="group" if group > 0 else "channel", group_size=group if group > 0 else None,
                            actorder="group" if order else None)


def ct_int8(per_tensor=False, zeros=False):
    def make(rng, shape, size):
        codes, scales, zero, _ = affine(rng, shape, size, 8, -1, (100, 150) if zeros else None)
        codes, zero = codes - 128, zero - 128
        scales = from_bf16(to_bf16(scales))
        if per_tensor:
            scales = scales[:1]
        tensors = {"weight": codes.astype(np.int8), "weight_scale": Bf16(scales[0] if per_tensor else scales)}
        if zeros:
            tensors["weight_zero_point"] = zero.astype(np.int8)
        value = (codes - zero).astype(f32) * scales
        if zeros:
            return tensors, value, "bf16", from_bf16(to_bf16(value))
        return tensors, value, "q8_0", value
    config = compressed("int-quantized", num_bits=8, type="int", symmetric=not zeros,
                        strategy="tensor" if per_tensor else "channel")
    config["config_groups"]["group_0"]["input_activations"] = {"num_bits": 8, "type": "int", "dynamic": True,
                                                               "strategy": "token"}
    return make, config


def fp8(form):
    """form: tensor (with the scale of activations beside it, which is not used), channel, or block."""
    def make(rng, shape, size):
        codes = rng.integers(0, 256, shape)
        codes[codes & 127 == 127] = 0
        codes[codes & 64 != 0] &= ~32  # not wider than 2^4
        scales = (size * rng.uniform(0.1, 0.3, (shape[0], 1) if form == "channel" else (1, 1))).astype(f32)
        if form != "block":
            scales = from_bf16(to_bf16(scales))
        value = from_bf16(to_bf16(e4m3(codes) * scales))
        tensors = {"weight": F8(codes)}
        if form == "block":
            tensors["weight_scale_inv"] = scales
        else:
            tensors["weight_scale"] = Bf16(scales if form == "channel" else scales[0])
        if form == "tensor":
            tensors["input_scale"] = Bf16(np.array([0.02], f32))
        return tensors, value, "bf16", value
    if form == "block":
        return make, {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3",
                      "weight_block_size": [128, 128]}
    return make, compressed("float-quantized", num_bits=8, type="float", strategy=form, symmetric=True)


# The sixteen values of NF4 (QLoRA, arXiv:2305.14314, appendix E) and of FP4 (E2M1 with one
# subnormal, over its largest value), as single-precision numbers.
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                0.7229568362236023, 1.0], f32)
FP4 = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3, -0.0, -0.0625, -8, -12, -4, -6, -2, -3], f32) / f32(12)


def bnb4(kind, dtype, nested, block=64):
    def make(rng, shape, size):
        table = NF4 if kind == "nf4" else FP4
        n = shape[0] * shape[1]
        codes = rng.integers(0, 16, n)
        n_blocks = -(-n // block)
        state = {"quant_type": kind, "blocksize": block, "dtype": dtype, "shape": list(shape)}
        tensors = {"weight": (codes[0::2] << 4 | codes[1::2]).astype(np.uint8).reshape(-1, 1)}
        if nested:
            levels = np.sort(rng.uniform(-1, 1, 256)).astype(f32)
            over = (size * rng.uniform(0.2, 0.4, -(-n_blocks // nested))).astype(f32)
            offset = float(f32(size * 1.1))
            absmax_codes = rng.integers(0, 256, n_blocks).astype(np.uint8)
            absmax = levels[absmax_codes] * over[np.arange(n_blocks) // nested] + f32(offset)
            tensors |= {"weight.absmax": absmax_codes, "weight.nested_absmax": over,
                        "weight.nested_quant_map": levels}
            state |= {"nested_blocksize": nested, "nested_dtype": "float32", "nested_offset": offset}
        else:
            absmax = (size * rng.uniform(0.8, 1.6, n_blocks)).astype(f32)
            tensors["weight.absmax"] = absmax
        tensors["weight.quant_map"] = table
        tensors[f"weight.quant_state.bitsandbytes__{kind}"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        value = (table[codes] * absmax[np.arange(n) // block]).reshape(shape)
        if dtype == "bfloat16":
            return tensors, value, "bf16", from_bf16(to_bf16(value))
        return tensors, value, "f16", value.astype(np.float16).astype(f32)
    return make, {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False,
                  "bnb_4bit_quant_type": kind, "bnb_4bit_compute_dtype": dtype, "bnb_4bit_quant_storage": "uint8",
                  "bnb_4bit_use_double_quant": bool(nested)}


def bnb8():
    def make(rng, shape, size):
        codes = rng.integers(-127, 128, shape).astype(np.int8)
        scb = (size * rng.uniform(0.8, 1.6, shape[0])).astype(f32)
        value = codes.astype(f32) * scb[:, None] * f32(7.874015718698502e-3)
        kept = codes.astype(f32) * (scb * f32(7.874015718698502e-3)).astype(np.float16).astype(f32)[:, None]
        return {"weight": codes, "SCB": scb, "weight_format": np.array(0, np.uint8)}, value, "q8_0", kept
    return make, {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True}


CASES = {
    "bnb-nf4": bnb4("nf4", "float16", 0),
    "bnb-nf4-double": bnb4("nf4", "bfloat16", 256),
    "bnb-fp4-double": bnb4("fp4", "float32", 5, block=128),
    "bnb-int8": bnb8(),
    "gptq-4": gptq(4, 32),
    "gptq-4-rows": gptq(4, -1),
    "gptq-4-zeros": gptq(4, 32, zeros=(1, 16)),
    "gptq-4-zeros-carry": gptq(4, 32, zeros=(0, 3)),
    "gptq-4-zeros-v2": gptq(4, 32, zeros=(0, 16), v2=True),
    "gptq-4-order": gptq(4, 16, zeros=(1, 16), order=True),
    "gptq-8": gptq(8, 32),
    "gptq-8-zeros": gptq(8, 32, zeros=(1, 256)),
    "awq": awq(32),
    "awq-fused": awq(32),
    "ct-int4": ct_packed(4, 32),
    "bnb-nf4-fused": bnb4("nf4", "float16", 0),
    "ct-int4-zeros": ct_packed(4, 32, zeros=(0, 16)),
    "ct-int4-order": ct_packed(4, 8, order=True),
    "ct-int8-packed": ct_packed(8, -1),
    "ct-int8": ct_int8(),
    "ct-int8-tensor": ct_int8(per_tensor=True),
    "ct-int8-zeros": ct_int8(zeros=True),
    "ct-fp8-tensor": fp8("tensor"),
    "ct-fp8-channel": fp8("channel"),
    "fp8-block": fp8("block"),
}


# -- a Llama forward pass in double precision ------------------------------------------------------

def norm(x, w):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w


def rotate(x):
    half = HEAD_DIM // 2
    angles = np.arange(len(x))[:, None] * 10000.0 ** (-np.arange(half) / half)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def forward(embd, norms, weights):
    w = {name: value.astype(float) for name, value in weights.items()}
    x = embd[TOKENS]
    h, n = norm(x, norms["input_layernorm"]), len(TOKENS)
    q = rotate((h @ w["self_attn.q_proj"].T).reshape(n, HEADS, HEAD_DIM))
    k = rotate((h @ w["self_attn.k_proj"].T).reshape(n, KV_HEADS, HEAD_DIM))
    v = (h @ w["self_attn.v_proj"].T).reshape(n, KV_HEADS, HEAD_DIM)
    out = np.zeros((n, HEADS, HEAD_DIM))
    for head in range(HEADS):
        of = head * KV_HEADS // HEADS
        scores = q[:, head] @ k[:, of].T / HEAD_DIM**0.5
        scores[np.triu_indices(n, 1)] = -np.inf
        p = np.exp(scores - scores.max(-1, keepdims=True))
        out[:, head] = p / p.sum(-1, keepdims=True) @ v[:, of]
    x = x + out.reshape(n, -1) @ w["self_attn.o_proj"].T
    h = norm(x, norms["post_attention_layernorm"])
    gate = h @ w["mlp.gate_proj"].T
    x = x + (gate / (1 + np.exp(-gate)) * (h @ w["mlp.up_proj"].T)) @ w["mlp.down_proj"].T
    return norm(x, norms["norm"]) @ embd.T


def matrices(name):
    """The matrices of a layer, and the parts of each."""
    fused = FUSED if "fused" in name else {}
    whole_of = {p: whole for whole, parts in fused.items() for p in parts}
    return {whole_of.get(p, p): fused.get(whole_of.get(p), [p]) for p in SHAPES}


def write_case(name, make, quantization):
    rng = np.random.default_rng([ord(c) for c in name])
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB, "hidden_size": EMBD,
              "intermediate_size": FF, "num_hidden_layers": 1, "num_attention_heads": HEADS, "head_dim": HEAD_DIM,
              "num_key_value_heads": KV_HEADS, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
              "hidden_act": "silu", "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
              "torch_dtype": "float16", "quantization_config": quantization}
    if "fused" in name:
        config |= {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "pad_token_id": 0}
    embd = rng.normal(0, 0.5, (VOCAB, EMBD)).astype(np.float16)
    norms = {n: rng.uniform(0.7, 1.3, EMBD).astype(np.float16)
             for n in ("input_layernorm", "post_attention_layernorm", "norm")}
    tensors = {"model.embed_tokens.weight": embd, "model.norm.weight": norms["norm"]}
    for n in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"model.layers.0.{n}.weight"] = norms[n]
    values, expected = {}, {}
    for whole, parts in matrices(name).items():
        rows = [SHAPES[p][0] for p in parts]
        shape = (sum(rows), SHAPES[parts[0]][1])
        packed, value, kept_as, kept = make(rng, shape, 1.8 / shape[1] ** 0.5)
        assert value.dtype == f32 and kept.dtype == f32 and np.isfinite(kept).all()
        tensors |= {f"model.layers.0.{whole}.{ending}": t for ending, t in packed.items()}
        ends = np.cumsum(rows)[:-1]
        for part, v, k in zip(parts, np.split(value, ends), np.split(kept, ends)):
            values[part] = v
            expected[part] = {"f32": fnv(v), "first": [float(x) for x in v[0, :4]], "kept_as": kept_as, "kept": fnv(k)}
    logits = forward(embd.astype(float), {n: v.astype(float) for n, v in norms.items()}, values)
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write_safetensors(folder / "model.safetensors", tensors)
    write_corpus(CORPUS / f"packed-{name}", config, tensors)
    (folder / "expected.json").write_text(json.dumps(
        {"tokens": TOKENS, "weights": expected, "logits": [[round(float(v), 7) for v in row] for row in logits[-2:]]},
        indent=1) + "\n")


if __name__ == "__main__":
    for case, (make_weight, quantization_config) in CASES.items():
        write_case(case, make_weight, quantization_config)
