#!/usr/bin/env python3
"""Our quantizer beside llama.cpp's: the same types and bytes, how far each is from the original, and do both engines agree.

    compare_quantizers.py MODEL.gguf CALIBRATION.txt EVALUATION.txt... [--types q4_k_m,q3_k_m] [--chunks 128] [--ctx 512] [--threads 2]
        [--only Hearth+] [--engines]

MODEL is an F32, F16 or BF16 GGUF file. For each type four files are made: llama.cpp's and ours, without and with the calibration
text, of which both read the same tokens: CALIBRATION is cut to --chunks windows (at most 128), each begun with BOS where the
vocabulary has one, and it is checked that both tokenizers agree. llama.cpp's importance matrix is gathered as its imatrix tool does
it: mean squares of what each matrix multiplication reads; llama.cpp's own quantizer then gets it through its C interface. Every file
is widened to F32 (so that only the weights differ) and its predictions of each EVALUATION are compared with MODEL's by
`hearth perplexity`: mean KL divergence, same likeliest token, perplexity. Bits are those of all tensors, a weight. "llama.cpp+" and
"Hearth+" are with the calibration text; --only names some of the four. "engines" is the mean KL divergence between llama.cpp and
Hearth running our calibrated file as it is, and how often they name the same likeliest token. Needs: llama-cpp-python, gguf, numpy.
"""
import argparse
import ctypes
import json
import pathlib
import struct
import subprocess
import tempfile

import gguf
import llama_cpp
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


class Tensor(ctypes.Structure):  # struct ggml_tensor
    pass


Tensor._fields_ = [("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4),
                   ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16), ("flags", ctypes.c_int32),
                   ("src", ctypes.POINTER(Tensor) * 10), ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t),
                   ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64)]


def tokenize(vocab, raw):
    tokens = (llama_cpp.llama_token * (len(raw) + 16))()
    n = llama_cpp.llama_tokenize(vocab, raw, len(raw), tokens, len(tokens), False, False)
    assert n >= 0
    return list(tokens[:n])


def text_of(vocab, tokens):
    piece, out = ctypes.create_string_buffer(4096), []
    for t in tokens:
        n = llama_cpp.llama_token_to_piece(vocab, t, piece, len(piece), 0, False)
        out.append(piece.raw[:n])
    return b"".join(out)


