#!/usr/bin/env python3
"""The corpora of the model formats' fuzz targets: one small file for each way a file can lie.

Writes tests/fuzz/corpus/{gguf,safetensors,hf_folder}/. What each file's error must say stands in
tests/unit/formats/test_{gguf,safetensors,hf_folder}.c. Needs nothing beyond Python.
"""
import json
import os
import struct
import sys

here = os.path.dirname(os.path.abspath(__file__))
root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../../tests/fuzz/corpus")
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)


def save(folder, name, data):
    os.makedirs(os.path.join(root, folder), exist_ok=True)
    with open(os.path.join(root, folder, name), "wb") as f:
        f.write(data)


# --- GGUF ---------------------------------------------------------------------------------------
def text(s, length=None):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(s) if length is None else length) + s


def key(name, kind, value):
    return text(name) + struct.pack("<I", kind) + value


def u32(name, v):
    return key(name, U32, struct.pack("<I", v))


def array(name, kind, n, data):
    return key(name, ARRAY, struct.pack("<IQ", kind, n) + data)


def tensor(name, dims, kind, offset, n_dims=None):
    out = text(name) + struct.pack("<I", len(dims) if n_dims is None else n_dims)
    for d in dims:
        out += struct.pack("<Q", d & (2**64 - 1))
    return out + struct.pack("<IQ", kind, offset)


ARCH = key("general.architecture", STRING, text("llama"))


def gguf(keys=(ARCH,), tensors=(), data=b"", version=3, n_keys=None, n_tensors=None, align=32, order="<"):
    out = b"GGUF" + struct.pack(order + "I", version)
    out += struct.pack(order + "QQ", len(tensors) if n_tensors is None else n_tensors, len(keys) if n_keys is None else n_keys)
    out += b"".join(keys) + b"".join(tensors)
    if data:
        out += b"\0" * (-len(out) % align) + data
    return out


def g(name, *args, **kw):
    save("gguf", name + ".gguf", gguf(*args, **kw))


every_value = [
    key("u8", U8, b"\xff"), key("i8", I8, b"\xff"), key("u16", U16, b"\xff\xff"), key("i16", I16, b"\xfe\xff"),
    u32("u32", 2**32 - 1), key("i32", I32, struct.pack("<i", -3)), key("f32", F32, struct.pack("<f", 1.5)),
    key("yes", BOOL, b"\1"), key("no", BOOL, b"\0"), key("text", STRING, text("grün\n")), key("u64", U64, struct.pack("<Q", 2**64 - 1)),
    key("i64", I64, struct.pack("<q", -2**63)), key("f64", F64, struct.pack("<d", -0.25)), key("nothing", STRING, text("")),
    array("texts", STRING, 3, text("a") + text("") + text("ccc")), array("floats", F32, 2, struct.pack("<2f", 1, 2.5)),
    array("bools", BOOL, 3, b"\1\0\1"), array("i8s", I8, 2, b"\x80\x7f"), array("empty", STRING, 0, b""),
]
sizes = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110),
         12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2), 39: (32, 17)}
tensors, filled = [], b""
for kind, (length, size) in sizes.items():
    tensors.append(tensor(f"t{kind}", [length, 2], kind, len(filled)))
    filled += bytes((len(filled) + i) * 7 % 256 for i in range(2 * size))
    filled += bytes(-len(filled) % 32)
