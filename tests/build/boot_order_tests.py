# SPDX-License-Identifier: MIT
"""The check of the boot's order: that it passes is the build's matter; here it must find what is wrong."""
import os
import re
import shutil
import subprocess

from harness import OUT, TOP, need, test

TREE = f"{OUT}/boot-order"


def verdict(path, pattern, replacement):
    """What the check says of this tree, in which one place of one file is changed."""
    shutil.rmtree(TREE, ignore_errors=True)
    for folder in ("arch", "boot", "common", "drivers"):
        for root, _, files in os.walk(f"{TOP}/{folder}"):
            for name in (f for f in files if f.endswith(".c")):
                text = open(f"{root}/{name}").read()
                if "BOOT_STEP(" in text:
                    to = os.path.join(TREE, os.path.relpath(root, TOP))
                    os.makedirs(to, exist_ok=True)
                    open(f"{to}/{name}", "w").write(text)
    text = open(f"{TREE}/{path}").read()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.S)
    need(changed != text or not pattern, f"{path} has no '{pattern}'")
    open(f"{TREE}/{path}", "w").write(changed)
    r = subprocess.run([f"{TOP}/tools/gen_boot_order.py", "--check", "--tree", TREE], capture_output=True, text=True)
    return r.returncode, r.stderr


@test("build: the boot's steps are in an order that meets their needs, and one that does not is found")
def boot_order():
    """One fault at a time, each in the sentence that names it."""
    code, text = verdict("arch/x86/setup.c", "", "")
    need(code == 0 and not text, f"the tree itself is refused: {text}")
    for path, pattern, replacement, sentence in (
            ("arch/x86/setup.c", r"    irq_init\(\);[^\n]*\n", "    irq_init();\n    nobody_knows();\n",
             "nobody_knows: a step without a BOOT_STEP()"),
            ("arch/x86/setup.c", r"    (acpi_init\(.*?\n)(.*?)    tsc_init\(\);[^\n]*\n", r"    tsc_init();\n    \1\2",
             "tsc_init needs acpi_tables, which nothing gives before it on BIOS (acpi_init gives it later)"),
            ("arch/x86/setup.c", r"    wallclock_init\(\);[^\n]*\n", "",
             "build_dom0 needs wallclock, which nothing gives before it on PVH"),
            ("arch/x86/time/tsc.c", r"NEEDS\(consoles, acpi_tables\)", "NEEDS(consoles, acpi_tables, apic_timer)", "a circle: "),
            ("arch/x86/time/tsc.c", r"GIVES\(clock\)", "GIVES(clock, clokc)", "tsc_init gives clokc, which nothing needs"),
            ("arch/x86/irq/local_apic.c", r"GIVES\(local_apic\), EVERYWHERE", 'GIVES(local_apic), ONLY_UEFI("as a test")',
             "smp_start_others needs local_apic, which nothing gives before it on BIOS"),
            ("arch/x86/time/tsc.c", r"EVERYWHERE", "SOMEWHERE", "a BOOT_STEP() that cannot be read")):
        code, text = verdict(path, pattern, replacement)
        need(code == 1 and sentence in text, f"'{sentence}' was not said, but: {text}")
