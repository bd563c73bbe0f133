#!/usr/bin/env python3
"""Random JSON Schemas, an answer of a model for each, and the `jsonschema` library's word on it.

    check_schemas.py [--n 1000] [--seed 1] [--jobs 2] [--model MODEL] [--temperature T] [--keep FOLDER]
    check_schemas.py --random-weights FOLDER ...     a Hugging Face folder whose weights are drawn anew

Every schema is bounded, so that most answers end; one that --max-tokens cuts is asked for again with
another seed, and counted if it never ends. Prints what failed and a sum; ends with 0 if nothing did, with 77
if the library is not there. What makes answers hard is that they are near random: --temperature 100 on any
model, or weights that mean nothing.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = ["id", "name", "größe", "a b", "x", "tags", "is\"quoted", "back\\slash", "value", "at", "", "n1", "n10"]
PATTERNS = ["^[a-z]{1,8}$", "^\\d{3}-\\d{2,4}$", "^(foo|bar)+$", "^[^\"\\\\]{0,6}$", "ab?c", "^[A-Z][a-z]*( [A-Z][a-z]*)?$",
            "^\\$[0-9]+(\\.[0-9]{2})?$", "^é+\\n?$"]
FORMATS = ["date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "hostname", "uri", "duration"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.defs = {}

    def number(self, kind):
        r, s = self.r, {"type": kind}
        scale = r.choice([1, 10, 1000, 10 ** 9])
        low = r.randint(-scale, scale) if kind == "integer" or r.random() < .5 else round(r.uniform(-scale, scale), 3)
        high = low + r.choice([1, 3, 10, 250, 10 ** 6])
        if r.random() < .6:
            s[r.choice(["minimum", "exclusiveMinimum"])] = low
        if r.random() < .6:
            s[r.choice(["maximum", "exclusiveMaximum"])] = high + 1
        if kind == "integer" and r.random() < .2:
            s["multipleOf"] = r.choice([2, 3, 7, 10, 12])
            s.pop("exclusiveMaximum", 0), s.pop("maximum", 0)
        return s

    def string(self):
        r, s = self.r, {"type": "string"}
        which = r.random()
        if which < .25:
            s["pattern"] = r.choice(PATTERNS)
            if r.random() < .3 and s["pattern"][1:2] in "[(":
                s["maxLength"] = r.randint(4, 9)
        elif which < .5:
            s["format"] = r.choice(FORMATS)
        else:
            s["maxLength"] = r.randint(0, 12)
            if r.random() < .4:
                s["minLength"] = r.randint(0, s["maxLength"])
        return s

    def values(self):
        r = self.r
        pool = ["red", "re", "", "\u00e9\n", 0, -1.5, 10 ** 12, True, None, [1, "a"], {"k": [None]}, "\"q\\"]
        some = r.sample(pool, r.randint(1, 5))
        return {"const": some[0]} if r.random() < .2 else {"enum": some}

    def array(self, depth):
        r, s = self.r, {"type": "array"}
        if r.random() < .3:
            s["prefixItems"] = [self.schema(depth - 1) for _ in range(r.randint(1, 2))]
            s["items"] = False if r.random() < .5 else self.schema(depth - 1)
        else:
            s["items"] = self.schema(depth - 1)
        s["maxItems"] = len(s.get("prefixItems", [])) + r.randint(0, 2)
        s["minItems"] = r.randint(0, len(s["prefixItems"]) if s["items"] is False else s["maxItems"])
        if s["items"] is False:
            s["maxItems"] = len(s["prefixItems"])
        return s

    def object(self, depth):
        r = self.r
        names = r.sample(NAMES, r.randint(0, 4))
        s = {"type": "object", "properties": {n: self.schema(depth - 1) for n in names}}
        s["required"] = [n for n in names if r.random() < .6]
        which = r.random()
        if which < .6:
            s["additionalProperties"] = False
        elif which < .7 and not names:
            s["propertyNames"] = {"pattern": "^[a-z]{1,4}$"}
            s["additionalProperties"], s["maxProperties"] = self.number("integer"), 2
            del s["properties"]
        return s

    def branches(self, depth):
        r = self.r
        which = r.random()
        if which < .6:
            return {"anyOf": [self.schema(depth - 1) for _ in range(r.randint(1, 3))]}
        if which < .8:
            return {"oneOf": [{"type": "object", "properties": {"kind": {"const": k}, "v": self.schema(depth - 1)},
                               "required": ["kind", "v"], "additionalProperties": False} for k in ("a", "b", "ab")]}
        return {"allOf": [{"type": "integer", "minimum": r.randint(-5, 5)}, {"maximum": r.randint(6, 2000)}]}

    def reference(self, depth):
        name = self.r.choice("pq")
        if self.defs.get(name) is True:  # being made: a reference to itself would say nothing
            return {"type": "null"}
        if name not in self.defs:
            self.defs[name] = True
            self.defs[name] = self.schema(depth - 1)
        return {"$ref": "#/$defs/" + name}

    def tree(self):
        self.defs["tree"] = {"type": "object", "properties": {
            "v": self.number("integer"), "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}},
            "required": ["v", "next"], "additionalProperties": False}
        return {"$ref": "#/$defs/tree"}

    def schema(self, depth):
        r = self.r
        leaf = [lambda: self.number("integer"), lambda: self.number("number"), self.string, self.string, self.values,
                lambda: {"type": self.r.choice(["boolean", "null", ["null", "boolean"]])}]
        deep = [lambda: self.object(depth), lambda: self.object(depth), lambda: self.array(depth),
                lambda: self.branches(depth), lambda: self.reference(depth)]
        return r.choice(leaf if depth <= 0 or r.random() < .3 else deep)()

    def top(self):
        s = self.tree() if self.r.random() < .05 else self.object(3) if self.r.random() < .8 else self.schema(3)
        return dict(s, **{"$defs": self.defs}) if self.defs else s


def randomized(folder, target, seed):
    """The folder again, with weights of F32, F16 or BF16 in one safetensors file drawn anew."""
    shutil.copytree(folder, target)
    path = pathlib.Path(target) / "model.safetensors"
    data = bytearray(path.read_bytes())
    size, = struct.unpack("<Q", data[:8])
    header, r = json.loads(data[8:8 + size]), random.Random(seed)
    for name, t in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + o for o in t["data_offsets"])
        one = "norm" in name
        for at in range(begin, end, {"F32": 4, "F16": 2, "BF16": 2}[t["dtype"]]):
            x = 1.0 if one else r.gauss(0, .3)
            whole = struct.pack("<f", x)
            data[at:at + (4 if t["dtype"] == "F32" else 2)] = \
                whole if t["dtype"] == "F32" else whole[2:] if t["dtype"] == "BF16" else struct.pack("<e", x)
    path.write_bytes(data)


def ask(a, schema, seed, folder):
    path = os.path.join(folder, f"{seed}.json")
    with open(path, "w") as f:
        json.dump(schema, f, ensure_ascii=seed % 2 == 0)
    for attempt in range(20):
        run = subprocess.run([a.hearth, "run", a.model, "Answer:", "--raw", "--schema", path, "--json", "-t", "1", "-n", str(a.tokens), "--ctx", str(a.tokens + 72),
                              "--temperature", str(a.temperature), "--top-p", "1", "--top-k", "0", "--seed", str(seed + 7919 * attempt)],
                             capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if run.returncode:
            return "refused" if "schema:" in run.stderr else "failed", run.stderr.strip()
        one = json.loads(run.stdout)["sequences"][0]
        if one["finish_reason"] == "stop":
            return "ended", one["text"]
    return "cut", one["text"]


def check(a, number, folder, jsonschema):
    schema = Maker(a.seed * 100003 + number).top()
    kind, text = ask(a, schema, number, folder)
    if kind != "ended":
        return kind, schema, text
    try:
        value = json.loads(text)
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(value)
    except (ValueError, jsonschema.ValidationError) as e:
        return "invalid", schema, f"{text}\n  {str(e).splitlines()[0]}"
    return "valid", schema, text


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--tokens", type=int, default=440)
    p.add_argument("--temperature", type=float, default=1)
    p.add_argument("--model", default=str(ROOT / "models/hearth-small.gguf"))
    p.add_argument("--random-weights")
    p.add_argument("--hearth", default=os.environ.get("HEARTH_BIN", str(ROOT / "build/release/hearth")))
    p.add_argument("--show", action="store_true")
    a = p.parse_args()
    try:
        import jsonschema
    except ImportError:
        print("skip schemas (no jsonschema library)")
        return 77
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        if a.random_weights:
            a.model = os.path.join(folder, "model")
            randomized(a.random_weights, a.model, a.seed)
        with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
            for kind, schema, text in pool.map(lambda i: check(a, i, folder, jsonschema), range(a.n)):
                counts[kind] = counts.get(kind, 0) + 1
                if a.show or kind in ("invalid", "failed", "refused"):
                    print(f"{kind}: {json.dumps(schema, ensure_ascii=False)}\n  {text}")
    bad = sum(counts.get(k, 0) for k in ("invalid", "failed", "refused"))
    print(", ".join([f"{counts.get('valid', 0)} of {a.n} valid"] + [f"{v} {k}" for k, v in sorted(counts.items()) if k != "valid"]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
