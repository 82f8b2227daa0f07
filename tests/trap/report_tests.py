# SPDX-License-Identifier: MIT
"""Reports of a hypervisor whose own state is damaged: gdb does the damage, and the report must still be whole."""
import re

from harness import ELF, SOCKETS, Seen, bundle, clean, monitor, need, provoke, run_machine, test, trap_test_elf
from caisson import machine

BLOCK = 0x8000  # a stack block: SYSCALL trampoline, guard page, stack
L4 = "*(unsigned long *)(0xffff830000000000 + ($cr3 & ~0xfff) + 8)"


REPORTS = [
    # Bit 48 is no index bit: a table walk would find the real stack, a read raises #GP.
    {"name": "the stack pointer is not canonical", "damage": "set $rsp = (unsigned long)$rsp ^ (1UL << 48)", "code": "T08",
     "text": r"Call trace:\n.*none: RSP is not canonical"},
    {"name": "a stack overflow has a call chain", "damage": f"set $rsp = ((unsigned long)$rsp & ~{BLOCK - 1:#x}) + 0x1800", "code": "T08",
     "text": r"Call trace:\n.*\[[0-9a-f]{16} \w+\+0x"},
    # Frame 7fff0h is reserved, in a chunk that has RAM, and there is RAM above it.
    {"name": "a table that is not in RAM", "damage": [f"set {L4} = 0x7fff0067", "set $pc = 0x8000000000"], "code": "T0E",
     "text": r"L4\[0x001\] = 0+7fff0067 .*\(no RAM\)\n.*table 0x7fff0 is not in RAM", "mem": "4G"},
]


@test("report: {name}", each=REPORTS)
def report(name, damage, code, text, **hardware):
    """It says what is wrong, and meets no fault of its own."""
    r = provoke("do_xen_version", damage, "(noreboot", bundle("memory"), "noreboot dom0_mem=128M", **hardware)
    need(f"PANIC CAI-{code}" in r.output, f"no report: {name}", r)
    need(r.output.count("PANIC") == 1 and "second fault" not in r.output, "the report has met a fault of its own", r)
    need(re.search(text, r.output.replace("\r", "")), f"the report does not say '{text}'", r)


@test("report: dom0 ends while one CPU hears no NMI and another holds the console's lock")
def stuck_cpus():
    """It waits for neither of them for ever."""
    r = run_machine(machine.command(("direct", trap_test_elf(), bundle("trap_stuck_cpus"), "noreboot dom0_max_vcpus=3"), smp=3, mem="256M"),
                    60)
    need("1 other CPUs did not stop" in r.output, "no CPU was in the way", r)
    need("dom0 has ended: reboot" in r.output and not r.timed_out, "the machine did not end", r)
    clean(r)

# The watchdog's own NMIs come 18 times a second; these come faster, so that a late one of its own cannot stand for all of them.
def button(name, words, before, after):
    """NMIs from outside while the watchdog sends its own."""
    waits = Seen("waiting for an NMI")
    args = machine.command(("direct", ELF, bundle("trap_nmi_told"), f"noreboot watchdog {words}"), mem="256M")
    r = run_machine(args + monitor(f"{SOCKETS}/{name}.sock", ["nmi"], 0.02, waits, True), 60, until=after, echo=waits)
    need("watchdog: on" in r.output, "the watchdog was not on", r)
    need(after in r.output and before in r.output, f"'{before}' was not said", r)
    return r


@test("report: with the watchdog on, NMIs that are not its own reach dom0")
def watchdog_nmi():
    """Both kinds of NMI come at once."""
    clean(button("button", "", "told of NMIs", "reason"))


@test("report: with the watchdog on, nmi=fatal reports NMIs that are not its own")
def watchdog_nmi_fatal():
    """Both kinds of NMI come at once, and one of them ends it."""
    r = button("button-fatal", "nmi=fatal", "PANIC CAI-N01: NMI (nmi=fatal)", "Halted (noreboot)")
    need(r.output.count("PANIC") == 1, "not exactly one report", r)
