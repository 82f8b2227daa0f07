#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/hypercalls.md and docs/unsupported.md, from include/hv/hypercall_list.h and the tables of what is not offered."""
import os
import re

from caisson import cli
from caisson.cli import TOP

OPERATIONS = {  # the constants that name a hypercall's operations
    "memory_op": "XENMEM_", "sched_op": "SCHEDOP_", "vcpu_op": "VCPUOP_", "grant_table_op": "GNTTABOP_", "callback_op": "CALLBACKOP_",
    "event_channel_op": "EVTCHNOP_", "physdev_op": "PHYSDEVOP_", "domctl": "XEN_DOMCTL_", "sysctl": "XEN_SYSCTL_", "platform_op": "XENPF_",
    "mmuext_op": "MMUEXT_",
    "xen_version": "XENVER_", "console_io": "CONSOLEIO_", "mca": "XEN_MC_", "hypfs_op": "XEN_HYPFS_OP_", "vm_assist": "VMASST_TYPE_",
}
COPIES = {"NONE": "", "BY_HAND": "by hand", "LIST": "by hand", "IN": "in", "OUT": "out", "IN_OUT": "in and out",
          "IN_OUT_ALWAYS": "in, and out also with an error"}  # include/hv/hypercall.h


def sources():
    for folder in ("arch", "common"):
        for root, _, files in os.walk(f"{TOP}/{folder}"):
            for name in sorted(f for f in files if f.endswith(".c")):
                yield os.path.relpath(os.path.join(root, name), TOP), open(os.path.join(root, name)).read()


def read(path):
    return open(f"{TOP}/{path}").read()


def hypercalls(texts):
    numbers = dict(re.findall(r"#define __HYPERVISOR_(\w+) (\d+)", read("include/public/xen.h")))
    print("""# Hypercalls

Made by `tools/gen_hypercalls.py` from `include/hv/hypercall_list.h` and the handlers: change those, then `make docs`. Arguments are
what the guest's registers had (RDI, RSI, RDX, R10, R8), whole; `*`: an address in its memory. CONTROL ones are for a domain with the
toolstack's rights; others get -EPERM before anything else is looked at. What is known and not offered: `unsupported.md`.

| number | name | arguments | who | what for | operations | handler |
|---|---|---|---|---|---|---|""")
    rows = re.findall(r'X\((\w+), \(([^)]*)\), (\w+),\s+(?:\\\s+)?"([^"]*)"\)', read("include/hv/hypercall_list.h"))
    for name, arguments, who, what in rows:
        path, text = next((p, t) for p, t in texts if re.search(rf"^long do_{name}\(", t, re.M))
        arguments = arguments.replace("guest_ptr_t ", "*").replace("u64 ", "").replace("void", "")
        prefix = OPERATIONS.get(name)
        used = set(re.findall(rf"(?:case|,|{{) {prefix}(?!INTERFACE_)(\w+)", text)) if prefix else ()
        print(f"| {numbers[name]} | `{name}` | {arguments and f'`{arguments}`'} | {who} | {what} | {', '.join(sorted(used))} | `{path}` |")
    print("""
## Operations of hypercalls with tables

Who may call: a domain that has one of the rights, CONTROL (the toolstack's) or HARDWARE (the machine's devices); others get -EPERM before
the argument is looked at, or where it names a domain, before that domain is. The argument is copied in before, or out after success, or
both; "by hand": the handler copies it when it has looked at other things. Of domctl, sysctl, platform_op and mca it is the operation's
part of the union.

| hypercall | operation | number | who | argument | copied |
|---|---|---|---|---|---|""")
    public = "".join(read(f"include/public/{h}") for h in sorted(os.listdir(f"{TOP}/include/public")))
    defines = dict(re.findall(r"#define (\w+) (\d+)", public))
    for name in re.findall(r"X\((\w+)\)", read("include/hv/hypercall.h").partition("SUBOPS_LIST(X)")[2].partition("#define X")[0]):
        prefix = OPERATIONS[name]
        text = next(t for _, t in texts if f"struct subops {name}_table = " in t)
        row = rf"\bsubop (rows\w*)\[\]|\[{prefix}(\w+)\] = {{ ([A-Z_ |]+),\s+ARG_(\w+)\((?:(?:const )?([^,)]*),)?"
        # Most of domctl's are in a list of their own: here as the rows that are made of it.
        listed = re.sub(r"\b[DV]\((\w+), (?:\w+, )?ARG_(\w+), ", rf"[{prefix}\1] = {{ CONTROL, ARG_\2(", read("common/control/control.h"))
        for table, op, who, copies, what in re.findall(row, text.replace("    DOMCTL_LIST(D, V)\n", listed)):
            if table:
                version = table[4:].replace("_", ".").replace(".", " in Xen ", 1)
                continue
            who = who.replace(" | ", " or ").replace("OWN_OR_CONTROL", "ANYBODY on its own domain, CONTROL on all")
            what = "" if copies == "NONE" else f"`{what}`"
            print(f"| `{name}` | {op}{version} | {defines[prefix + op]} | {who} | {what} | {COPIES[copies]} |")


def unsupported(texts):
    numbers = {f"__HYPERVISOR_{n}": n for n in re.findall(r"#define __HYPERVISOR_(\w+) \d+", read("include/public/xen.h"))}
    print("""# What is known and not offered

Made by `tools/gen_hypercalls.py` from `common/hypercall/not_offered.c` and `arch/x86/pv/emulate/cpuid.c`: change those, then
`make docs`. The log says the same once for each that somebody asks for (`guest_loglvl=debug`, CPU features at `loglvl=debug`).
Options of Xen's that are not offered: `options.md`. What a machine may have at most: `limits.md`.

## Hypercalls and operations

| hypercall | operations | what | answer | reason |
|---|---|---|---|---|""")
    for call, first, last, answer, what, reason in re.findall(r'\{ (\w+), (\w+), (\w+), -(\w+), "([^"]*)",\s+"([^"]*)" \}',
                                                              dict(texts)["common/hypercall/not_offered.c"]):
        operations = "all" if first == "WHOLE" else first if first == last else f"{first} to {last}"
        print(f"| {f'`{numbers[call]}`' if call in numbers else call} | {operations} | {what} | -{answer} | {reason} |")
    print("\n## CPU features that guests do not see\n\n| feature | CPUID leaf | reason |\n|---|---|---|")
    for leaf, word, bit, name, reason in re.findall(r'\{ (\w+), (\d), (\d+), "([^"]*)",\s+"([^"]*)" \}',
                                                    dict(texts)["arch/x86/pv/emulate/cpuid.c"]):
        print(f"| {name} | {int(leaf, 0):X}h {('EAX', 'EBX', 'ECX', 'EDX')[int(word)]} bit {bit} | {reason} |")
    print("\nFeatures that are in neither list are hidden, too: what is not known is not shown.")


def main():
    words = cli.Words(__doc__)
    words.add_argument("page", choices=("hypercalls", "unsupported"))
    {"hypercalls": hypercalls, "unsupported": unsupported}[words.parse_args().page](list(sources()))


if __name__ == "__main__":
    cli.start(main)
