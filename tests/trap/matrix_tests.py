# SPDX-License-Identifier: MIT
"""
The trap matrix in the machine: every cell that can be is raised, over every way to boot, and what
came of it is compared with the table. The hypervisor is built with TRAP_TEST=1 for this.
"""
import os
import re
import sys

from harness import ELF, OUT, TOP, bundle, need, run_machine, run_machine_to_file, symbols, test, test_kernel, trap_test_elf
from caisson import images, machine
sys.path.insert(0, os.path.join(TOP, "tools"))
import gen_trap_matrix  # noqa: E402

M = gen_trap_matrix.Matrix()
NUMBER = {name: v for v, name in M.vectors.items()}
WAYS = ("direct", "bios", "uefi")
BLOCK = re.compile(r"\(CAI\) \{ (\S+) (\S+) #?(\w+) (\w+)\n(.*?)"
                   r"\(CAI\) \} \1 \2 #?\3 \4: (NOT RAISED, )?(\w+), result (\d+), NMIs (\d+), latency (\d+)", re.S)
WORDS = "sync_console noreboot nmi=ignore recorder=off"
HV_WORDS = f"com1=115200,8n1 {WORDS}"
ASM_PHASES = {"stub32", "ap_real", "ap_32"}
GUESTS = {"guest_kernel", "guest_user"}
WHAT = dict(re.findall(r'X\(\d+, (\w+),.*"([^"]*)"\)', open(f"{TOP}/include/hv/x86/vectors.h").read()))


def key(cell):
    return cell.phase, cell.context, M.vectors[cell.vector]


def batch_cells(phases=None):
    return {key(c): c for c in M.real() if c.phase != "stub32" and c.context not in GUESTS and (not phases or c.phase in phases)}


def code(vector):
    return f"CAI-T{vector:02X}"


def expected_hows(outcome):
    return {"fixup": ["fixed", "plain"], "early_fault": ["mapped", "fixed", "plain"]}.get(outcome, ["plain"])


def check_block(cell, how, text, end, result, nmis, shadow_stacks):
    """None, or what is wrong with what the machine said of this cell."""
    reports = re.findall(r"PANIC (CAI-\w+)", text)
    name = M.vectors[cell.vector]
    if how in ("fixed", "mapped"):
        return None if end == "returned" and result == {"fixed": 1, "mapped": 2}[how] and not reports else "not fixed up"
    if cell.phase == "panic":
        nested = re.findall(r"A second fault while reporting: (.*) at \w+ (\w+)", text)
        if end != "reported" or reports != ["CAI-T06"]:
            return "not exactly the one report that was interrupted"
        wanted = [("raise_" + name)] if cell.outcome == "nested" else []
        return None if [symbol for _, symbol in nested] == wanted else f"second fault: {nested}"
    if cell.outcome in ("debug", "mc", "interrupt"):
        return None if end == "returned" and not reports else "did not simply go on"
    if cell.outcome == "nmi":
        wanted = 2 if cell.context == "nmi" else 1
        return None if end == "returned" and not reports and nmis == wanted else f"{nmis} NMIs were counted, not {wanted}"
    wanted = "CAI-M01" if cell.outcome == "mc_early" else code(cell.vector)
    if shadow_stacks and cell.context == "mc" and name == "MC":
        wanted = code(NUMBER["GP"])  # its stack's token is taken
    if end != "reported" or reports != [wanted]:
        return f"reports {reports}, not {wanted}"
    if f"phase {cell.phase}, context {cell.context}, CPU" not in text:
        return "the report names another phase or context"
    if not re.search(rf"RIP: .* raise_{name}\+", text):
        return "the report names another place"
    return None


def check_batch(r, cells, starts_others=True, shadow_stacks=False):
    output = r.output.replace("\r", "")
    seen = {}
    for phase, context, vector, how, text, missed, end, result, nmis, _ in BLOCK.findall(output):
        need(not missed, f"{phase} {context} {vector}: the trap could not be raised")
        cell = cells.get((phase, context, vector))
        need(cell, f"{phase} {context} {vector}: raised, but the matrix says it cannot be")
        wrong = check_block(cell, how, text, end, int(result), int(nmis), shadow_stacks)
        need(not wrong, f"{phase} {context} {vector} ({how}, {cell.outcome}): {wrong}\n{text[-1500:]}")
        seen.setdefault((phase, context, vector), []).append(how)
    for stage, phase in (("in real mode", "ap_real"), ("in 32-bit mode", "ap_32")):
        for vector in re.findall(rf"\{{ {phase} hypervisor #(\w+) plain\n\(CAI\) CPU 1 \(APIC 1\): exception #\1 {stage}; it is left out",
                                 output):
            seen[phase, "hypervisor", vector] = ["plain"]
    missing = [k for k, c in cells.items() if seen.get(k) != expected_hows(c.outcome)]
    need(not missing, f"{len(missing)} cells were not seen, the first {missing[:5]}", r)
    need("test kernel: PASS" in output, "the guest did not run after all of it", r)
    if not starts_others:
        return
    need("CPU 1 (APIC 1): no answer within a second, in 32-bit mode; it is left out" in output, "a CPU that hangs was not named", r)
    need("SMP: 2 of 2 CPUs online" in output, "the second CPU did not start after all its faults", r)


