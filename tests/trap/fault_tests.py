# SPDX-License-Identifier: MIT
"""NMIs from outside, faults that gdb puts into the hypervisor in each phase, and the watchdog."""
from caisson import machine
from harness import (ELF, REACHED, SOCKETS, Seen, bundle, clean, direct, linux_bundle, monitor, need, provoke, run_machine, test)


@test("trap: NMIs all through boot and dom0")
def nmis():
    """dom0 is told of them and goes on."""
    args = machine.command(("direct", ELF, linux_bundle(), "loglvl=all guest_loglvl=all -- console=hvc0 caisson.batch"))
    # Not before: the firmware does not like NMIs.
    started = Seen("Caisson")
    r = run_machine(args + monitor(f"{SOCKETS}/nmi.sock", ["nmi"], 0.05, started, True), 120, echo=started)
    need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
    need("NMI received for unknown reason" in r.output, "dom0 saw no NMI", r)
    clean(r)


@test("trap: nmi=fatal reports and stops")
def nmi_fatal():
    """One report, whatever follows."""
    args = machine.command(("direct", ELF, bundle("spin"), "nmi=fatal noreboot"), mem="256M")
    started = Seen("Input goes to dom0")
    r = run_machine(args + monitor(f"{SOCKETS}/nmi-fatal.sock", ["nmi"], 1, started), 60, until="Halted (noreboot)", echo=started)
    need("PANIC CAI-N01: NMI (nmi=fatal)" in r.output and "phase active" in r.output, "no report", r)
    need(r.output.count("PANIC") == 1, "more than one report", r)


@test("trap: an exception in the 32-bit stub is reported")
def stub():
    """Before there is a page table, and before C."""
    r = provoke("check_cpu32", "set *(short *)$pc = 0x0b0f", "Halted. Please report")
    need("exception in the 32-bit boot stub, vector 00000006" in r.output, "no report", r)


DAMAGES = {
    "#UD": ("set *(short *)$pc = 0x0b0f", "CAI-T06: invalid opcode"),
    "#PF": ("set $pc = 0x1234567000", "CAI-T0E: page fault"),
    "#DF": ("set $rsp = 0x1000", "CAI-T08: double fault"),
}
PLACES = {"early_boot": "boot_info_sort_memory", "boot": "tsc_init", "smp_boot": "elf_parse", "active": "do_xen_version"}


@test("trap: {vector} of the hypervisor in phase {phase}", each=[{"vector": v, "phase": p} for p in PLACES for v in DAMAGES])
def hypervisor_fault(vector, phase):
    """One whole report, which names the phase and the place."""
    function, (damage, words) = PLACES[phase], DAMAGES[vector]
    r = provoke(function, damage, "(noreboot", bundle("memory"))
    need(f"PANIC {words}" in r.output and f"phase {phase}, context hypervisor, CPU 0" in r.output, "no report", r)
    need(r.output.count("PANIC") == 1 and "second fault" not in r.output, "not exactly one report", r)
    need(vector == "#PF" or function + "+0x" in r.output, "the place is not named", r)
    need(vector != "#PF" or "L4[0x000] = 0000000000000000" in r.output or phase == "active", "no page walk", r)


@test("trap: the watchdog reports a hypervisor that loops, and nothing else")
def watchdog():
    """Neither a guest that computes, nor one that does many things, for longer than the limit."""
    r = provoke("do_xen_version", "set *(short *)$pc = 0xfeeb", "Halted (noreboot)", bundle("memory"),
                "noreboot watchdog watchdog_timeout=2")
    need("PANIC CAI-N04: watchdog: CPU 0 has run no timer for 2 seconds" in r.output and "do_xen_version+0x0" in r.output, "no report", r)
    r = direct(bundle("trap_mce_deaf"), "noreboot watchdog watchdog_timeout=2", timeout=6, machine={"mem": "256M"})
    need("watchdog: on, 2 s" in r.output and "computing" in r.output, "the watchdog was not on", r)
    clean(r)
