#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Symbol table of the linked image (nm output on stdin) as assembler, for backtraces."""
import sys

from caisson import cli

IMAGE = 0xFFFF82D040000000


def main():
    cli.Words(__doc__).parse_args()
    rows = {}
    for line in sys.stdin:
        addr, kind, name = line.split()[:3]
        offset = int(addr, 16) - IMAGE
        if kind in "tTwW" and 0 <= offset < 1 << 21 and not name.startswith(".L"):
            rows.setdefault(offset, name)

    print('    .section .symbols, "a"\n    .balign 8\n    .globl symbol_table, symbol_count, symbol_names')
    print("symbol_table:")
    names, at = [], 0
    for offset in sorted(rows):
        print(f"    .long {offset:#x}, {at}")
        names.append(rows[offset])
        at += len(rows[offset]) + 1
    print(f"symbol_count: .long {len(rows)}\nsymbol_names:")
    for name in names:
        print(f'    .asciz "{name}"')
    print("    .balign 8")


if __name__ == "__main__":
    cli.start(main)
