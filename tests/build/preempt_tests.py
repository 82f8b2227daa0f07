# SPDX-License-Identifier: MIT
"""Who may run other vCPUs before it returns: read off the calls in the image, and said by __may_preempt in the headers."""
import re

from harness import TOP, command, need, test, tree

# Other vCPUs run in these; whatever calls one, directly or through others, may preempt.
ROOTS = {"softirq_process", "schedule"}
# Calls through pointers are not in the disassembly. These functions call others of the given kind so; each kind stands for one of them.
# Handlers of softirqs, timers and keys are left out: softirq_process() runs them, with no lock held.
BY_POINTER = {"domain_kill": "kill_vcpus", "pv_hypercall": "do_mmu_update", "subop_dispatch": "op_reset", "efi_runtime_call": "get_time"}
CALL = re.compile(r"^\s*([0-9a-f]+):\s+(?:call|j[a-z]+)\s+([0-9a-f]+) <")


def calls():
    """(name of each function by its address, addresses that call each address's function)"""
    image = f"{TOP}/build/caisson.debug"
    names, ends = {}, {}
    for line in command("nm", "-S", image).splitlines():
        words = line.split()
        if len(words) == 4 and words[2] in "tT":
            at = int(words[0], 16)
            names[at], ends[at] = words[3].partition(".")[0], at + int(words[1], 16)
    functions = sorted(names)
    callers, n = {}, 0
    for line in command("objdump", "-d", "--no-show-raw-insn", image).splitlines():
        if m := CALL.search(line):
            at, to = int(m[1], 16), int(m[2], 16)
            while n + 1 < len(functions) and functions[n + 1] <= at:
                n += 1
            if functions[n] <= at < ends[functions[n]]:
                callers.setdefault(to, set()).add(functions[n])
    address = {name: at for at, name in names.items()}
    for caller, kind in BY_POINTER.items():
        need(caller in address and kind in address, f"{caller}() or {kind}() has changed its name: correct BY_POINTER")
        callers.setdefault(address[kind], set()).add(address[caller])
    return names, callers


def preempting():
    """The names of all functions in the image that reach one of ROOTS."""
    names, callers = calls()
    reach = {at for at, name in names.items() if name in ROOTS}
    need(len(reach) == len(ROOTS), "functions have moved or changed their names: correct ROOTS")
    left = list(reach)
    while left:
        new = callers.get(left.pop(), set()) - reach
        reach |= new
        left += new
    return {names[at] for at in reach}


def strip(text):
    """A header without comments and preprocessor lines."""
    return re.sub(r"/\*.*?\*/|^[ \t]*#(?:\\\n|[^\n])*", "", text, flags=re.S | re.M)


def inline_functions(text):
    """(name, body) of each function that a header defines."""
    for m in re.finditer(r"^static [^;{}]*?(\w+)\([^;{}]*\{(?:([^\n]*)\}$|(.*?)^\})", text, re.S | re.M):
        yield m[1], m[2] or m[3] or ""


def prototypes(text):
    """(name, whole prototype) of each function that a header declares or defines, bodies left out."""
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", ";", text)
    for statement in text.split(";"):
        if m := re.search(r"\b(?!__printf|__attribute__|__aligned_to|_Static_assert|CHECK_)(\w+)\(", statement):
            yield m[1], " ".join(statement.split())


@test("build: prototypes say which functions may preempt")
def marked():
    """What may run other vCPUs carries __may_preempt in its header, and nothing else does."""
    listed = tree("include/hv", "common", "arch", "boot", "drivers")
    headers = {f: strip(open(f"{TOP}/{f}").read()) for f in listed if f.endswith(".h")}
    reach, before, wrong = preempting(), None, []
    while before != reach:  # a function in line is not in the image under its name
        before = set(reach)
        for text in headers.values():
            reach |= {name for name, body in inline_functions(text) if reach & set(re.findall(r"(\w+)\(", body))}
    for header, text in headers.items():
        for name, prototype in prototypes(text):
            if name in reach and "__may_preempt" not in prototype:
                wrong.append(f"{header}: {name}() may run other vCPUs: __may_preempt is missing")
            if name not in reach and "__may_preempt" in prototype:
                wrong.append(f"{header}: {name}() cannot run other vCPUs: __may_preempt is wrong")
    need(not wrong, "\n".join(wrong))
