# SPDX-License-Identifier: MIT
"""The small dom0 with Debian's toolstack (tools/caisson/guests.py): it runs a script of steps, each of which is a test."""
import re

from caisson import guests, images
from harness import BUILD, ELF, OUT, TOP, clean, linux, need, run_linux

HERE = f"{TOP}/tests/guests"


def script(name):
    return open(f"{HERE}/{name}.sh").read()


def steps(name):
    """Rows for each=, one for each step of the script."""
    return [{"step": title} for title in re.findall(r'^step "(.*)" \w+$', script(name), re.M)]


def named(name, version):
    """A file's path in dom0. 6.1's names have no version."""
    return f"root/{name}" + ("" if version == "6.1" else f"-{version}")


def guest_files(version, formats=("vmlinux",)):
    """Debian's kernel of that version in these formats, and its initrd: path in dom0 to file here."""
    kernel = linux(version)
    made = {"vmlinuz": lambda: kernel, "vmlinux": lambda: guests.vmlinux(f"{OUT}/vmlinux-{version}", kernel)}
    files = {named("initrd", version) + ".img": guests.guest_initramfs(f"{OUT}/guest-{version}.cpio", kernel)}
    return files | {named(f, version): made[f]() for f in formats}


# Debian's release: the kernel of its dom0.
KERNELS = {"12": "6.1", "13": "6.12"}


def boot(name, text, files, *, dom0_mem="448M", release="12", **machine):
    """
    The console of a dom0 that runs the text behind common.sh, and switches the machine off at its end. name: of what is made for it.
    dom0_mem: its kernel gives files less than half of what its memory is without their archive. release: of Debian, whose toolstack it is.
    """
    kernel, xen = linux(KERNELS[release]), guests.RELEASES[release][1]
    text = f"XEN={xen} DOM0_MEM={dom0_mem[:-1]}\n{script('common')}{text}"
    dom0 = guests.dom0_initramfs(f"{OUT}/guests-{name}-dom0.cpio", f"{BUILD}/cache", kernel, text, files, release)
    words = f"xen-version={xen} noreboot loglvl=all guest_loglvl=all dom0_mem={dom0_mem},max:{dom0_mem} -- console=hvc0 quiet caisson.batch"
    r = run_linux(("direct", ELF, images.bundle(f"{OUT}/guests-{name}.cpio", kernel, dom0), words), 2400, **{"mem": "2G"} | machine)
    clean(r)
    return r


def check(r, step):
    """It has gone well in that run."""
    failure = re.search(rf"guests: FAILED {re.escape(step)}\n(.*?)(?=guests: |$)", r.output.replace("\r", ""), re.S)
    need(not failure, failure and failure[1])
    need(f"guests: ok {step} " in r.output, "dom0 has not come to this step", r)
