#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What must hold of the linked image: W^X, the Multiboot2 header, a right gate for each of the 256 vectors, ENDBR64 where branches lead."""
import os
import re
import struct
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAYOUT = open(f"{TOP}/include/hv/x86/layout.h").read()
IMAGE = int(re.search(r"^#define IMAGE_VIRT_START _VA\((\w+)\)", LAYOUT, re.M)[1], 16)
STUBS = IMAGE + int(re.search(r"^#define STUBS_VIRT \(IMAGE_VIRT_START \+ (\w+)\)", LAYOUT, re.M)[1], 16)
MAX_SIZE = int(re.search(r"^#define IMAGE_MAX_SIZE (\w+)", LAYOUT, re.M)[1], 16)
data = open(f"{TOP}/build/caisson.debug", "rb").read()
ENDBR64 = b"\xf3\x0f\x1e\xfa"
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)


def segments():
    phoff, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        yield struct.unpack_from("<IIQQQQQQ", data, phoff + i * size)


def at(address, length):
    for kind, _, offset, vaddr, _, file_size, _, _ in segments():
        if kind == 1 and vaddr <= address < vaddr + file_size:
            return data[offset + address - vaddr:][:length]
    raise SystemExit(f"{address:#x} is not in the image")


def symbols_and_functions():
    """Addresses by name, and names of functions by address."""
    symbols, functions = {}, {}
    for line in subprocess.run(["nm", f"{TOP}/build/caisson.debug"], capture_output=True, text=True, check=True).stdout.splitlines():
        value, kind, name = line.split()
        symbols[name] = int(value, 16)
        if kind in "tT":
            functions[int(value, 16)] = name
    return symbols, functions


def loaded():
    """Segments, and the header that a loader looks for."""
    for kind, flags, *_ in segments():
        check(kind != 1 or flags & 3 != 3, "a segment is writable and executable")
    header = next((o for o in range(0, 32768, 8) if struct.unpack_from("<I", data, o)[0] == 0xE85250D6), None)
    check(header is not None, "no Multiboot2 header in the first 32 KiB")
    if header is not None:
        check(sum(struct.unpack_from("<4I", data, header)) & 0xFFFFFFFF == 0, "the Multiboot2 header's checksum is wrong")


def gates(symbols):
    """The IDT's 256 gates, and the stubs that they lead to."""
    rows = re.findall(r"X\((\d+), (\w+), (\d), (IST_\w+), (\d),", open(f"{TOP}/include/hv/x86/vectors.h").read())
    check([int(r[0]) for r in rows] == list(range(32)), "vectors.h does not list 0 to 31 once each")
    ist = {"IST_NONE": 0, "IST_DF": 1, "IST_NMI": 2, "IST_MC": 3, "IST_DB": 4}
    for v in range(256):
        low, selector, stack, kind, mid, high, zero = struct.unpack("<HHBBHII", at(symbols["idt_table"] + 16 * v, 16))
        dpl, number, code = (int(rows[v][2]), ist[rows[v][3]], int(rows[v][4])) if v < 32 else (0, 0, 0)
        check(low | mid << 16 | high << 32 == STUBS + 16 * v, f"gate {v} leads to the wrong place")
        check(selector == 0xE008 and zero == 0, f"gate {v} has a wrong selector")
        check(kind == 0x8E | dpl << 5, f"gate {v} has a wrong type or DPL")
        check(stack == number, f"gate {v} has a wrong IST")
        stub = at(STUBS + 16 * v, 16)
        check(stub[:4] == ENDBR64, f"stub {v} does not begin with ENDBR64")
        stub = stub[4:]
        pushes = stub[:2] == b"\x6a\x00"
        check(pushes == (not code), f"stub {v} pushes an error code where the processor does, or does not where it must")
        check((stub[6] if pushes else stub[5] | stub[6] << 8) == v, f"stub {v} names another vector")


def branch_targets(symbols, functions):
    """ENDBR64 where indirect branches and SYSCALL lead."""
    # Whatever a table points to may be called. The places of fixups and patches, and symbols, are no such tables.
    checked = 0
    for start, end in (("text_end", "ex_table_start"), ("keyhandlers_start", "options_end")):
        for place in range(symbols[f"__{start}"], symbols[f"__{end}"], 8):
            target, = struct.unpack("<Q", at(place, 8))
            if target in functions and target < symbols["__init_text_start"]:  # not the libraries
                checked += 1
                check(at(target, 4) == ENDBR64, f"{functions[target]} is in a table and does not begin with ENDBR64")
    check(checked > 100, f"only {checked} pointers to functions were found")
    for name in ("trampoline_page", "trampoline_cstar", "syscall64_entry", "syscall_entry"):
        check(at(symbols[name], 4) == ENDBR64, f"SYSCALL leads to {name}, which does not begin with ENDBR64")


def main():
    symbols, functions = symbols_and_functions()
    loaded()
    gates(symbols)
    branch_targets(symbols, functions)
    check(symbols["__image_end"] - IMAGE <= MAX_SIZE, "the image does not fit its window")

    size = os.path.getsize(f"{TOP}/build/caisson.gz")
    check(size < 400 * 1024, f"build/caisson.gz has {size} bytes, more than 400 KiB")
    print("\n".join(failures) or f"image: W^X, header, 256 gates and stubs are right; caisson.gz {size} bytes")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
