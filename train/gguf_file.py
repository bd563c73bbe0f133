"""A model as a GGUF file: Q8_0 or F16 matrices, F32 norms, tokenizer and chat template.

Source: github.com/ggml-org/ggml/blob/master/docs/gguf.md (keys), and the Llama
convention of that format that rotary pairs are neighbours.
"""

import json
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from model import Llama
from vocabulary import END_OF_TEXT, GGUF_PRE, SPECIAL_TOKENS, TURN_END, TURN_START

NAME = "hearth-small"


def rotary_neighbours(weight: Tensor, n_heads: int) -> Tensor:
    """Rows of every head from (all first halves, all second halves) to pairs side by side."""
    rows, cols = weight.shape
    return weight.view(n_heads, 2, rows // n_heads // 2, cols).transpose(1, 2).reshape(rows, cols)


def named_tensors(model: Llama) -> list[tuple[str, Tensor]]:
    shape = model.shape
    tensors = [("token_embd.weight", model.embed.weight), ("output_norm.weight", model.norm.weight)]
    if not shape.tied:
        tensors.append(("output.weight", model.output.weight))
    for i, layer in enumerate(model.layers):
        tensors += [
            (f"blk.{i}.attn_norm.weight", layer.attn_norm.weight),
            (f"blk.{i}.attn_q.weight", rotary_neighbours(layer.attn.q.weight, shape.n_heads)),
            (f"blk.{i}.attn_k.weight", rotary_neighbours(layer.attn.k.weight, shape.n_kv_heads)),
            (f"blk.{i}.attn_v.weight", layer.attn.v.weight),
            (f"blk.{i}.attn_output.weight", layer.attn.out.weight),
            (f"blk.{i}.ffn_norm.weight", layer.ffn_norm.weight),
            (f"blk.{i}.ffn_gate.weight", layer.ffn.gate.weight),
            (f"blk.{i}.ffn_up.weight", layer.ffn.up.weight),
            (f"blk.{i}.ffn_down.weight", layer.ffn.down.weight),
        ]
    return tensors


def add_shape(writer: gguf.GGUFWriter, model: Llama, name: str, kind: str) -> None:
    shape = model.shape
    writer.add_name(name)
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layers)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_eps)


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, template: str | None) -> None:
    n_tokens = tokenizer.get_vocab_size()
    tokens = [tokenizer.id_to_token(i) for i in range(n_tokens)]
    types = [
        gguf.TokenType.CONTROL if t in SPECIAL_TOKENS else gguf.TokenType.NORMAL for t in tokens
    ]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(GGUF_PRE)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    # Plain text begins as a turn does: heads that find nothing look at a turn's start.
    writer.add_bos_token_id(tokenizer.token_to_id(TURN_START))
    writer.add_eos_token_id(tokenizer.token_to_id(TURN_END))
    writer.add_pad_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_add_bos_token(True)
    if template:
        writer.add_chat_template(template)


def write_gguf(
    model: Llama,
    tokenizer: Tokenizer,
    template: str | None,
    path: Path,
    name: str = NAME,
    kind: str = "Q8_0",
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(path), "llama")
    add_shape(writer, model, name, kind)
    add_tokenizer(writer, tokenizer, template)
    dtype = gguf.GGMLQuantizationType[kind]
    for tensor, weight in named_tensors(model):
        values = weight.detach().float().numpy().astype(np.float32)
        if values.ndim == 1:
            writer.add_tensor(tensor, values)
        else:
            writer.add_tensor(tensor, gguf.quants.quantize(values, dtype), raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{path}: {path.stat().st_size} bytes")
