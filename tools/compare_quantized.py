#!/usr/bin/env python3
"""The golden numbers of make_quantized.py against the libraries that define the formats.

    compare_quantized.py [FOLDER]     default: tests/golden/data/quantized

bitsandbytes and compressed-tensors dequantize the files' own tensors on the CPU; transformers runs Llama over the
result. Prints one line a folder: how many values of how many differ from those whose hash the goldens hold (after
rounding to the type that the library gives), and the largest difference of logits. GPTQ and AWQ have no library that
runs without a GPU: their weights are left out, only their logits are compared.
(needs torch, transformers, safetensors, bitsandbytes, compressed-tensors)
"""
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "golden"))
import make_quantized as ours  # noqa: E402


def bitsandbytes_weight(t, name):
    import bitsandbytes.functional as F
    if t[f"{name}.weight"].dtype == torch.int8:
        return F.int8_vectorwise_dequant(t[f"{name}.weight"], t[f"{name}.SCB"])
    parts = {k[len(name) + 8:]: v for k, v in t.items() if k.startswith(f"{name}.weight.")}
    state = F.QuantState.from_dict(parts, device=torch.device("cpu"))
    return F.dequantize_4bit(t[f"{name}.weight"], state)


def compressed_weight(t, name, config):
    from compressed_tensors.compressors.base import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    q = config["quantization_config"]
    args = {k: v for k, v in q["config_groups"]["group_0"]["weights"].items() if v is not None}
    args.pop("actorder", None)  # newer versions refuse "group", of which g_idx says all
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args), format=q["format"])
    parts = {k[len(name) + 1:]: v for k, v in t.items() if k.startswith(f"{name}.")}
    compressor = BaseCompressor.get_value_from_registry(q["format"])
    out = compressor.decompress(dict(parts), scheme)
    return out["weight"]


def library_weight(t, name, config):
    method = config["quantization_config"]["quant_method"]
    if method == "bitsandbytes":
        return bitsandbytes_weight(t, name)
    if method == "compressed-tensors":
        return compressed_weight(t, name, config)
    return None


def case_values(name):
    """The weights as make_quantized.py means them."""
    make, _ = ours.CASES[name]
    rng = np.random.default_rng([ord(c) for c in name])
    rng.normal(0, 0.5, (ours.VOCAB, ours.EMBD))
    for _ in range(3):
        rng.uniform(0.7, 1.3, ours.EMBD)
    shapes = {whole: (sum(ours.SHAPES[p][0] for p in parts), ours.SHAPES[parts[0]][1])
              for whole, parts in ours.matrices(name).items()}
    return {part: make(rng, shape, 1.8 / shape[1] ** 0.5)[1] for part, shape in shapes.items()}


def parts_of(values, name):
    """The weights under the names that Llama has."""
    for whole, parts in ours.matrices(name).items():
        ends = np.cumsum([ours.SHAPES[p][0] for p in parts])[:-1]
        yield from zip(parts, np.split(values[whole], ends))


def compare(folder):
    config = json.loads((folder / "config.json").read_text())
    expected = json.loads((folder / "expected.json").read_text())
    t = load_file(folder / "model.safetensors")
    values, differ, total, worst = case_values(folder.name), 0, 0, 0.0
    state = {k: v.float() for k, v in t.items() if "layernorm" in k or "embed" in k or k == "model.norm.weight"}
    for part, value in parts_of(values, folder.name):
        assert ours.fnv(value) == expected["weights"][part]["f32"], (folder.name, part)
        state[f"model.layers.0.{part}.weight"] = torch.from_numpy(value)
    for part, value in values.items():
        w = library_weight(t, f"model.layers.0.{part}", config)
        if w is not None:
            mine = torch.from_numpy(value).to(w.dtype)
            differ += (mine != w).sum().item()
            worst = max(worst, ((mine.float() - w.float()).abs().max() / mine.float().abs().max()).item())
            total += w.numel()
    config.pop("quantization_config")
    model = LlamaForCausalLM(LlamaConfig(**{k: v for k, v in config.items() if k != "torch_dtype"})).float().eval()
    missing = model.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) <= {"lm_head.weight"} and not missing.unexpected_keys, missing
    model.tie_weights()
    with torch.no_grad():
        logits = model(torch.tensor([expected["tokens"]])).logits[0, -2:].double().numpy()
    want = np.array(expected["logits"])
    print(f"{folder.name:20} weights: {f'{differ} of {total} differ, by at most {worst:.1e}' if total else 'no library':45}"
          f" logits: {np.abs(logits - want).max() / np.abs(want).max():.1e}")


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ours.OUT
    for case in sorted(root.iterdir()):
        compare(case)
