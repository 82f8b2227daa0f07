# SPDX-License-Identifier: MIT
"""What tools that read the source find."""
from harness import command, test


@test("build: cppcheck finds nothing")
def cppcheck():
    """Warnings, portability, performance. Symbols of the linker script are differences of pointers to different objects, which it takes for errors."""
    command("cppcheck", "--std=c11", "--enable=warning,portability,performance", "--error-exitcode=1", "--quiet", "-Iinclude", "-Ibuild/include",
            "--suppress=missingInclude", "--suppress=comparePointers", "arch", "boot", "common", "drivers")
