"""write(source, target): a GGUF model of several layers with the first alone: the same tokens and template, nonsense sooner.

Standard library only.
"""
import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of the types of values; 8: text, 9: array


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, fmt):
        return struct.unpack("<" + fmt, self.take(struct.calcsize(fmt)))[0]

    def text(self):
        return self.take(self.number("Q")).decode()

    def skip(self, kind):
        if kind == 9:
            kind, n = self.number("I"), self.number("Q")
            for _ in range(n if kind in (8, 9) else 1):
                self.take(n * SIZES[kind]) if kind in SIZES else self.skip(kind)
        else:
            self.take(self.number("Q") if kind == 8 else SIZES[kind])


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def keys_of(r, n):
    """The header's keys as they are, but for the number of layers; and how tensors are aligned."""
    out, align = [], 32
    for _ in range(n):
        name, kind, start = r.text(), r.number("I"), r.at
        r.skip(kind)
        value = r.data[start:r.at]
        if name.endswith(".block_count"):
            value = struct.pack("<I", 1)
        if name == "general.alignment":
            align = struct.unpack("<I", value)[0]
        out.append(text(name) + struct.pack("<I", kind) + value)
    return out, align


def write(source, target):
    with open(source, "rb") as f:
        r = Reader(f.read())
    assert r.take(4) == b"GGUF" and r.number("I") == 3
    n_tensors, n_keys = r.number("Q"), r.number("Q")
    keys, align = keys_of(r, n_keys)
    tensors = []
    for _ in range(n_tensors):
        name = r.text()
        shape = r.take(8 * r.number("I"))
        tensors.append((name, shape, r.number("I"), r.number("Q")))
    base = (r.at + align - 1) // align * align
    ends = sorted([offset for *_, offset in tensors] + [len(r.data) - base])
    head, body = b"", b""
    kept = [t for t in tensors if not t[0].startswith("blk.") or t[0].startswith("blk.0.")]
    for name, shape, kind, offset in kept:
        head += text(name) + struct.pack("<I", len(shape) // 8) + shape + struct.pack("<IQ", kind, len(body))
        end = ends[ends.index(offset) + 1]
        body += r.data[base + offset:base + end]
        body += b"\0" * (-len(body) % align)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(kept), len(keys)) + b"".join(keys) + head
    with open(target, "wb") as f:
        f.write(head + b"\0" * (-len(head) % align) + body)