def guest_cells():
    return {key(c): c for c in M.real() if c.context in GUESTS}


def check_guest(r):
    output = r.output.replace("\r", "")
    at, seen = output.index("Input goes to dom0"), {}
    for m in re.finditer(r"^cell (\w+) (\w+) (\d)$", output, re.M):
        mode, vector, delivered = m.groups()
        v = gen_trap_matrix.IRQ if vector == "IRQ" else int(vector, 16)
        text, at = output[at:m.end()], m.end()
        cell = guest_cells()["active", mode, M.vectors[v]]
        reports = re.findall(r"PANIC (CAI-\w+)", text)
        if cell.outcome == "report":
            need(reports == [code(v)] and f"phase active, context {mode}, CPU 0" in text, f"{cell}: reports {reports}", r)
        else:
            need(not reports, f"{cell}: reports {reports}", r)
        need((delivered == "1") == (cell.outcome in ("deliver", "emulate", "interrupt")), f"{cell}: delivered {delivered}", r)
        seen[key(cell)] = True
    need(seen.keys() == guest_cells().keys(), f"not seen: {guest_cells().keys() - seen.keys()}", r)
    need("test kernel: PASS" in output, "the test kernel did not pass", r)


# Faults at the place of check_cpu32, as bytes of 32-bit code; INT n where there is no better way.
STUB_CODE = {"DE": "31c9f7f1", "BP": "cc", "OF": "b07f047fce", "UD": "0f0b", "GP": "66b8ff558ed8",
             "NM": "0f20c083c8080f22c0d9d0"}


def stub_image(vector, place="check_cpu32", skip=0):
    """The hypervisor with a fault written over the stub's check of the processor, or elsewhere."""
    data = bytearray(open(ELF, "rb").read())
    address = symbols()[place] + skip
    # Program header 0 is the boot section, linked where it is loaded.
    phoff = int.from_bytes(data[32:40], "little")
    offset, vaddr = (int.from_bytes(data[phoff + o:phoff + o + 8], "little") for o in (8, 16))
    text = bytes.fromhex(STUB_CODE.get(vector, f"cd{NUMBER[vector]:02x}"))
    data[offset + address - vaddr:offset + address - vaddr + len(text)] = text
    path = f"{OUT}/stub-{place}-{vector}.elf"
    images.write(path, data)
    return path


def check_stub(r, vector):
    found = re.findall(r"exception in the 32-bit boot stub, vector (\w+)", r.output)
    need(found == [f"{NUMBER[vector]:08x}"], f"reports of vectors {found}", r)
    need("Halted. Please report these numbers." in r.output, "the report is not complete", r)


# One of each kind of end, for real: (phase, context, vector, options, what must be said at the end)
ENDS = [("early_boot", "hypervisor", "UD"), ("boot", "hypervisor", "PF"), ("smp_boot", "hypervisor", "GP"), ("active", "hypervisor", "DF"),
        ("shutdown", "hypervisor", "UD"), ("active", "console", "UD"), ("active", "nmi", "UD"), ("active", "mc", "UD"),
        ("early_boot", "console", "PF"),
        ("early_boot", "hypervisor", "MC"), ("smp_boot", "nmi", "DF"), ("ap_64", "hypervisor", "UD"), ("boot", "hypervisor", "VE")]


@test("matrix: every cell belongs to a test")
def every_cell():
    """None is raised by nobody."""
    stub = {key(c) for c in M.real() if c.phase == "stub32"}
    need(stub | batch_cells().keys() | guest_cells().keys() == {key(c) for c in M.real()}, "some cells belong to no test")


def boot(how, kernel, words):
    """For machine.command(): the hypervisor that raises traps, by any way to boot."""
    if how == "direct":
        return ("direct", trap_test_elf(), images.bundle(f"{OUT}/matrix-{os.path.basename(kernel)}.cpio", kernel), words)
    return (how, images.iso(f"{OUT}/matrix-{os.path.basename(kernel)}-{how}.iso", trap_test_elf(), kernel, None, words, ""))


@test(f"matrix: {len(batch_cells())} cells of the hypervisor, {{how}}, {{cpu}}",
      each=[{"how": how, "cpu": cpu} for how in WAYS for cpu in ("max", "qemu64")])
def hypervisor_cells(how, cpu):
    """Each is raised once, and what comes of it is what the table says."""
    args = machine.command(boot(how, test_kernel("memory"), f"{HV_WORDS} dom0_vcpus_pin dom0_max_vcpus=1 traptest=all"), cpu=cpu, smp=2,
                           mem="256M")
    check_batch(run_machine_to_file(args, 120, f"{OUT}/matrix-{how}-{cpu}.console"), batch_cells())


