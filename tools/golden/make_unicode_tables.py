#!/usr/bin/env python3
"""Writes src/local/tokenizer/unicode_tables.c: character classes as the `tokenizers` library has them.

The library mixes several versions of Unicode (its regex engine, Rust's char, two small crates), so
each class is asked from the library itself, code point by code point. What ICU answers differently
(NFC..NFKD, lower case) goes into the table too. Needs: tokenizers, a C compiler, ICU.
"""
import pathlib
import subprocess
import tempfile
import unicodedata

from tokenizers import Regex, normalizers as N, pre_tokenizers as P

CODES = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
ICU = r"""
#include <stdio.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
int main(void) {
  UErrorCode e = U_ZERO_ERROR;
  const UNormalizer2 *n[2] = {unorm2_getNFDInstance(&e), unorm2_getNFKDInstance(&e)};
  for (UChar32 c = 0; c < 0x110000; c++) {
    UChar s[3]; int l = 0;
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    U16_APPEND_UNSAFE(s, l, c);
    printf("%d %x", u_getCombiningClass(c), u_tolower(c));
    for (int k = 0; k < 2; k++) {
      UChar o[64]; e = U_ZERO_ERROR;
      int m = unorm2_normalize(n[k], s, l, o, 64, &e);
      printf(" ");
      for (int i = 0; i < m;) { UChar32 d; U16_NEXT(o, i, m, d); printf("%x,", d); }
    }
    printf("\n");
  }
}
"""


def icu_facts():
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "icu.c")
        source.write_text(ICU)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "icu-uc"], capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["cc", "-o", folder + "/icu", str(source), *flags], check=True)
        lines = subprocess.run([folder + "/icu"], capture_output=True, text=True, check=True).stdout.splitlines()
    text = lambda s: "".join(chr(int(x, 16)) for x in s.split(",") if x)
    facts = {}
    for c, line in zip(CODES, lines):
        ccc, lower, nfd, nfkd = line.split()
        facts[c] = (int(ccc), int(lower, 16), text(nfd), text(nfkd))
    return facts


def matched(pre_tokenizer):
    """Code points that a pre-tokenizer removes."""
    found = set()
    for i in range(0, len(CODES), 4096):
        chunk = CODES[i:i + 4096]
        left = set()
        for _, (a, b) in pre_tokenizer.pre_tokenize_str("".join(map(chr, chunk))):
            left.update(range(a, b))
        found.update(c for k, c in enumerate(chunk) if k not in left)
    return found


def onig(pattern):
    return matched(P.Split(Regex(pattern), "removed"))


def changed(normalizer, to=None):
    out = set()
    for c in CODES:
        r = normalizer.normalize_str(chr(c))
        if r != chr(c) and (to is None or r == to):
            out.add(c)
    return out


def splits(pre_tokenizer, pieces):
    return {c for c in CODES if len(pre_tokenizer.pre_tokenize_str("a" + chr(c))) == pieces}


def inert(facts):
    """Characters that the library's older Unicode does not know to decompose, reorder or compose."""
    nfd, nfkd = N.NFD(), N.NFKD()
    out = {0x11930}  # second half of U+11938
    for c in CODES:
        ccc, _, d, kd = facts[c]
        if nfd.normalize_str(chr(c)) != d or nfkd.normalize_str(chr(c)) != kd:
            out.add(c)
        elif ccc and d == chr(c):
            for mark in "\u0323\u0301\u0345\u0334\u3099":
                order = "a" + mark + chr(c) if ccc > facts[ord(mark)][0] else "a" + chr(c) + mark
                if nfd.normalize_str("a" + chr(c) + mark) != order:
                    out.add(c)
    return out


# One old character of each category, in three and in four bytes of UTF-8.
STAND_INS = {"Lu": (0x1E00, 0x10400), "Ll": (0x1E01, 0x10428), "Lt": (0x1F88, 0x1F88), "Lm": (0xA4F8, 0x16B40), "Lo": (0xE01, 0x10000),
             "Mn": (0x941, 0x101FD), "Mc": (0x903, 0x11000), "Me": (0x20DD, 0x20DD), "Nd": (0x966, 0x104A0), "Nl": (0x2160, 0x10140), "No": (0x2460, 0x10107),
             "P": (0x2016, 0x10100), "S": (0x2200, 0x1F000)}


