#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/debug-keys.md, from the KEYHANDLER() lines of the code."""
import re

from caisson import cli
from gen_options import STRINGS, sources, text

PAGE = """# Debug keys

Made by `tools/gen_debug_keys.py` from the `KEYHANDLER()` lines of the code: change those, then `make docs`.

Ctrl-A three times on a serial console switches its input between dom0 and the hypervisor; a line says which of the two it is. While
it is the hypervisor's, each key below prints something. The keyboard and the screen are dom0's: keys are read from serial lines only.
A stock dom0 sends them with `xl debug-keys KEYS` as well, once there is `xl`.

| key | prints | how to read it |
|---|---|---|"""
END = """
Each handler runs between other work of its CPU; printing at length on a slow line holds up what that CPU would do otherwise."""


def main():
    cli.Words(__doc__).parse_args()
    rows = {}
    for path in sources():
        declared = open(path).read()
        found = re.findall(r"^KEYHANDLER\(\s*'(.)',\s*\w+,\s*" + STRINGS + r",\s*" + STRINGS + r"\);", declared, re.M)
        if len(found) != len(re.findall(r"^KEYHANDLER\(", declared, re.M)):
            raise cli.Trouble(f"{path}: a KEYHANDLER() that cannot be read")
        rows.update((key, (text(line), text(reading))) for key, line, reading in found)
    print(PAGE)
    for key in sorted(rows, key=lambda k: (k.lower(), k)):
        print(f"| `{key}` | " + " | ".join(column.replace("|", "\\|") for column in rows[key]) + " |")
    print(END)


if __name__ == "__main__":
    cli.start(main)
