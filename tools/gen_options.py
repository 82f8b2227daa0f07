#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/options.md, from the OPTION() lines of the code and common/core/absent_options.c."""
import os
import re

from caisson import cli
from caisson.cli import TOP

STRINGS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'


def text(literals):
    """The text of adjacent string literals."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)).replace('\\"', '"').replace("\\\\", "\\")


def sources():
    for top in ("arch", "common", "drivers"):
        for root, _, files in os.walk(f"{TOP}/{top}"):
            yield from (os.path.join(root, f) for f in files if f.endswith(".c"))


OFFERED = """# Command-line options of the hypervisor

Made by `tools/gen_options.py` from the `OPTION()` lines of the code and `common/core/absent_options.c`: change those, then
`make docs`.

Words after `multiboot2 /boot/caisson.gz` in GRUB, or before ` -- ` with `qemu -kernel` (what follows ` -- ` goes to dom0);
`tools/run --hv-append "WORDS"` tries one. Booleans take `yes`/`no`, `on`/`off`, `true`/`false`, `enable`/`disable`, `1`/`0`, or the
word alone; `no-smep` is `smep=no`. Numbers are decimal, or hexadecimal with `0x`. Sizes take `B`, `K`, `M`, `G`, `T`; without a
suffix they are KiB. Quotes, single or double, keep blanks in a value.

A word that is not known is named on the console and has no effect. A value that makes no sense, a number too large among
them, is named, and changes nothing: what was in force before stays.

| option | meaning | default |
|---|---|---|"""
ABSENT = """
## Options of Xen that are not offered

They are known by name: the console says why they have no effect, and the boot goes on.

| options | reason |
|---|---|"""


def main():
    cli.Words(__doc__).parse_args()
    rows = {}
    for path in sources():
        for name, meaning, default in re.findall(r'^OPTION\("([^"]+)",\s*\w+,\s*\w+,\s*' + STRINGS + r",\s*" + STRINGS + r"\);",
                                                 open(path).read(), re.M):
            rows[name] = (text(meaning), text(default))
    table = re.search(r"absent\[\][^=]*=(.*?);\n\n", open(f"{TOP}/common/core/absent_options.c").read(), re.S)[1]
    absent = text(table).split("\\0")
    print(OFFERED)
    for name in sorted(rows):
        print(f"| `{name}` | " + " | ".join(column.replace("|", "\\|") for column in rows[name]) + " |")
    print(ABSENT)
    for reason, names in zip(absent[::2], absent[1::2]):
        print("| " + ", ".join(f"`{n}`" for n in sorted(names.split())) + f" | {reason or 'asks for nothing; no word is said'} |")


if __name__ == "__main__":
    cli.start(main)
