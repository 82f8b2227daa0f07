#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/panic-codes.md, from include/hv/panic_codes.h and include/hv/x86/vectors.h."""
import re

from caisson import cli
from caisson.cli import TOP


def main():
    cli.Words(__doc__).parse_args()
    codes = re.findall(r'X\(\w+, "(\w+)", "([^"]*)",[\\\s]*"([^"]*)"\)', open(f"{TOP}/include/hv/panic_codes.h").read())
    vectors = re.findall(r'X\((\d+), (\w+),.*"([^"]*)"\)', open(f"{TOP}/include/hv/x86/vectors.h").read())
    print("# Panic codes\n")
    print("Made by `tools/gen_panic_codes.py` from `include/hv/panic_codes.h`: change that file, then `make docs`.\n")
    print("A code is shown as `CAI-xxx` on every console, on the panic screen, in its QR code and in the flight recorder. It stays the")
    print("same across versions. The QR code reads `CAI-CODE/VERSION/PHASE/CPU/IP:address/A:address/BT:offsets`: the instruction, the")
    print("address that the code is about (CR2, or a machine address), and the call chain as offsets into the image, to be looked up with")
    print("`addr2line -e build/caisson.debug 0xffff82d040000000+offset`.\n")
    print("| code | what happened | what to try |\n|---|---|---|")
    for code, cause, advice in codes:
        print(f"| CAI-{code} | {cause} | {advice} |")
    print("""
## Exceptions

The hypervisor's own code raised an exception that has no continuation: a mistake of ours, or broken hardware. Report the lines of the
screen; `loglvl=all` shows more before it, `noreboot` keeps it.

| code | exception |
|---|---|""")
    for number, name, what in vectors:
        print(f"| CAI-T{int(number):02X} | #{name}, {what} |")
    print("| CAI-T20 | an interrupt where none can be |")


if __name__ == "__main__":
    cli.start(main)
