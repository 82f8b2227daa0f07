# SPDX-License-Identifier: MIT
"""Building the hypervisor, with a count for the one who waits."""
import os
import subprocess
import sys

from .cli import TOP, Trouble
from .packages import step


def hypervisor(*words):
    """words: variables of the Makefile. Silent if nothing is to be done."""
    command = ["make", "-s", "-C", TOP, "-j", str(os.cpu_count() or 1), "PROGRESS=1", "all", *words]
    plan = subprocess.run(command + ["-n"], capture_output=True, text=True)
    total = plan.stdout.count('echo "compiling ')
    if not plan.returncode and not plan.stdout.strip():
        return
    step(f"building: {total} files to compile")
    make, done = subprocess.Popen(command, stdout=subprocess.PIPE, text=True), 0
    for line in make.stdout:
        if not line.startswith("compiling "):
            print(line, end="", flush=True)
        elif sys.stdout.isatty():
            done += 1
            print(f"\r{done} of {total}", end="\r" if done < total else "\n", flush=True)
    if make.wait():
        raise Trouble("the build failed")