g("good-every-type", every_value, tensors, filled)
two = [tensor("a", [4, 2], 0, 0), tensor("b", [3], 0, 32)]
g("good-v2", tensors=two, data=b"\0" * 44, version=2)
g("good-alignment-64", [ARCH, u32("general.alignment", 64)], [tensor("a", [4], 0, 0), tensor("b", [3], 0, 64)], b"\1" * 76, align=64)
g("good-scores-of-int8", [ARCH, array("tokenizer.ggml.scores", I8, 4, b"\1\2\3\4")])
g("good-no-keys", [])
save("gguf", "empty.gguf", b"")
save("gguf", "magic-only.gguf", b"GGUF")
save("gguf", "no-magic.gguf", b"GGML" + gguf()[4:])
g("version-1", version=1)
g("version-4", version=4)
g("big-endian", version=3, order=">")
g("huge-key-count", n_keys=2**63)
g("huge-tensor-count", n_tensors=2**64 - 1)
g("more-keys-than-file", n_keys=2)
g("key-length-overflows", [text("general.name", 2**64 - 8) + b"\0" * 32])
g("key-empty", [key("", U64, b"\1" * 8)])
g("key-twice", [u32("llama.block_count", 1), ARCH, u32("llama.block_count", 2)])
g("value-type-13", [key("general.name", 13, b"\0" * 16)])
g("key-cut", [ARCH, text("general.name") + b"\0\0"])
g("value-cut", [ARCH, key("llama.block_count", U64, b"\1\0\0\0")])
g("string-length-overflows", [key("general.name", STRING, text("x", 2**64 - 1))])
g("string-past-end", [key("general.name", STRING, text("x", 1000))])
g("bool-of-2", [key("general.flag", BOOL, b"\2" + b"\0" * 8)])
g("bool-array-of-2", [array("general.flags", BOOL, 3, b"\0\1\2")])
g("array-type-13", [array("tokenizer.ggml.tokens", 13, 1, b"\0" * 16)])
g("array-of-arrays", [array("tokenizer.ggml.tokens", ARRAY, 1, struct.pack("<IQ", U8, 1) + b"\0")])
g("array-count-overflows", [array("tokenizer.ggml.scores", F64, 2**61 + 1, b"\0" * 16)])
g("array-past-end", [array("tokenizer.ggml.scores", F32, 1000, b"\0" * 16)])
g("array-string-past-end", [array("tokenizer.ggml.tokens", STRING, 3, text("a") + text("b", 99))])
g("array-cut", [text("tokenizer.ggml.scores") + struct.pack("<II", ARRAY, F32)])
for name, v in (("0", 0), ("3", 3), ("2g", 2**31)):
    g("alignment-" + name, [ARCH, u32("general.alignment", v)], two, b"\0" * 44)
g("alignment-is-text", [key("general.alignment", STRING, text("32"))], two, b"\0" * 44)
g("good-split", [ARCH, key("split.count", U16, b"\3\0")])


def one(name, entry, data=b"\0" * 64):
    g(name, tensors=[entry], data=data)


one("tensor-name-empty", tensor("", [4], 0, 0))
one("tensor-name-long", tensor("n" * 2000, [4], 0, 0))
one("tensor-name-with-nul", tensor("a\0b", [4], 0, 0))
one("tensor-name-past-end", text("a", 2**40) + b"\0" * 24, b"")
g("tensor-twice", tensors=[tensor("a", [4], 0, 0), tensor("a", [4], 0, 32)], data=b"\0" * 64)
one("tensor-5-dimensions", tensor("output.weight", [1] * 5, 0, 0))
one("tensor-4g-dimensions", tensor("output.weight", [1], 0, 0, n_dims=2**32 - 1))
one("tensor-dimension-0", tensor("output.weight", [4, 0], 0, 0))
one("tensor-dimension-negative", tensor("output.weight", [-4, 2], 0, 0))
one("tensor-shape-overflows", tensor("output.weight", [2**40, 2**40], 0, 0))
one("tensor-size-overflows", tensor("output.weight", [2**61, 2], 0, 0))
one("tensor-odd-row", tensor("output.weight", [33, 32], 2, 0), b"\0" * 1024)
one("tensor-iq2-xxs", tensor("blk.0.ffn_up.weight", [256], 16, 0), b"\0" * 66)
one("tensor-type-unknown", tensor("blk.0.ffn_up.weight", [256], 77777, 0), b"\0" * 66)
one("tensor-cut", text("output.weight") + struct.pack("<IQ", 1, 4), b"")
one("tensor-cut-in-shape", text("output.weight") + struct.pack("<IQI", 2, 4, 4), b"")
one("tensor-cut-before-offset", text("output.weight") + struct.pack("<IQII", 1, 4, 0, 0), b"")
one("offset-misaligned", tensor("output.weight", [4], 0, 4))
one("offset-past-end", tensor("output.weight", [4], 0, 1 << 40))
one("offset-overflows", tensor("output.weight", [8], 0, 2**64 - 32))
one("data-cut", tensor("output.weight", [32], 0, 0))
one("data-missing", tensor("output.weight", [32], 0, 0), b"")
g("tensors-overlap", tensors=[tensor("a", [16], 0, 0), tensor("b", [8], 0, 32)], data=b"\0" * 64)