@test(f"matrix: {len(guest_cells())} cells of guests, {{how}}", each=[{"how": how} for how in WAYS])
def guest_cells_raised(how):
    """The same for what guests raise, in kernel and user mode."""
    args = machine.command(boot(how, test_kernel("trap_cells"), f"{HV_WORDS} traptest=guest"), mem="256M")
    check_guest(run_machine_to_file(args, 120, f"{OUT}/matrix-guest-{how}.console"))


@test("matrix: the first line of a report within 10,000 instructions of the fault")
def latency():
    """A machine that dies soon after a fault has still said which."""
    # Under -icount shift=0 the TSC counts instructions.
    args = machine.command(boot("direct", test_kernel("memory"), f"{HV_WORDS} traptest=all"), mem="256M", extra=["-icount", "shift=0"])
    r = run_machine_to_file(args, 120, f"{OUT}/matrix-latency.console")
    latencies = [int(block[-1]) for block in BLOCK.findall(r.output.replace("\r", "")) if int(block[-1])]
    need(len(latencies) > 500, f"only {len(latencies)} reports", r)
    need(max(latencies) <= 10000, f"the slowest took {max(latencies)} instructions", r)


@test("matrix: the 32-bit stub, 32 cells, {how}", each=[{"how": "direct"}, {"how": "bios"}])
def stub32(how):
    """INT n, or what raises the exception itself, by both 32-bit entries."""
    for vector in (M.vectors[cell.vector] for cell in M.real() if cell.phase == "stub32"):
        image = stub_image(vector)
        start = ("direct", image, None, "") if how == "direct" else (how, images.iso(f"{OUT}/matrix-stub.iso", image, None, None, "", ""))
        check_stub(run_machine(machine.command(start, mem="256M"), 30, until="numbers."), vector)


@test("matrix: a cell without a rule, and a rule without a cell, fail the build")
def broken_table():
    """A table that is wrong makes no code."""
    table = open(gen_trap_matrix.TABLE).read()
    for change, words in ((lambda t: t.replace("rule HARDWARE * * report\n", ""), "no rule decides vector"),
                          (lambda t: t + "rule NMI active hypervisor report\n", "this rule decides no cell"),
                          (lambda t: t.replace("rule DB  * * debug", "rule DB  * * debugg"), "debugg is not known")):
        path = f"{OUT}/broken.tbl"
        with open(path, "w") as f:
            f.write(change(table))
        try:
            gen_trap_matrix.Matrix(path)
            need(False, f"'{words}' was not found")
        except gen_trap_matrix.Trouble as e:
            need(words in str(e), f"the generator says: {e}")


@test("matrix: the third instruction of the 32-bit entries")
def entries():
    """The first two load the stub's descriptor tables."""
    skip = 14  # LGDT and LIDT
    direct = ("direct", stub_image("UD", "pvh_entry32", skip), None, "")
    bios = ("bios", images.iso(f"{OUT}/matrix-entry.iso", stub_image("UD", "multiboot2_entry32", skip), None, None, "", ""))
    for how in (direct, bios):
        check_stub(run_machine(machine.command(how, mem="256M"), 30, until="numbers."), "UD")


@test("matrix: a fault inside a report, then it {end}", each=[{"end": "halts"}, {"end": "reboots"}])
def nested(end):
    """The report goes on behind the second fault."""
    stays = end == "halts"
    words = f"traptest=panic/hypervisor/#GP recorder=off {'noreboot' if stays else 'panic=0'}"
    args = machine.command(boot("direct", test_kernel("memory"), words), mem="256M", smp=2)
    r = run_machine(args, 30, until="Halted (noreboot)" if stays else None)
    need(re.findall(r"PANIC (CAI-\w+)", r.output) == ["CAI-T06"], "not exactly one report", r)
    need(re.search(r"A second fault while reporting: general protection at \w+ raise_GP\+", r.output), "the second fault is not named", r)
    need(("Halted (noreboot)" in r.output) if stays else not r.timed_out, "it did not end as it should", r)


@test("matrix: {phase}/{context}/#{vector} {end}",
      each=[dict(zip(("phase", "context", "vector"), cell), end=end) for cell in ENDS for end in ("halts", "reboots")])
def ends(phase, context, vector, end):
    """As the words on the command line have it."""
    stays = end == "halts"
    words = f"traptest={phase}/{context}/#{vector} recorder=off {'noreboot' if stays else 'panic=0'}"
    args = machine.command(("direct", trap_test_elf(), bundle("memory"), words), mem="256M", smp=2)
    r = run_machine(args, 30, until="Halted (noreboot)" if stays else None)
    wanted = "CAI-M01" if vector == "MC" else code(NUMBER[vector])
    need(re.findall(r"PANIC (CAI-\w+)", r.output) == [wanted], f"not exactly one report of {wanted}", r)
    need(f"phase {phase}, context {context}, CPU" in r.output, "the report names another phase or context", r)
    need("second fault" not in r.output and "did not stop" not in r.output, "the report did not end in order", r)
    need(("Halted (noreboot)" in r.output) if stays else not r.timed_out, "it did not end as it should", r)
