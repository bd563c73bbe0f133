"""Compares prompts.py with prompts.c byte for byte; needs the library that `make` builds.

    make && python train/check_prompts.py
"""

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

from prompts import STYLES, TASKS, WORD_COUNTS, Prompts, Request, write_prompt

ROOT = Path(__file__).resolve().parent.parent
DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "summarize/prompts.h"

int main(int argc, char **argv)
{
    if (argc != 9)
        return 2;
    struct buf out = {0};
    struct prompt p = {.task = (enum prompt_task)atoi(argv[1]),
                       .style = (enum summary_style)atoi(argv[2]),
                       .words = atoi(argv[3]),
                       .ask = argv[4],
                       .language = argv[5],
                       .title = slice_str(argv[6]),
                       .section = slice_str(argv[7]),
                       .text = slice_str(argv[8])};
    prompt_write(&out, &p);
    fwrite(out.ptr, 1, out.len, stdout);
    buf_release(&out);
    return 0;
}
"""
LONG = "Of words, and of héarths \t and\nfires that never go out " * 60
TEXT = "A hearth is a place for fire.\n\nIt stands in the middle of the house."


def build(folder: Path, library: Path) -> Path:
    (folder / "driver.c").write_text(DRIVER)
    command = ["cc", "-std=c17", "-D_GNU_SOURCE", f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}"]
    command += [str(folder / "driver.c"), str(library), "-lm", "-lpthread"]
    subprocess.run([*command, "-o", str(folder / "driver")], check=True)
    return folder / "driver"


def requests() -> list[Request]:
    found = []
    lines = itertools.product(("", "What?", LONG), ("", "French"), ("", " A\tB ", LONG), ("", LONG))
    for ask, language, title, section in lines:
        for task, style in itertools.product(TASKS, STYLES):
            words = WORD_COUNTS[len(found) % len(WORD_COUNTS)]
            found.append(Request(words, TEXT, task, style, ask, language, title, section))
    solid = "é" * 200  # no word to cut at
    found.append(Request(10, "", title=solid, section="x" + solid))
    return found


def main() -> None:
    library = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/release/libhearth.a"
    prompts = Prompts.read()
    with tempfile.TemporaryDirectory() as folder:
        driver = build(Path(folder), library)
        checked = requests()
        for r in checked:
            numbers = (TASKS.index(r.task), STYLES.index(r.style), r.words)
            command = [str(driver), *map(str, numbers), r.ask, r.language, r.title, r.section]
            theirs = subprocess.run([*command, r.text], check=True, capture_output=True).stdout
            if theirs.decode() != write_prompt(prompts, r):
                sys.exit(f"differ for {r}:\n{theirs.decode()}\n---\n{write_prompt(prompts, r)}")
    print(f"{len(checked)} prompts equal")


if __name__ == "__main__":
    main()