# --- safetensors --------------------------------------------------------------------------------
def st(header, data=b"", length=None):
    h = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(h) if length is None else length) + h + data


def t(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def s(name, *args, **kw):
    save("safetensors", name + ".safetensors", st(*args, **kw))


good = {"__metadata__": {"format": "pt"}, "b": t("F32", [2, 3], 0, 24), "a": t("BF16", [4], 24, 32), "scalar": t("F16", [], 32, 34),
        "f8": t("F8_E4M3", [2, 1], 34, 36)}
s("good", good, bytes(range(36)))
s("good-with-padding", st(good)[8:] + b"   ", b"\0" * 36)
s("good-other-types", {"ids": t("I64", [1, 2], 0, 16), "w": t("F32", [1], 16, 20), "none": t("F32", [0, 4], 20, 20),
                       "five": t("F32", [1] * 5, 20, 24), "new": t("F3_E1M1", [8], 24, 27), "four": t("F4", [3], 27, 29)}, b"\0" * 29)
s("good-nothing", {})
save("safetensors", "empty.safetensors", b"")
save("safetensors", "four-bytes.safetensors", b"\4\0\0\0")
s("header-past-end", {}, length=100)
s("header-length-overflows", {}, length=2**64 - 4)
s("header-not-json", b"{\"a\":")
s("header-is-a-list", b"[]")
s("header-deep", b"{\"a\":" + b"[" * 5000 + b"]" * 5000 + b"}")
s("header-with-nul", b"{\"a\\u0000b\":{}}")
s("metadata-is-text", {"__metadata__": "pt"})
s("entry-is-a-number", {"w": 5})


def w(name, data=b"\0" * 16, **change):
    e = t("F32", [4], 0, 16)
    for k, v in change.items():
        if v is None:
            del e[k]
        else:
            e[k] = v
    s(name, {"model.norm.weight": e}, data)


w("dtype-missing", dtype=None)
w("dtype-is-a-number", dtype=32)
w("shape-missing", shape=None)
w("shape-negative", shape=[-4])
w("shape-of-floats", shape=[4.0])
w("shape-overflows", shape=[2**40, 2**40])
w("offsets-missing", data_offsets=None)
w("offsets-of-3", data_offsets=[0, 8, 16])
w("offsets-negative", data_offsets=[-16, 16])
w("offsets-backwards", data_offsets=[16, 0])
w("offsets-past-end", data_offsets=[0, 1 << 60])
w("size-disagrees", shape=[3])
w("size-overflows", shape=[2**60])
w("bytes-after-the-last", data=b"\0" * 20)
s("hole", {"a": t("F32", [1], 0, 4), "b": t("F32", [1], 8, 12)}, b"\0" * 12)
s("overlap", {"a": t("F32", [2], 0, 8), "b": t("F32", [2], 4, 12)}, b"\0" * 12)
entry = json.dumps(t("F32", [1], 0, 4))
s("name-twice", f'{{"a":{entry},"a":{entry}}}'.encode(), b"\0" * 4)


# --- Hugging Face folders: "=== name" lines divide the files -------------------------------------
def h(name, **files):
    out = b""
    for n, content in files.items():
        n = n.replace("__", "-").replace("_dot_", ".")
        if not isinstance(content, bytes):
            content = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        out += b"=== " + n.encode() + b"\n" + content + b"\n"
    save("hf_folder", name, out[:-1])


config = {"model_type": "llama", "hidden_size": 2, "num_hidden_layers": 1}
weights = {"a": t("F32", [2], 0, 8)}
one_shard = st(weights, b"\0" * 8)
C, M, I, TC = "config_dot_json", "model_dot_safetensors", "model_dot_safetensors_dot_index_dot_json", "tokenizer_config_dot_json"
S1, S2 = "model__00001_dot_safetensors", "model__00002_dot_safetensors"


def files(**kw):
    return kw


h("good-single", **{C: config, M: one_shard, TC: {"bos_token": "<s>", "chat_template": "{{ bos_token }}"}})
h("good-shards", **{C: config, S1: one_shard, S2: st({"b": t("F16", [1, 2], 0, 4), "ids": t("I64", [1], 4, 12)}, b"\0" * 12),
                    I: {"metadata": {}, "weight_map": {"a": "model-00001.safetensors", "b": "model-00002.safetensors", "ids": "model-00002.safetensors"}}})
h("good-without-index", **{C: config, S1: one_shard, S2: st({"b": t("F16", [1, 2], 0, 4)}, b"\0" * 4)})
h("tokenizer-only", **{"tokenizer_dot_json": {}, TC: {"model_max_length": 1000000000000000019884624838656}})
h("good-template-list", **{C: config, M: one_shard, TC: '{"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}'})
h("good-template-file", **{C: config, M: one_shard, "chat_template_dot_jinja": "J", TC: {"chat_template": "S"}})
h("good-template-json", **{C: config, M: one_shard, "chat_template_dot_json": {"chat_template": "K"}, TC: {"chat_template": "S"}})
h("good-template-of-wrong-types", **{C: config, M: one_shard, TC: {"chat_template": [1, {"name": 2}, {"name": "default", "template": 3}, {"template": "x"}]}})
h("config-missing", **{M: one_shard, TC: {}})
h("config-not-json", **{C: "{\"model_type\": llama}", M: one_shard})
h("config-is-a-list", **{C: "[]", M: one_shard})
h("config-empty", **{C: "", M: one_shard})
h("config-deep", **{C: "{\"a\":" * 4000 + "1" + "}" * 4000, M: one_shard})
h("config-not-utf8", **{C: b"{\"model_type\": \"\xff\xfe\"}", M: one_shard})
h("tokenizer-config-not-json", **{C: config, M: one_shard, TC: "bos_token: x"})
h("generation-config-is-text", **{C: config, M: one_shard, "generation_config_dot_json": "\"eos\""})
h("weights-missing", **{C: config})
h("weights-pickled", **{C: config, "pytorch_model_dot_bin": b"\x80\x02."})
h("weights-garbage", **{C: config, M: b"\0\1\2\3\4\5\6\7\7"})
h("index-not-json", **{C: config, I: "{", S1: one_shard})
h("index-is-a-list", **{C: config, I: "[]", S1: one_shard})
h("index-without-map", **{C: config, I: {"metadata": {}}, S1: one_shard})
h("index-map-is-a-list", **{C: config, I: {"weight_map": ["a"]}, S1: one_shard})
for name, to in (("traversal", "../model.safetensors"), ("absolute", "/dev/zero"), ("parent", ".."), ("self", "."), ("empty", ""),
                 ("missing", "model-00009.safetensors"), ("number", 7), ("json", "config.json")):
    h("shard-" + name, **{C: config, I: {"weight_map": {"a": to}}, S1: one_shard})
h("shard-lacks-tensor", **{C: config, I: {"weight_map": {"a": "model-00001.safetensors", "lm_head.weight": "model-00001.safetensors"}}, S1: one_shard})
h("tensor-in-two-shards", **{C: config, S1: one_shard, S2: one_shard})
