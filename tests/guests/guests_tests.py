# SPDX-License-Identifier: MIT
"""
Debian's toolstack, unmodified, in a small dom0 (tools/caisson/guests.py) with Debian's kernels as guests. Each step of a script that dom0
runs is a test; all steps of a script share one boot.
"""
import os
import re
import time

from caisson import guests, images, machine
from harness import BUILD, ELF, OUT, command, linux, need, once, run_machine, test, test_kernel

from guests.dom0 import boot, check, guest_files, script, steps

TEST_KERNELS = ["spin", "dies_unhandled_fault", "dies_watchdog"]  # that become guests


@once
def run(name, smp=1, release="12", dom0_mem="448M"):
    files = guest_files("6.1") | {f"root/{k}.elf": test_kernel(k) for k in TEST_KERNELS}
    return boot(f"{name}-{release}", script(name), files, smp=smp, release=release, dom0_mem=dom0_mem)


@test("guests: tools/run --guest", minutes=1)
def person():
    """From the loader to a guest's report, and off."""
    said = command("tools/run", "--guest", "--batch", "--no-install", "--timeout", "1200")
    need(re.search(r"^guest +1 +128 +1 ", said, re.M) and re.search(r"^guest: 1 vCPUs, \d+ KiB", said, re.M), said[-3000:])
    need(re.search(r"xl create took [0-9.]+ s, the guest came to its shell [0-9.]+ s later", said) and "userspace reached after" in said,
         said[-3000:])


@test("guests: a person types into a guest and dom0", minutes=1)
def typing():
    """The time of day is the same in both; poweroff ends each."""
    out = f"{OUT}/typing"
    os.makedirs(out, exist_ok=True)
    initrd = guests.example(out, f"{BUILD}/cache", linux(), False)
    typed = [("guest# ", "echo now $(date +%s); poweroff\n"), ("dom0# ", "echo now $(date +%s); poweroff\n")]
    r = run_machine(machine.command(("direct", ELF, images.bundle(f"{out}/bundle.cpio", linux(), initrd),
                                     "noreboot dom0_mem=60% -- console=hvc0 quiet"), mem="1G"), 300, typed=typed)
    need(not r.timed_out and "entering S5" in r.output, "a poweroff did not end what it should", r)
    times = [int(t) for t in re.findall(r"^now (\d+)", r.output, re.M)]
    need(len(times) == 2 and 0 <= times[1] - times[0] <= 60 and abs(times[1] - time.time()) < 1000, f"times of day: {times}", r)


@test("guests: {step}", each=steps("commands"), minutes=4)
def commands(step):
    """By what it does to a guest of Debian's kernel 6.1."""
    check(run("commands"), step)


@test("guests: {step}", each=steps("refusals"), minutes=1)
def refusals(step):
    """Each with xl's sentence; domains, memory and the store are as before."""
    check(run("refusals"), step)


@test("guests: {step}", each=steps("ends"), minutes=1)
def ends(step):
    """Each with its reason, and without harm to others."""
    check(run("ends"), step)


@test("guests: {step}", each=steps("save"), minutes=2)
def save(step):
    """By what the guest has in memory, on its disk and on its network, before and after."""
    check(run("save"), step)


@test("guests: Debian 13's toolstack: {step}", each=steps("newer"), minutes=1)
def newer(step):
    """Its own interface version, in a dom0 of Debian 13."""
    check(run("newer", 1, "13", "512M"), step)


@test("guests: Debian 13's toolstack at length: {step}", full=True,
      each=[{"name": name} | row for name in ("commands", "refusals") for row in steps(name)])
def newer_at_length(name, step):
    """All that Debian 12's does."""
    check(run(name, 1, "13", "512M"), step)


@test("guests: {step}", each=steps("long"), full=True)
def long(step):
    """The long list, on two CPUs."""
    check(run("long", 2), step)
