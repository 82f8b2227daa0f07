# SPDX-License-Identifier: MIT
"""Runs the programs that are its words: a line for each, everything it said if it failed, and the sum. make unit."""
import os
import re
import subprocess
import sys


def main(programs):
    total, failed = 0, []
    for path in programs:
        name = os.path.basename(path)
        # cmocka tells of the assertions that a test wants to fail: noise, unless another one did.
        r = subprocess.run([path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        passed = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test", r.stdout, re.M))
        if r.returncode or not passed:
            failed.append(name)
            print(f"{r.stdout}FAIL {name}", flush=True)
        else:
            total += passed
            print(f"ok   {name}: {passed}", flush=True)
    if failed:
        print(f"unit tests: {len(failed)} of {len(programs)} programs failed: {' '.join(failed)}")
        return 1
    print(f"unit tests: all is well, {total} tests in {len(programs)} programs passed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