def cut(model_path, text, ctx, chunks, hearth, out):
    """Writes the first windows of the text; returns how many there are. Both tokenizers must see the same in it."""
    mp = llama_cpp.llama_model_default_params()
    mp.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(model_path).encode(), mp)
    vocab = llama_cpp.llama_model_get_vocab(model)
    tokens = tokenize(vocab, pathlib.Path(text).read_bytes()[: chunks * ctx * 16])
    cut_off = text_of(vocab, tokens[: chunks * ctx + ctx // 2])
    out.write_bytes(cut_off.decode("utf-8", "ignore").strip().encode())
    theirs = tokenize(vocab, out.read_bytes())
    ours = [int(t) for t in hearth("tokenize", model_path, "-", "--no-special", stdin=out).split()]
    llama_cpp.llama_model_free(model)
    assert ours == theirs, "the tokenizers do not agree"
    return min(len(theirs) // ctx, chunks)


def importance_matrix(model_path, text, ctx, chunks, threads):
    sums, counts = {}, {}

    @ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.POINTER(Tensor), ctypes.c_bool, ctypes.c_void_p)
    def see(tensor, ask, _):
        t = tensor.contents
        if not t.src[0] or not t.src[1]:
            return not ask
        name, x = t.src[0].contents.name.decode(), t.src[1].contents
        if not name.endswith(".weight") or x.type != 0 or x.ne[0] != t.src[0].contents.ne[0] or t.src[0].contents.ne[1] == 1:
            return not ask
        if ask:
            return True
        rows = x.ne[1] * x.ne[2] * x.ne[3]
        values = np.ctypeslib.as_array(ctypes.cast(x.data, ctypes.POINTER(ctypes.c_float)), (rows, x.ne[0])).astype(np.float64)
        sums[name] = sums.get(name, 0) + (values**2).sum(axis=0)
        counts[name] = counts.get(name, 0) + rows
        return True

    mp = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(str(model_path).encode(), mp)
    cp = llama_cpp.llama_context_default_params()
    cp.n_ctx, cp.n_batch, cp.n_ubatch, cp.n_threads, cp.n_threads_batch = ctx, ctx, ctx, threads, threads
    cp.cb_eval = ctypes.cast(see, type(cp.cb_eval)) if not isinstance(cp.cb_eval, int) else ctypes.cast(see, ctypes.c_void_p).value
    context = llama_cpp.llama_init_from_model(model, cp)
    vocab = llama_cpp.llama_model_get_vocab(model)
    tokens = tokenize(vocab, pathlib.Path(text).read_bytes())
    bos = llama_cpp.llama_vocab_bos(vocab) if llama_cpp.llama_vocab_get_add_bos(vocab) else None
    n_chunks = min(len(tokens) // ctx, chunks)
    for c in range(n_chunks):
        start = c * (len(tokens) // ctx) // n_chunks * ctx
        if bos is not None:
            tokens[start] = bos
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch = llama_cpp.llama_batch_init(ctx, 0, 1)
        batch.n_tokens = ctx
        for i in range(ctx):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = tokens[start + i], i, 1, True
            batch.seq_id[i][0] = 0
        assert llama_cpp.llama_decode(context, batch) == 0
        llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return {name: (sums[name] / counts[name]).astype(np.float32) for name in sums}


def llama_quantize(source, target, kind, importance):
    kinds = {k.replace("MOSTLY_", "").lower(): v for k, v in gguf.LlamaFileType.__members__.items()}
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = int(kinds[kind]), 2
    keep = []
    if importance:
        entries = (llama_cpp.llama_model_imatrix_data * (len(importance) + 1))()
        for entry, (name, values) in zip(entries, importance.items()):
            entry.name, entry.size = name.encode(), len(values)
            entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        keep.append(entries)
        params.imatrix = entries
    assert llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)) == 0


def types_of(path):
    return {t.name: t.tensor_type.name for t in gguf.GGUFReader(path).tensors}


def engines_agree(hearth, path, text, ctx, folder):
    """Mean KL and same likeliest token between llama.cpp's logits and ours (see src/local/eval/logits_file.h)."""
    log = folder / "engine.log"
    subprocess.run([hearth, "perplexity", path, text, "--ctx", str(ctx), "-q", "--save-logits", log], check=True,
                   stdout=subprocess.DEVNULL)
    raw = log.read_bytes()
    _, width, n_vocab, n_windows = struct.unpack_from("<4I", raw, 8)
    tokens = np.frombuffer(raw, "<i4", n_windows * width, 24).reshape(n_windows, width)
    rows = width - 1 - width // 2
    at = 24 + tokens.nbytes
    llm = llama_cpp.Llama(str(path), n_ctx=width, n_batch=width, logits_all=True, verbose=False, n_threads=2)
    kl, same, n = 0.0, 0, 0
    for window in tokens[:4]:
        llm.reset()
        llm.eval(window.tolist())
        theirs = np.array(llm.scores[:width], dtype=np.float64)[width // 2: width - 1]
        row = np.frombuffer(raw, np.dtype([("p", "<f4"), ("d", "<f2", n_vocab)]), rows, at)
        at += row.nbytes
        ours = -row["d"].astype(np.float64)
        a = ours - np.log(np.exp(ours).sum(axis=1, keepdims=True))
        theirs -= theirs.max(axis=1, keepdims=True)
        b = theirs - np.log(np.exp(theirs).sum(axis=1, keepdims=True))
        kl += (np.exp(a) * (a - b)).sum()
        same += (a.argmax(axis=1) == b.argmax(axis=1)).sum()
        n += rows
    return kl / n, same / n


MAKERS = ("llama.cpp", "llama.cpp+", "Hearth", "Hearth+")


def make(args, hearth, by, kind, path, text, matrix):
    if by.startswith("llama.cpp"):
        llama_quantize(args.model, path, kind, matrix if by.endswith("+") else None)
    else:
        hearth("quantize", args.model, path, "--type", kind, *(["--calibration", text] if by.endswith("+") else []))


def compare(args, hearth, folder, kind, text, matrix):
    for by in args.only:
        path, wide = folder / f"{by}.gguf", folder / "wide.gguf"
        make(args, hearth, by, kind, path, text, matrix)
        hearth("quantize", path, wide, "--type", "f32")
        tensors = gguf.GGUFReader(path).tensors
        bits = 8 * sum(t.n_bytes for t in tensors) / sum(int(t.n_elements) for t in tensors)
        line = f"| {kind} | {by} | {bits:.2f} |"
        for i, evaluation in enumerate(args.evaluation):
            r = json.loads(hearth("perplexity", wide, evaluation, "--ctx", args.ctx, "--against", folder / f"original{i}", "--json"))
            line += f" {r['kl_mean']:.6f} | {100 * r['same_top']:.2f} % | {r['perplexity']:.3f} |"
        print(line, flush=True)
    made = [types_of(folder / f"{by}.gguf") for by in args.only]
    if any(types != made[0] for types in made):
        print(f"other types: {[{n: t[n] for n in t if t[n] != made[0][n]} for t in made]}")
    if args.engines:
        kl, same = engines_agree(args.hearth, folder / "Hearth+.gguf", args.evaluation[0], args.ctx, folder)
        print(f"engines: KL {kl:.6f}, same likeliest token {100 * same:.2f} %", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("calibration")
    parser.add_argument("evaluation", nargs="+")
    parser.add_argument("--hearth", default=str(HERE.parent / "build/release/hearth"))
    parser.add_argument("--types", default="q2_k,q3_k_m,q4_0,iq4_xs,q4_k_s,q4_k_m,q5_k_m,q6_k")
    parser.add_argument("--only", default=",".join(MAKERS), help="of " + ", ".join(MAKERS))
    parser.add_argument("--chunks", type=int, default=128)
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engines", action="store_true")
    args = parser.parse_args()
    args.only = args.only.split(",")
    assert args.chunks <= 128, "hearth quantize reads 128 windows"
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, None)

    def hearth(*words, stdin=None):
        return subprocess.run([args.hearth, *map(str, words), "-q"], check=True, capture_output=True, text=True,
                              stdin=open(stdin) if stdin else subprocess.DEVNULL).stdout

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text, matrix = folder / "calibration.txt", None
        chunks = cut(args.model, args.calibration, args.ctx, args.chunks, hearth, text)
        if "llama.cpp+" in args.only:
            matrix = importance_matrix(args.model, text, args.ctx, chunks, args.threads)
            print(f"importance of {len(matrix)} tensors by llama.cpp", flush=True)
        print(f"calibration: {chunks} windows of {args.ctx} tokens", flush=True)
        for i, evaluation in enumerate(args.evaluation):
            r = json.loads(hearth("perplexity", args.model, evaluation, "--ctx", args.ctx, "--save-logits", folder / f"original{i}", "--json"))
            print(f"{evaluation}: original perplexity {r['perplexity']:.3f}, {r['tokens']} tokens predicted", flush=True)
        print("| type | by | bits |" + " mean KL | same top token | perplexity |" * len(args.evaluation))
        print("|---" * (3 + 3 * len(args.evaluation)) + "|", flush=True)
        for kind in args.types.split(","):
            compare(args, hearth, folder, kind, text, matrix)


if __name__ == "__main__":
    main()
