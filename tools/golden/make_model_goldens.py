#!/usr/bin/env python3
"""Small random models of every family, run by transformers: the numbers that test_models.c expects.

    make_model_goldens.py [CASE...]     writes tests/golden/data/models/CASE.json

Weights are not stored. They come from a counter-based generator over the tensor's name, written
twice, here and in tests/support/tiny_model.c: a golden holds config.json as transformers writes
it, the names and shapes of the tensors it saves, and what the model answers.
"""
import json
import math
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/golden/data/models"
N_PROMPT, N_GREEDY = 41, 100
MASK = (1 << 64) - 1


def fnv(name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h


def uniform(name, n):
    """n numbers in [-1, 1), 24 bits each: SplitMix64 of (hash of the name + index)."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(fnv(name))) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def recipe(name, shape, plus_one, tied, salt):
    """Scale and offset of a tensor's numbers, so that attention is neither flat nor one-hot.

    A tied embedding is small: the layers, not the last token, decide what comes next."""
    if len(shape) == 1 and name.endswith("bias"):
        return 0.3, 0.0
    if len(shape) == 1:
        return 0.4, 0.0 if plus_one else 1.0
    if "embed_tokens" in name or "wte" in name:
        return (0.3 if tied else 1.0) / (math.sqrt(shape[1]) if plus_one else 1) * (1 + salt), 0.0
    if "wpe" in name:
        return 0.5, 0.0
    fan_in = shape[0] if ".c_" in name else shape[-1]
    gain = 1.6 if any(s in name for s in ("q_proj", "k_proj", "qkv_proj", "c_attn", "gate.weight")) else 1.0
    if "lm_head" in name:
        gain = 3.0
    return float(np.float32(gain * math.sqrt(3 / fan_in))), 0.0


def base(**more):
    return dict(vocab_size=131, hidden_size=48, intermediate_size=100, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0,
                tie_word_embeddings=False) | more


def rope(**more):
    return dict(rope_parameters=dict(rope_theta=10000.0) | more)


ODD = [1 + 0.13 * i for i in range(32)]
LONG = [1.5 + 0.71 * i for i in range(32)]
C = transformers
CASES = {
    "llama-grouped": (C.LlamaConfig, base(rms_norm_eps=1e-5)),
    "llama-smol": (C.LlamaConfig, base(hidden_size=54, num_attention_heads=9, num_key_value_heads=3,
                                       intermediate_size=139, tie_word_embeddings=True)),
    "llama-odd": (C.LlamaConfig, base(hidden_size=36, num_attention_heads=6, num_key_value_heads=6, head_dim=10,
                                      intermediate_size=77, attention_bias=True, mlp_bias=True, vocab_size=97)),
    "llama-one-head": (C.LlamaConfig, base(num_attention_heads=4, num_key_value_heads=1, hidden_size=40,
                                           num_hidden_layers=1, tie_word_embeddings=True)),
    "llama-linear": (C.LlamaConfig, base(**rope(rope_type="linear", factor=4.0))),
    "llama-dynamic": (C.LlamaConfig, base(max_position_embeddings=64, **rope(rope_type="dynamic", factor=2.0))),
    "llama-llama3": (C.LlamaConfig, base(hidden_size=64, max_position_embeddings=256,
                                         **rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                                high_freq_factor=4.0, original_max_position_embeddings=64,
                                                rope_theta=500000.0))),
    "llama-yarn": (C.LlamaConfig, base(hidden_size=64, **rope(rope_type="yarn", factor=4.0,
                                                              original_max_position_embeddings=64))),
    "llama-yarn-stated": (C.LlamaConfig, base(hidden_size=64, **rope(rope_type="yarn", factor=8.0, beta_fast=16.0,
                                                                     beta_slow=2.0, truncate=False,
                                                                     attention_factor=1.3,
                                                                     original_max_position_embeddings=32))),
    "llama-yarn-mscale": (C.LlamaConfig, base(hidden_size=64, **rope(rope_type="yarn", factor=4.0, mscale=0.7,
                                                                     mscale_all_dim=0.4,
                                                                     original_max_position_embeddings=64))),
    "llama-longrope": (C.LlamaConfig, base(**rope(rope_type="longrope", factor=4.0, short_factor=ODD[:6],
                                                  long_factor=LONG[:6], original_max_position_embeddings=64))),
    "mistral-window": (C.MistralConfig, base(sliding_window=24)),
    "mistral-window-page": (C.MistralConfig, base(sliding_window=70, num_hidden_layers=2)),
    "mistral-full": (C.MistralConfig, base(sliding_window=None, head_dim=20)),
    "mixtral": (C.MixtralConfig, base(num_local_experts=5, num_experts_per_tok=2, intermediate_size=44)),
    "mixtral-window": (C.MixtralConfig, base(num_local_experts=4, num_experts_per_tok=3, intermediate_size=33,
                                             sliding_window=20, tie_word_embeddings=True)),
    "qwen2": (C.Qwen2Config, base()),
    "qwen2-tied": (C.Qwen2Config, base(hidden_size=42, num_attention_heads=7, num_key_value_heads=1,
                                       tie_word_embeddings=True, intermediate_size=111, **rope(rope_theta=1e6))),
    "qwen2-window": (C.Qwen2Config, base(use_sliding_window=True, sliding_window=16, max_window_layers=1)),
    "qwen3": (C.Qwen3Config, base(head_dim=16)),
    "qwen3-tied": (C.Qwen3Config, base(hidden_size=30, num_attention_heads=5, num_key_value_heads=5, head_dim=14,
                                       tie_word_embeddings=True, attention_bias=True)),
    "qwen3-yarn": (C.Qwen3Config, base(head_dim=16, **rope(rope_type="yarn", factor=2.0, rope_theta=1e6,
                                                           original_max_position_embeddings=128))),
    "qwen3moe": (C.Qwen3MoeConfig, base(head_dim=12, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=26,
                                        norm_topk_prob=True)),
    "qwen3moe-plain": (C.Qwen3MoeConfig, base(head_dim=12, num_experts=7, num_experts_per_tok=2,
                                              moe_intermediate_size=19, norm_topk_prob=False, num_hidden_layers=4,
                                              decoder_sparse_step=2, tie_word_embeddings=True)),
    "qwen3moe-mixed": (C.Qwen3MoeConfig, base(head_dim=12, num_experts=4, num_experts_per_tok=4,
                                              moe_intermediate_size=24, norm_topk_prob=True, mlp_only_layers=[1])),
    "gemma2": (C.Gemma2Config, base(head_dim=16, query_pre_attn_scalar=16, sliding_window=16, num_hidden_layers=4,
                                    tie_word_embeddings=True)),
    "gemma2-odd": (C.Gemma2Config, base(hidden_size=36, num_attention_heads=3, num_key_value_heads=1, head_dim=18,
                                        query_pre_attn_scalar=12, sliding_window=30, attn_logit_softcapping=None,
                                        final_logit_softcapping=4.0, tie_word_embeddings=True)),
    "gemma3": (C.Gemma3TextConfig, base(head_dim=16, query_pre_attn_scalar=16, sliding_window=16, num_hidden_layers=7,
                                        tie_word_embeddings=True)),
    "gemma3-linear": (C.Gemma3TextConfig, base(
        head_dim=16, query_pre_attn_scalar=24, sliding_window=66, num_hidden_layers=6, tie_word_embeddings=True,
        rope_parameters={"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})),
    "gemma3-types": (C.Gemma3TextConfig, base(
        head_dim=10, hidden_size=40, query_pre_attn_scalar=10, sliding_window=12, tie_word_embeddings=True,
        layer_types=["full_attention", "sliding_attention", "full_attention"])),
    "phi3": (C.Phi3Config, base(sliding_window=None)),
    "phi3-window": (C.Phi3Config, base(sliding_window=31, num_key_value_heads=4, tie_word_embeddings=True)),
    "phi3-partial": (C.Phi3Config, base(hidden_size=64, **rope(partial_rotary_factor=0.75))),
    "phi3-longrope": (C.Phi3Config, base(hidden_size=64, original_max_position_embeddings=64,
                                         **rope(rope_type="longrope", short_factor=ODD[:8], long_factor=LONG[:8]))),
    "phi3-longrope-short": (C.Phi3Config, base(hidden_size=64, original_max_position_embeddings=256,
                                               max_position_embeddings=512, **rope(rope_type="longrope", short_factor=ODD[:8],
                                                      long_factor=LONG[:8]))),
    "gpt2": (C.GPT2Config, dict(vocab_size=131, n_positions=192, n_embd=48, n_layer=3, n_head=4)),
    "gpt2-odd": (C.GPT2Config, dict(vocab_size=101, n_positions=144, n_embd=35, n_layer=2, n_head=5, n_inner=91,
                                    activation_function="gelu", tie_word_embeddings=False)),
}


def older_config(config):
    """The same config as transformers 4 wrote it."""
    old = {k: v for k, v in config.items() if k not in ("rope_parameters", "dtype", "layer_types")}
    old["torch_dtype"] = "float32"
    old["transformers_version"] = "4.44.0"
    new = config.get("rope_parameters")
    if not new:
        return old
    if "full_attention" in new:
        old["rope_theta"] = new["full_attention"]["rope_theta"]
        old["rope_local_base_freq"] = new["sliding_attention"]["rope_theta"]
        scaling = {k: v for k, v in new["full_attention"].items() if k != "rope_theta"}
        if "layer_types" in config and config["layer_types"][0] == "full_attention":
            old["layer_types"] = config["layer_types"]
    else:
        old["rope_theta"] = new["rope_theta"]
        if "partial_rotary_factor" in new:
            old["partial_rotary_factor"] = new["partial_rotary_factor"]
        scaling = {k: v for k, v in new.items() if k not in ("rope_theta", "partial_rotary_factor")}
        if config["model_type"] == "phi3":
            scaling.pop("original_max_position_embeddings", None)
    kind = scaling.pop("rope_type", "default")
    old["rope_scaling"] = None if kind == "default" else {"type": kind} | scaling
    return old


def build(name, config, salt):
    """The model with the generated weights, loaded from a folder as a user would; and the recipe."""
    plus_one = "Gemma" in type(config).__name__
    with tempfile.TemporaryDirectory() as folder:
        model = transformers.AutoModelForCausalLM.from_config(config).float()
        model.save_pretrained(folder)
        path = pathlib.Path(folder) / "model.safetensors"
        with safe_open(path, "numpy") as f:
            shapes = {k: list(f.get_slice(k).get_shape()) for k in f.keys()}
        tensors, weights = [], {}
        for key, shape in shapes.items():
            scale, offset = recipe(key, shape, plus_one, config.tie_word_embeddings, salt)
            scale = float(np.float32(scale))
            w = uniform(key, int(np.prod(shape))) * np.float32(scale) + np.float32(offset)
            weights[key] = w.reshape(shape)
            tensors.append([key, shape, scale, offset])
        save_file(weights, path, metadata={"format": "pt"})
        written = json.loads((pathlib.Path(folder) / "config.json").read_text())
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
    return model.eval(), written, tensors


def fix_length(model, config, length):
    """Rotations as for a text of this length, from its first token on."""
    rotary = getattr(model.model, "rotary_emb", None) if hasattr(model, "model") else None
    kind = getattr(rotary, "rope_type", None)
    if kind in ("dynamic", "longrope"):
        inv_freq, _ = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)
        rotary.inv_freq.copy_(inv_freq)
        rotary.rope_type = "default"


def numbers(row):
    return [float("%.7g" % x) for x in row]


@torch.no_grad()
def run(name):
    kind, kwargs = CASES[name]
    for attempt in range(12):
        config = kind(**kwargs)
        model, written, tensors = build(name, config, attempt * 0.11)
        vocab = config.vocab_size
        prompt = [int(x) for x in (np.abs(uniform(name, N_PROMPT)) * (vocab - 1)).astype(int)]
        total = N_PROMPT + N_GREEDY
        short = model(torch.tensor([prompt])).logits[0]  # a text that ends here, by its own length
        fix_length(model, config, total)
        ids, gap, cache = list(prompt), 1e9, None
        feed = torch.tensor([ids])
        for _ in range(N_GREEDY):
            out = model(feed, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            top = torch.topk(out.logits[0, -1], 2).values
            gap = min(gap, float(top[0] - top[1]))
            ids.append(int(out.logits[0, -1].argmax()))
            feed = torch.tensor([ids[-1:]])
        whole = model(torch.tensor([ids])).logits[0]
        if gap > 2e-3 and len(set(ids[N_PROMPT:])) > 5:
            break
    again = [int(whole[i].argmax()) for i in range(N_PROMPT - 1, total - 1)]
    assert gap > 2e-3, "no weights found whose greedy text is clear"
    assert again == ids[N_PROMPT:], "the cached and the whole pass disagree"
    golden = {
        "config": {k: v for k, v in written.items() if not k.startswith("_")},
        "tensors": tensors,
        "tokens": ids,
        "n_prompt": N_PROMPT,
        "prompt_logits": {"positions": [N_PROMPT - 1], "rows": [numbers(short[N_PROMPT - 1])]},
        "logits": {"positions": [7, total - 2], "rows": [numbers(whole[7]), numbers(whole[total - 2])]},
        "transformers": transformers.__version__,
    }
    golden["config_4"] = older_config(golden["config"])
    text = json.dumps(golden, separators=(",", ":")).replace('],["', '],\n["').replace('"tokens"', '\n"tokens"')
    (OUT / f"{name}.json").write_text(text.replace('"logits"', '\n"logits"').replace('"config_4"', '\n"config_4"') + "\n")
    print(f"{name}: smallest lead of a greedy token {gap:.4f}, {len(set(ids[N_PROMPT:]))} different, attempt {attempt}")


def main():
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or CASES:
        run(name)


if __name__ == "__main__":
    main()
