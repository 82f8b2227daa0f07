# SPDX-License-Identifier: MIT
"""Comments and documents that name functions: those functions are there."""
import os
import re

from harness import TOP, need, test, tree

# Not ours: UEFI's and Xen's, and a pattern of names.
OTHERS = {"ExitBootServices", "do_name", "get_page", "get_page_and_type", "put_page"}
COMMENT = re.compile(r"/\*.*?\*/", re.S)


@test("build: functions that comments name exist")
def named_functions():
    """A rename that forgets a comment leaves a reader looking for what is not there."""
    code, named = set(), []
    for name in tree("arch", "boot", "common", "drivers", "include", "tests"):
        if not name.endswith((".c", ".h", ".S", ".py")):
            continue
        text = open(os.path.join(TOP, name)).read()
        code |= set(re.findall(r"\w+", COMMENT.sub("", text)))
        if not name.startswith("tests"):
            named += [(name, n) for comment in COMMENT.findall(text) for n in re.findall(r"\b([A-Za-z_]\w+)\(\)", comment)]
    for name in tree("docs", "README.md"):
        named += [(name, n) for n in re.findall(r"`(\w+)\(\)`", open(os.path.join(TOP, name)).read())] if name.endswith(".md") else []
    missing = sorted({f"{name}: {n}()" for name, n in named if n not in code | OTHERS})
    need(not missing, "named, but there is no such function:\n" + "\n".join(missing))