def newer():
    """Characters assigned after Unicode 14, which PCRE2 10.42 does not know, and their stand-ins."""
    assert unicodedata.unidata_version == "14.0.0"
    found = {}
    for category, (three, four) in STAND_INS.items():
        for c in onig(r"\p{%s}" % category):
            if unicodedata.category(chr(c)) == "Cn" and c >= 0x800:
                found[c] = three if c < 0x10000 else four
    for c in onig(r"\p{Han}"):
        if c in found and c >= 0x10000 and found[c] == 0x10000:
            found[c] = 0x20000
    return found


def main():
    replaced = newer()
    facts = icu_facts()
    ws = P.Whitespace()
    word = {c for c in CODES if len(r := ws.pre_tokenize_str("a" + chr(c))) == 1 and r[0][1] == (0, 2)}
    classes = [  # the order is that of enum char_class in unicode.h
        onig(r"\p{L}"), onig(r"\p{N}"), onig(r"\s"), onig(r"\p{M}"), onig(r"\p{P}"), onig(r"\p{S}"),
        onig(r"[\p{Lu}\p{Lt}]"), onig(r"\p{Ll}"), matched(P.Punctuation("removed")), splits(P.Digits(True), 2), word,
        {c for c in changed(N.BertNormalizer(False, False, True, False)) if N.BertNormalizer(False, False, True, False).normalize_str(chr(c)) == ""},
        changed(N.StripAccents()), changed(N.BertNormalizer(True, False, False, False), ""), set(replaced), inert(facts),
    ]
    bits = [0] * 0x110000
    for k, members in enumerate(classes):
        for c in members:
            bits[c] |= 1 << k
    ranges, start = [], 0
    for c in range(1, 0x110001):
        if c == 0x110000 or bits[c] != bits[start]:
            if bits[start]:
                ranges.append((start, c - 1, bits[start]))
            start = c
    lower = N.Lowercase()
    lowered = [(c, ord(r)) for c in CODES if len(r := lower.normalize_str(chr(c))) == 1 and ord(r) != facts[c][1]]
    out = ["// unicode_tables.c - written by tools/golden/make_unicode_tables.py; do not edit.",
           '#include "local/tokenizer/unicode.h"', "", "// clang-format off",
           "const struct char_range char_ranges[] = {"]
    row = ""
    for r in ranges:
        item = "{0x%X,0x%X,0x%X}," % r
        if len(row) + len(item) > 98:
            out.append(row)
            row = ""
        row += item
    out += [row, "};", "const int n_char_ranges = %d;" % len(ranges), "",
            "// Lower case of letters that are newer than ICU 72.", "const uint32_t char_lower[][2] = {"]
    row = ""
    for a, b in lowered:
        item = "{0x%X,0x%X}," % (a, b)
        if len(row) + len(item) > 98:
            out.append(row)
            row = ""
        row += item
    out += [row, "};", "const int n_char_lower = %d;" % len(lowered), "",
            "// Characters that PCRE2 10.42 does not know: {first, last, one of the same kind and length}.",
            "const uint32_t char_newer[][3] = {"]
    runs, row = [], ""
    for c in sorted(replaced):
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == replaced[c]:
            runs[-1][1] = c
        else:
            runs.append([c, c, replaced[c]])
    for a in runs:
        item = "{0x%X,0x%X,0x%X}," % tuple(a)
        if len(row) + len(item) > 98:
            out.append(row)
            row = ""
        row += item
    out += [row, "};", "const int n_char_newer = %d;" % len(runs), "// clang-format on"]
    pathlib.Path("src/local/tokenizer/unicode_tables.c").write_text("\n".join(out) + "\n")
    print(len(ranges), "ranges,", len(lowered), "letters")


main()
