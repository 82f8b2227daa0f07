# SPDX-License-Identifier: MIT
"""Debian's kernel as dom0: every way to boot, machines of all sizes, under load, and the ways in which dom0 can end."""
import re

from caisson import images, machine
from harness import (BUILD, ELF, HV, OUT, REACHED, TOP, clean, command, direct, initramfs, linux, linux_bundle, need, once, run_linux,
                     run_machine, test)

WORDS = "com1=115200,8n1 console=com1,vga loglvl=all guest_loglvl=all"
DOM0 = "console=hvc0 caisson.batch"


@once
def linux_iso():
    """What GRUB boots, by BIOS and by UEFI."""
    return images.iso(f"{OUT}/linux.iso", f"{HV}/caisson.gz", linux(), initramfs(), WORDS, DOM0)


MACHINES = [
    {"name": "BIOS, cpu max, 512M", "how": "bios", "cpu": "max", "mem": "512M"},
    {"name": "BIOS, cpu qemu64, 512M", "how": "bios", "cpu": "qemu64", "mem": "512M"},
    {"name": "UEFI, cpu max, 512M", "how": "uefi", "cpu": "max", "mem": "512M"},
    {"name": "UEFI, cpu qemu64, 1G", "how": "uefi", "cpu": "qemu64", "mem": "1G"},
    {"name": "direct, cpu max, 512M", "how": "direct", "cpu": "max", "mem": "512M"},
    {"name": "direct, cpu qemu64, 16G", "how": "direct", "cpu": "qemu64", "mem": "16G"},
    {"name": "BIOS, cpu max, 16G", "how": "bios", "cpu": "max", "mem": "16G"},
    {"name": "direct, four CPUs", "how": "direct", "cpu": "max", "mem": "512M", "smp": 4},
    {"name": "direct, Intel-like CPU, i440fx", "how": "direct", "cpu": "Skylake-Client", "mem": "512M", "extra": ["-machine", "pc"]},
]


@test("boot: {name}", each=MACHINES)
def boot(name, how, **hardware):
    """Userspace is reached, knows its hypervisor, and switches the machine off; no kernel complains."""
    where = ("direct", ELF, linux_bundle(), f"{WORDS} -- {DOM0}") if how == "direct" else (how, linux_iso())
    r = run_linux(where, 300, **hardware)
    need(REACHED in r.output, f"{name}: userspace was not reached", r)
    need(not r.timed_out and r.status == 0, "the machine did not switch itself off", r)
    need("/sys/hypervisor/type: xen" in r.output, "dom0 does not know its hypervisor", r)
    need(not re.search(r"WARNING: CPU|BUG:|Oops|unchecked MSR", r.output), "dom0's kernel complains", r)
    clean(r)


@test("boot: relocated to the top of memory, {how}", each=[{"how": "bios"}, {"how": "uefi"}])
def relocated(how):
    """The image runs wherever a loader puts it."""
    command("make", "-s", f"O=build/high-{how}", "EXTRA_ASFLAGS=-DMB2_PREFERENCE=2")
    high = images.iso(f"{OUT}/high-{how}.iso", f"{BUILD}/high-{how}/caisson.elf", linux(), initramfs(), WORDS, DOM0)
    r = run_machine(machine.command((how, high)), 200)
    need(re.search(r"booted by GRUB.* at 1[c-f][0-9a-f]{6}", r.output), "the image was not moved", r)
    need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
    clean(r)


def selftest(name, words, timeout, **changes):
    """Linux under the load of selftest.sh; changes: values of its variables."""
    script = open(f"{TOP}/tests/boot/selftest.sh").read()
    for variable, value in changes.items():
        script = re.sub(rf"\$\{{{variable}:-\d+\}}", str(value), script)
    loaded = images.bundle(f"{OUT}/{name}.cpio", linux(), images.initramfs(f"{OUT}/{name}-initramfs.cpio", script))
    r = direct(loaded, f"{WORDS} {words} -- {DOM0}", timeout=timeout)
    need("caisson: selftest passed" in r.output, "the self test did not pass", r)
    clean(r)
    return r


@test("boot: load in dom0 on three vCPUs", minutes=3)
def load():
    """Processes, files and signals on all vCPUs at once."""
    r = selftest("load", "dom0_max_vcpus=3", 900)
    need(not r.timed_out, "the machine did not switch itself off", r)


@test("boot: 10,000 forks and 200 processes", minutes=5)
def forks():
    """As many address spaces made and taken down as a day's work does."""
    selftest("forks", "", 1200, FORKS=10000)


@test("boot: Linux with the watchdog on")
def watchdog():
    """Its NMIs disturb nobody."""
    r = direct(linux_bundle(), "watchdog watchdog_timeout=3 -- console=hvc0 caisson.batch", timeout=120)
    need(REACHED in r.output and not r.timed_out and "NMI received" not in r.output, "userspace was not reached in order", r)
    clean(r)


@test("boot: 64G machine")
def large_machine():
    """More memory than this machine has."""
    r = direct(linux_bundle(), f"{WORDS} dom0_mem=512M -- {DOM0}", timeout=300, machine={"cpu": "max", "mem": "64G"})
    need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
    clean(r)


ENDS = [
    {"name": "reboot", "script": "reboot -f", "said": "dom0 has ended: reboot"},
    {"name": "poweroff", "script": "poweroff -f", "said": "entering S5"},
    {"name": "halt", "script": "halt -f", "said": "reboot: System halted", "until": "The machine can be switched off now."},
    {"name": "emergency restart by SysRq", "script": "echo b > /proc/sysrq-trigger", "said": "dom0 has ended: reboot"},
    {"name": "power-off by SysRq", "script": "echo o > /proc/sysrq-trigger", "said": "entering S5"},
    {"name": "crash of the kernel", "script": "echo c > /proc/sysrq-trigger", "said": "dom0 has ended: crash"},
    {"name": "crash of the kernel, noreboot", "script": "echo c > /proc/sysrq-trigger", "said": "dom0 has ended: crash",
     "words": "noreboot"},
]


@test("end: {name}", each=ENDS)
def ends(name, script, said, words="", until="Halted (noreboot)"):
    """How dom0 can end, and what the machine does then."""
    short = re.sub(r"\W+", "-", name)
    initrd = images.initramfs(f"{OUT}/end-{short}-initramfs.cpio", f"#!/bin/sh\n{script}\nsleep 20\n")
    r = direct(images.bundle(f"{OUT}/end-{short}.cpio", linux(), initrd), f"loglvl=all {words} -- console=hvc0 caisson.batch panic=1",
               timeout=100, until=until)
    need(said in r.output, f"'{said}' was not printed", r)
    need(until in r.output if words else not r.timed_out, "the machine did not end in order", r)
    need("caisson: selftest" not in r.output, "dom0 went on", r)
    clean(r)
