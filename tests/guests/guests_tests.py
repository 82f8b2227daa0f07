# SPDX-License-Identifier: MIT
"""
Debian's toolstack, unmodified, in a small dom0 (tools/caisson/guests.py) with Debian's kernels as guests. Each step of a script that dom0
runs is a test; all steps of a script share one boot.
"""
import re

from caisson import guests, images, machine
from harness import BUILD, ELF, OUT, TOP, clean, linux, need, once, run_machine, test

HERE = f"{TOP}/tests/guests"


def steps(script):
    """Rows for each=, one for each step of the script."""
    return [{"step": title} for title in re.findall(r'^step "(.*)" \w+$', open(f"{HERE}/{script}.sh").read(), re.M)]


@once
def run(script, version="6.1", smp=1):
    """The console of a dom0 that runs the script, and switches the machine off at its end."""
    text = "".join(open(f"{HERE}/{name}.sh").read() for name in ("common", script))
    kernel, stem = linux(version), f"{OUT}/guests-{script}-{version}"
    files = {"root/vmlinux": guests.vmlinux(f"{OUT}/vmlinux-{version}", kernel), "root/vmlinuz": kernel,
             "root/initrd.img": guests.guest_initramfs(f"{stem}-guest.cpio", kernel)}
    initrd = guests.dom0_initramfs(f"{stem}-dom0.cpio", f"{BUILD}/cache", linux(), text, files)
    bundle = images.bundle(f"{stem}.cpio", linux(), initrd)
    words = "noreboot loglvl=all guest_loglvl=all dom0_mem=448M,max:448M -- console=hvc0 quiet caisson.batch"
    r = run_machine(machine.command(("direct", ELF, bundle, words), smp=smp, mem="2G"), 2400)
    clean(r)
    return r


def check(script, step, **how):
    r = run(script, **how)
    failure = re.search(rf"guests: FAILED {re.escape(step)}\n(.*?)(?=guests: |$)", r.output.replace("\r", ""), re.S)
    need(not failure, failure and failure[1])
    need(f"guests: ok {step} " in r.output, "dom0 has not come to this step", r)


@test("guests: {step}", each=steps("commands"), minutes=4)
def commands(step):
    """By what it does to a guest of Debian's kernel 6.1."""
    check("commands", step)
