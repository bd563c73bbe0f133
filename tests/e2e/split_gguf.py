#!/usr/bin/env python3
"""Splits a GGUF file (version 3, alignment 32) into parts as llama.cpp's gguf-split does.

usage: split_gguf.py FILE STEM N   writes STEM-00001-of-0000N.gguf ... STEM-0000N-of-0000N.gguf
"""
import struct
import sys

FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes by value type


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, kind):
        value, = struct.unpack_from("<" + kind, self.data, self.at)
        self.at += struct.calcsize(kind)
        return value

    def text(self):
        n = self.number("Q")
        self.at += n
        return self.data[self.at - n:self.at]

    def skip(self, kind):
        if kind == 8:
            self.text()
        elif kind == 9:
            item, n = self.number("I"), self.number("Q")
            for _ in range(n):
                self.skip(item)
        else:
            self.at += FIXED[kind]


def text(b):
    return struct.pack("<Q", len(b)) + b


def read(path):
    """The keys' bytes, their number, and (entry up to the offset, data) of each tensor."""
    r = Reader(open(path, "rb").read())
    assert r.data[:4] == b"GGUF"
    r.at = 8
    n_tensors, n_keys = r.number("Q"), r.number("Q")
    start = r.at
    for _ in range(n_keys):
        r.text()
        r.skip(r.number("I"))
    keys, entries = r.data[start:r.at], []
    for _ in range(n_tensors):
        begin = r.at
        r.text()
        n_dims = r.number("I")
        r.at += 8 * n_dims + 4
        entries.append((r.data[begin:r.at], r.number("Q")))
    base = (r.at + 31) // 32 * 32
    ends = [o for _, o in entries[1:]] + [len(r.data) - base]  # in file order, padding included
    return keys, n_keys, [(e, r.data[base + o:base + end]) for (e, o), end in zip(entries, ends)]


def main():
    path, stem, n_parts = sys.argv[1], sys.argv[2], int(sys.argv[3])
    keys, n_keys, tensors = read(path)
    for i in range(n_parts):
        mine = tensors[len(tensors) * i // n_parts:len(tensors) * (i + 1) // n_parts]
        own = b"".join(text(k) + struct.pack("<I" + f, kind, v) for k, kind, f, v in (
            (b"split.no", 2, "H", i), (b"split.count", 2, "H", n_parts),
            (b"split.tensors.count", 5, "i", len(tensors))))
        head = b"GGUF" + struct.pack("<IQQ", 3, len(mine), 3 + (n_keys if i == 0 else 0))
        head += (keys if i == 0 else b"") + own
        offset, data = 0, b""
        for entry, bytes_ in mine:
            head += entry + struct.pack("<Q", offset)
            data += bytes_ + b"\0" * (-len(bytes_) % 32)
            offset = len(data)
        with open(f"{stem}-{i + 1:05d}-of-{n_parts:05d}.gguf", "wb") as out:
            out.write(head + b"\0" * (-len(head) % 32) + data)


main()
