# SPDX-License-Identifier: MIT
"""What tools that read the source find."""
import os
import re

from harness import TOP, command, need, test, tree


@test("build: cppcheck finds nothing")
def cppcheck():
    """Warnings, portability, performance. Differences of the linker script's symbols are of pointers to different objects for it."""
    command("cppcheck", "--std=c11", "--enable=warning,portability,performance", "--error-exitcode=1", "--quiet", "-Iinclude",
            "-Ibuild/include", "--suppress=missingInclude", "--suppress=comparePointers", "arch", "boot", "common", "drivers")


@test("build: each file of Python and Markdown is as .editorconfig says, and pyflakes finds nothing")
def python():
    """Scripts without a suffix too. No formatter lays either out here, so the width is all that is checked."""
    settings = open(f"{TOP}/.editorconfig").read()
    width = int(re.search(r"^max_line_length = (\d+)$", settings, re.M)[1])
    named = [f for f in tree("tests", "tools") if os.path.splitext(f)[1] in ("", ".py")]
    texts = {f: open(f"{TOP}/{f}").read() for f in named}
    files = [f for f, text in texts.items() if f.endswith(".py") or text.startswith("#!/usr/bin/env python3")]
    wide = [f"{f}:{n}" for f in files for n, line in enumerate(texts[f].split("\n"), 1) if len(line) > width or line != line.rstrip()]
    markdown = re.search(r"^\[\*\.md\]\nmax_line_length = (\d+)$", settings, re.M)[1]
    for f in tree("*.md"):  # tables and what is laid out by hand have no width
        wide += [f"{f}:{n}" for n, line in enumerate(open(f"{TOP}/{f}"), 1) if len(line) > int(markdown) + 1
                 and not line.startswith(("|", "    "))]
    need(len(files) > 60 and not wide, f"of {len(files)} files, wider than {width} or with blanks at their end: {', '.join(wide)}")
    command("pyflakes3", *files)
