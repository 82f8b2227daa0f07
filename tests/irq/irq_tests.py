# SPDX-License-Identifier: MIT
"""Debug keys on a running machine, and what the build checks of keys and messages."""
import os
import re

from caisson import images
from harness import BUILD, OUT, TOP, Failed, command, direct, need, test, test_kernel

# Numbers of frames as badpage= would take for others: hexadecimal, without 0x.
BARE_FRAME = re.compile(r'"[^"]*\b(?:mfn|frames?|table)\b:? %[0-9.]*l*x')


def sources():
    """Every C file of the hypervisor."""
    for folder in ("arch", "boot", "common", "drivers"):
        for root, _, files in os.walk(f"{TOP}/{folder}"):
            yield from (f"{root}/{f}" for f in files if f.endswith(".c"))


@test("build: a debug key has one handler")
def one_handler():
    """A second one for the same key is not assembled in the same file, and does not link from another one."""
    pair = "".join(f"static void {f}(void) {{ }}\nKEYHANDLER('Z', {f}, \"\", \"\");\n" for f in ("a", "b"))
    open(f"{OUT}/key-pair.c", "w").write("#include <hv/console.h>\n" + pair)
    try:
        command("gcc", "-Iinclude", "-std=gnu11", "-c", "-o", f"{OUT}/key-pair.o", f"{OUT}/key-pair.c")
    except Failed as e:
        need("`debug_key_'Z'' is already defined" in str(e), f"another error: {e}")
    else:
        raise Failed("two handlers of 'Z' in one file were taken")
    for name, key in (("one", "h"), ("other", "Z")):
        source = f'#include <hv/console.h>\nstatic void run(void) {{ }}\nKEYHANDLER(\'{key}\', run, "", "");\n'
        open(f"{OUT}/key-{name}.c", "w").write(source)
        command("gcc", "-Iinclude", "-std=gnu11", "-c", "-o", f"{OUT}/key-{name}.o", f"{OUT}/key-{name}.c")
    keys = f"{BUILD}/common/debug/keyhandler.o"
    command("ld", "-r", "-o", f"{OUT}/keys.o", keys, f"{OUT}/key-other.o")
    try:
        command("ld", "-r", "-o", f"{OUT}/keys.o", keys, f"{OUT}/key-one.o")
    except Failed as e:
        need("multiple definition of `debug_key_'h''" in str(e), f"another error: {e}")
    else:
        raise Failed("two handlers of 'h' were linked")


@test("build: frame numbers in messages can be given to badpage=")
def frame_numbers():
    """They are written with 0x."""
    need(BARE_FRAME.search('printk(" mfn %lx")') and BARE_FRAME.search('"frames %05lx to"') and not BARE_FRAME.search('"frame %#lx"'),
         "the pattern")
    for path in sources():
        for line in open(path):
            need(not BARE_FRAME.search(line), f"{path}: {line}")


@test("console: debug keys, unknown ones, a terminal's answers, and R twice")
def debug_keys():
    """What a terminal sends by itself does nothing, and R wants to be meant."""
    bundle = images.bundle(f"{OUT}/irq-keys.cpio", test_kernel("spin"))
    typed = [("Input goes to dom0", "\x01\x01\x01"), ("Input goes to Caisson", "\x1b[24;80Rx"), ("'x': no such key", "r"),
             ("'r' pressed", "r"), ("'r' pressed", "l"), ("'l' pressed", "R"), ("Once more 'R'", "h"), ("=> this list", "R"),
             ("Once more 'R'", "R")]
    r = direct(bundle, "noreboot", timeout=90, typed=typed, machine={"mem": "256M"})
    need("no such key; 'h' lists them" in r.output and not r.timed_out, "the second R did not end the machine", r)
    since_boot, since_the_key = (int(n) for n in re.findall(r"^.*CPU 0: \d+ switches, (\d+) wake-ups", r.output, re.M)[:2])
    need(since_boot > 0 and since_the_key == 0, f"key r counts {since_boot} wake-ups, then {since_the_key}", r)
    need(r.output.count("Once more 'R'") == 2, "one R was enough, or a terminal's answer one of them", r)
