# SPDX-License-Identifier: MIT
"""Domains that come and go beside dom0, by hypercalls of a test kernel."""
import os
import re

from caisson import machine
from harness import bundle, clean, need, run_machine, test, trap_test_elf


def toolstack(name, cpu, cpus, words, timeout=120, extra=()):
    """The test kernel is dom0 of a small machine, and finds all in order."""
    args = machine.command(("direct", trap_test_elf(), bundle(name), f"noreboot dom0_mem=64M dom0_max_vcpus=1 {words}"), cpu=cpu, smp=cpus,
                           mem="256M", extra=extra)
    r = run_machine(args, timeout)
    need("test kernel: PASS" in r.output and "FAIL" not in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)
    return r


MACHINES = [{"cpu": "max", "cpus": 1, "words": "xpti=no"}, {"cpu": "qemu64", "cpus": 2, "words": "xpti=yes"}]


@test("life: domains are created, fail to be, and end, on {cpu} with {cpus} CPUs {words}", each=MACHINES)
def domains(cpu, cpus, words):
    toolstack("trap_domains", cpu, cpus, words)


@test("life: frames of others are mapped and pinned, on {cpu} with {cpus} CPUs {words}", each=MACHINES)
def foreign(cpu, cpus, words):
    toolstack("trap_foreign", cpu, cpus, words)


KERNELS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kernels")
GUESTS = [f[len("guests_"):-2] for f in sorted(os.listdir(KERNELS)) if f.startswith("guests_") and f.endswith(".c")]


@test("life: guests of a test kernel, {name} on {cpu} with {cpus} CPUs {words}", each=[
    {"name": name, "cpu": cpu, "cpus": cpus, "words": words} for name in GUESTS if name != "turns"
    for cpu, cpus, words in (("max", 1, "xpti=no"), ("qemu64", 4, "xpti=yes"))])
def guests(name, cpu, cpus, words):
    """tests/kernels/guests_NAME.c is its own toolstack (tests/kernels/lib/domu.h)."""
    r = toolstack(f"guests_{name}", cpu, cpus, words)
    if name == "end":
        reported = re.findall(r"d(\d+):v\d: unhandled page fault \(ec=0002\) in kernel mode: no handler is registered", r.output)
        need(len(reported) == 6 and len(set(reported)) == 6, f"six guests crash and are reported once each, not {reported}", r)
        need(r.output.count("not present") >= 6 and r.output.count("Code at rip:") == 6, "reports are not whole", r)
        need("its watchdog was not set anew in time" in r.output, "the watchdog is not told", r)


@test("life: who has more to send goes on, and who wakes after a sleep runs at once")
def turns():
    """Sender and receiver on one CPU; -icount makes it the same each time."""
    toolstack("guests_turns", "max", 1, "", extra=["-icount", "shift=0"])


@test("life: memory is given to others, claimed, described and taken back, on {cpu} with {cpus} CPUs {words}", each=MACHINES)
def memory(cpu, cpus, words):
    toolstack("trap_memory", cpu, cpus, words)


@test("life: what a guest's kernel prints is shown by the line, and not too much of it")
def guest_messages():
    """At guest_loglvl=debug, with the domain's name before it; what a terminal would obey is blank."""
    r = toolstack("guests_console", "max", 1, "guest_loglvl=all")
    lines = r.output.splitlines()
    for text in ("d1: one line", "d1: and  [6none more", f"d1: {'x' * 160}", f"d1: {'x' * 40}"):
        need(any(line.endswith(text) for line in lines), f"no line ends in '{text}'", r)
    need("never finished" not in r.output and r.output.count("d2: ") < 1000, "more is shown", r)


@test("life: domains end while others use their memory, on {cpus} CPUs, XPTI {xpti}", each=[
    {"cpus": 3, "xpti": "no"}, {"cpus": 2, "xpti": "yes"}])
def teardown(cpus, xpti):
    toolstack("trap_teardown", "max", cpus, f"dom0_max_vcpus=3 xpti={xpti}")


@test("life: a thousand guests leave nothing behind", minutes=1)
def cycles():
    toolstack("trap_cycles", "max", 2, "xpti=no", timeout=600)
