# SPDX-License-Identifier: MIT
"""UEFI's runtime services: a test kernel that calls each, and Linux with efivarfs."""
import shutil

from caisson import images, machine, packages
from harness import ELF, OUT, REACHED, SOCKETS, Seen, clean, linux, monitor, need, provoke, run_machine, test, test_kernel


def own_variables(name):
    """A flash of variables that outlives the machine."""
    path = f"{OUT}/{name}.vars"
    shutil.copy(machine.OVMF_VARS, path)
    return path


def efi_kernel(words=""):
    """What GRUB starts: the test kernel of UEFI."""
    return images.iso(f"{OUT}/efi{words.replace('=', '-')}.iso", ELF, test_kernel("efi"), None, f"noreboot {words}", "")


@test("efi: every runtime service, and what is written stays")
def services():
    """Each is called by one and by two vCPUs, and the second boot finds the variable of the first."""
    flash = own_variables("efi-kernel")
    for said in ("is new", "is there from before"):
        for smp in (1, 2):
            r = run_machine(machine.command(("uefi", efi_kernel()), mem="256M", smp=smp, flash=flash), 120)
            need("UEFI and its runtime services" in r.output and "test kernel: PASS" in r.output, "the test kernel did not pass", r)
            need(f"the variable {said}" in r.output, f"the variable should be: {said}", r)
            clean(r)
            said = "is there from before"


@test("efi: under XPTI; without runtime services")
def xpti():
    """The services run on tables of their own; efi=no-rs leaves them out."""
    r = run_machine(machine.command(("uefi", efi_kernel("xpti=yes")), mem="256M"), 120)
    need("UEFI and its runtime services" in r.output and "test kernel: PASS" in r.output, "the test kernel did not pass", r)
    clean(r)
    r = run_machine(machine.command(("uefi", efi_kernel("efi=no-rs")), mem="256M"), 120)
    need("no runtime services" in r.output and "test kernel: PASS" in r.output, "the test kernel did not pass", r)
    clean(r)


@test("efi: a firmware that faults is not called again, and the machine goes on")
def faulting():
    """The exception is told, and the guest gets an error."""
    r = provoke("efi_enter", "set $rdi = 0x7fff12345678", "test kernel: FAIL", boot=("uefi", efi_kernel()))
    need("raised an exception at 7fff12345678. Runtime services are off from here on." in r.output, "not said", r)
    need("efi.c" in r.output and "test kernel: FAIL" in r.output, "the guest did not go on without them", r)
    clean(r)


@test("efi: Linux 6.1 draws on the framebuffer")
def framebuffer():
    """What a program writes into it is on the screen."""
    script = """#!/bin/sh
cat /proc/fb
dmesg -n 1 # nothing else on it
tr '\\0' '\\377' < /dev/zero | dd of=/dev/fb0 bs=65536 2>/dev/null
echo "the screen is white"
sleep 4
"""
    shot = f"{OUT}/framebuffer.ppm"
    initrd = images.initramfs(f"{OUT}/framebuffer-initramfs.cpio", script)
    iso = images.iso(f"{OUT}/framebuffer.iso", ELF, linux(), initrd, "loglvl=all",
                     "console=hvc0 caisson.batch")
    white = Seen("the screen is white")
    dump = monitor(f"{SOCKETS}/framebuffer.sock", [f"screendump {machine.monitor_word(shot)}"], 1, white)
    r = run_machine(machine.command(("uefi", iso)) + dump, 120, echo=white)
    need("EFI VGA" in r.output, "Linux has no framebuffer", r)
    pixels = open(shot, "rb").read().split(b"\n", 3)[3]
    need(pixels.count(b"\xff") > len(pixels) * 0.9, "what it draws is not on the screen", r)
    clean(r)


@test("efi: Linux {version} keeps a variable in efivarfs", each=[{"version": "5.10"}, {"version": "6.1"}])
def variables(version):
    """It is there after the next boot."""
    driver = open(packages.module_file(linux(version), "efivarfs"), "rb").read()
    script = """#!/bin/sh
insmod /efivarfs.ko || exit 1
mount -t efivarfs efivarfs /sys/firmware/efi/efivars || exit 1
cd /sys/firmware/efi/efivars
ls BootOrder-* ConOut-* || exit 1
f=Caisson-12345678-1234-1234-1234-123456789abc
if [ -e $f ]; then # it may not be written twice without a chattr
    echo "from the last boot:" $(tail -c +5 $f)
else
    printf '\\007\\000\\000\\000hello' > /tmp/v
    cat /tmp/v > $f || exit 1
    [ "$(tail -c +5 $f)" = hello ] || exit 1
fi
dmesg | grep -v 'set_pte_init' | grep -E 'BUG|WARNING|Oops|unchecked MSR' && exit 1 # that one on Xen too
exit 0
"""
    initrd = images.initramfs(f"{OUT}/efi-{version}-initramfs.cpio", script, [("efivarfs.ko", driver)])
    iso = images.iso(f"{OUT}/efi-{version}.iso", ELF, linux(version), initrd, "loglvl=all guest_loglvl=all", "console=hvc0 caisson.batch")
    flash = own_variables(f"efi-{version}")
    for boot in range(2):
        r = run_machine(machine.command(("uefi", iso), mem="512M", flash=flash), 200)
        need(REACHED in r.output and "caisson: selftest passed" in r.output, "the script did not pass", r)
        need("EFI v2.70 by EDK II" in r.output, "Linux does not see the firmware", r)
        need(boot == 0 or "from the last boot: hello" in r.output, "the variable was lost", r)
        clean(r)
