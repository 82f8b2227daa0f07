# SPDX-License-Identifier: MIT
"""Modules of the hypervisor on this machine: a program for each tests/unit/test_NAME.c."""
import os
import re

from harness import BUILD, command, test

HERE = os.path.dirname(os.path.abspath(__file__))


@test("unit: {name}", each=[{"name": m[1]} for m in map(re.compile(r"test_(\w+)\.c$").match, sorted(os.listdir(HERE))) if m])
def unit(name):
    """Compiled with ASan and UBSan, and run."""
    command("make", "-s", "-C", "tests/unit", f"../../build/unit/{name}")
    command(f"{BUILD}/unit/{name}")
