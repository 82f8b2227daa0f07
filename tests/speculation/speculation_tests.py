# SPDX-License-Identifier: MIT
"""
Mitigations of speculative execution, as far as an emulator shows them: it does not speculate, so it uses none by itself. Here they are
asked for, or the facts are changed through gdb before the decision. What is chosen for which processor: tests/unit/test_speculation.c.
"""
import re

from caisson import machine
from harness import (ELF, REACHED, SOCKETS, Seen, bundle, clean, debug_elf, direct, linux_bundle, monitor, need, provoke, run_linux,
                     run_machine, test)

ALL = "xpti=yes spec-ctrl=rsb,verw,bti-thunk=retpoline"
IN_USE = "in use: retpolines, RSB filled, RSB filled between vCPUs, VERW on exit, guests' page tables isolated (XPTI)"
KERNELS = "descriptors emulation events exceptions memory page_types user_mode writable_tables".split()

# Pages of the hypervisor that a guest may find in its tables, beside the M2P table and its descriptors: entry code (2), IDT, the
# trampoline, its stack's top, the CPU's area, the tops of four IST stacks.
MAPPED_PAGES = 10


@test("speculation: what a guest's tables hold of the hypervisor under XPTI")
def mapped_pages():
    """The few pages that the way in and out needs."""
    for smp in (1, 2):
        for words, xpti in (("xpti=yes", True), ("xpti=no", False)):
            started = Seen("Input goes to dom0")
            args = machine.command(("direct", ELF, bundle("spin"), f"noreboot {words}"), mem="256M", smp=smp,
                                   extra=["-global", "hpet.msi=on"])
            # Stopped, as a CPU that runs may be in the hypervisor again when its tables are asked for.
            look = ["stop", *(c for n in range(smp) for c in (f"cpu {n}", "info registers", "info mem")), "cont"]
            said = []
            r = run_machine(args + monitor(f"{SOCKETS}/xpti.sock", look * 3 + ["quit"], 0.1, started, said=said), 60, echo=started)
            cpus = "".join(said).split("CPL=")[1:]
            # With a prompt behind either answer: QEMU ends without having said all.
            guests = [c for c in cpus if c.startswith("3") and c.count("(qemu)") >= 2]
            need(guests, "no CPU was seen in the guest", r)
            for c in guests:
                pages = sum(int(size, 16) >> 12 for start, size, flags in re.findall(r"(\w{16})-\w{16} (\w{16}) (\S+)", c)
                            if 0xFFFF800000000000 <= int(start, 16) < 0xFFFF880000000000 and not flags.startswith("u")
                            and int(start, 16) >> 39 != 0xFFFF810000000000 >> 39)
                need(pages == MAPPED_PAGES if xpti else pages > 60000, f"{words}: {pages} pages of the hypervisor are mapped")


@test("speculation: kernel {name} under all that can be asked for", each=[{"name": name} for name in KERNELS])
def kernels(name):
    """The test kernels find no difference."""
    for cpu in ("max", "qemu64"):
        r = direct(bundle(name), f"noreboot {ALL}", timeout=60, machine={"cpu": cpu, "mem": "256M"})
        need(IN_USE in r.output, "not in use", r)
        need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
        clean(r)


@test("speculation: NMIs at every instruction of a guest's ways in and out under XPTI")
def sweep():
    """None meets a half-switched address space or stack."""
    for name in ("sweep_nmi", "debug_registers"):
        r = direct(bundle(name), f"noreboot {ALL}", timeout=200,
                   machine={"mem": "256M", "extra": ["-icount", "shift=0", "-global", "hpet.msi=on"]})
        need("test kernel: PASS" in r.output and "PANIC" not in r.output, "the test kernel did not pass", r)


@test("speculation: {name} under XPTI, on 2 CPUs", each=[
    {"name": "smp_memory", "vcpus": 5}, {"name": "smp_time", "vcpus": 5}, {"name": "smp_sched", "vcpus": 4}])
def racing(name, vcpus):
    """With several vCPUs whose address spaces are switched together."""
    args = machine.command(("direct", debug_elf(), bundle(name), f"noreboot dom0_max_vcpus={vcpus} {ALL}"), smp=2, mem="256M")
    r = run_machine(args, 150)
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)


@test("speculation: Linux under XPTI, {smp} CPUs, {cpu}", each=[{"smp": 1, "cpu": "qemu64"}, {"smp": 4, "cpu": "max"}])
def linux_xpti(smp, cpu):
    """A whole boot."""
    r = run_linux(("direct", ELF, linux_bundle(), f"{ALL} pv-l1tf=yes -- console=hvc0 caisson.batch"), 240, smp=smp, cpu=cpu)
    need(IN_USE in r.output and "not-present page-table entries checked" in r.output, "not in use", r)
    need(REACHED in r.output and not r.timed_out, "userspace or power-off was not reached", r)
    clean(r)


@test("speculation: Linux where entries and exits write SPEC_CTRL")
def spec_ctrl():
    """What a processor with IBRS in microcode gets."""
    # A processor that has IBRS and needs it; the emulator takes the writes.
    facts = ["emulated = 0", "intel = 1", "amd = 0", "family = 6", "model = 0x5e", "leaf7_edx = 0x8c000400"]
    r = provoke("spec_choose", [f"set var ((struct spec_facts *)f)->{x}" for x in facts], REACHED, linux_bundle(),
                "loglvl=all -- console=hvc0 caisson.batch", timeout=120, mem="512M")
    for words in ("suffers from Meltdown, L1TF, MDS", "IBRS on entry", "IBPB between vCPUs", "VERW on exit",
                  "isolated (XPTI)", "SPEC_CTRL and PRED_CMD for guests"):
        need(words in r.output, f"'{words}' was not printed", r)
    need(REACHED in r.output, "userspace was not reached", r)
    need("Spectre V2 : Mitigation" in r.output, "dom0's kernel says nothing of it", r)
    clean(r)


@test("speculation: {what} ends the guest", each=[
    {"what": "a not-present entry that names memory", "kernel": "dies_l1tf_entry"},
    {"what": "a store that makes an entry not present and names memory", "kernel": "dies_l1tf_store"}])
def l1tf_entry(what, kernel):
    """With pv-l1tf=, and without it nothing is refused."""
    r = direct(bundle(kernel), "noreboot pv-l1tf=yes", timeout=60, until="Halted (noreboot)", machine={"mem": "256M"})
    for words in ("empty and inverted entries are in order", "a not-present page-table entry names memory (L1TF)", "dom0 has ended: crash"):
        need(words in r.output, f"'{words}' was not printed", r)
    need("survived" not in r.output, "the guest went on", r)
    clean(r)
    r = direct(bundle(kernel), "noreboot", timeout=60, machine={"mem": "256M"})
    need("survived" in r.output, "dom0 was refused it unasked", r)


@test("speculation: a wrong word in spec-ctrl= is named")
def wrong_word():
    """The default stays in force."""
    r = direct(bundle("memory"), "noreboot spec-ctrl=retpolin xpti=perhaps", timeout=60, machine={"mem": "256M"})
    need("Option 'spec-ctrl': value 'retpolin'" in r.output and "Option 'xpti': value 'perhaps'" in r.output, "not named", r)
    need("test kernel: PASS" in r.output, "the boot did not go on", r)
