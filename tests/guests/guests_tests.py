# SPDX-License-Identifier: MIT
"""
Debian's toolstack, unmodified, in a small dom0 (tools/caisson/guests.py) with Debian's kernels as guests. Each step of a script that dom0
runs is a test; all steps of a script share one boot.
"""
import re

from caisson import guests, images, machine
from harness import BUILD, ELF, OUT, TOP, clean, command, linux, need, once, run_machine, test

HERE = f"{TOP}/tests/guests"


def steps(script):
    """Rows for each=, one for each step of the script."""
    return [{"step": title} for title in re.findall(r'^step "(.*)" \w+$', open(f"{HERE}/{script}.sh").read(), re.M)]


@once
def run(script):
    """The console of a dom0 that runs the script, and switches the machine off at its end."""
    text = "".join(open(f"{HERE}/{name}.sh").read() for name in ("common", script))
    kernel, stem = linux(), f"{OUT}/guests-{script}"
    files = {"root/vmlinux": guests.vmlinux(f"{OUT}/vmlinux", kernel),
             "root/initrd.img": guests.guest_initramfs(f"{stem}-guest.cpio", kernel)}
    dom0 = guests.dom0_initramfs(f"{stem}-dom0.cpio", f"{BUILD}/cache", kernel, text, files)
    words = "noreboot loglvl=all guest_loglvl=all dom0_mem=448M,max:448M -- console=hvc0 quiet caisson.batch"
    r = run_machine(machine.command(("direct", ELF, images.bundle(f"{stem}.cpio", kernel, dom0), words), mem="2G"), 2400)
    clean(r)
    return r


def check(script, step):
    r = run(script)
    failure = re.search(rf"guests: FAILED {re.escape(step)}\n(.*?)(?=guests: |$)", r.output.replace("\r", ""), re.S)
    need(not failure, failure and failure[1])
    need(f"guests: ok {step} " in r.output, "dom0 has not come to this step", r)


@test("guests: tools/run --guest", minutes=1)
def person():
    """From the loader to a guest's report, and off."""
    said = command("tools/run", "--guest", "--batch", "--no-install", "--timeout", "1200")
    need(re.search(r"^guest +1 +128 +1 ", said, re.M) and re.search(r"^guest: 1 vCPUs, \d+ KiB", said, re.M), said[-3000:])
    need(re.search(r"xl create took [0-9.]+ s, the guest came to its shell [0-9.]+ s later", said) and "userspace reached after" in said,
         said[-3000:])


@test("guests: {step}", each=steps("commands"), minutes=4)
def commands(step):
    """By what it does to a guest of Debian's kernel 6.1."""
    check("commands", step)


@test("guests: {step}", each=steps("refusals"), minutes=1)
def refusals(step):
    """Each with xl's sentence; domains, memory and the store are as before."""
    check("refusals", step)
