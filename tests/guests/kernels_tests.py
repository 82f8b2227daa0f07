# SPDX-License-Identifier: MIT
"""Debian's kernels as guests of the small dom0, packed and unpacked, and its GRUB in a guest, which starts what is on the guest's disk."""
import os
import shutil
import struct

from caisson import images, packages
from harness import OUT, command, linux, once, test

from guests.dom0 import boot, check, guest_files, named, script

# The least is what each comes to its shell with, and no more.
LEAST = {"5.10": 80, "6.1": 88, "6.12": 72, "7.2": 80}
SHORT = [("7.2", "vmlinux", 2, 128), ("6.12", "vmlinuz", 8, 160)]
FULL = {version: [(version, form, vcpus, memory) for form in ("vmlinux", "vmlinuz")
                  for vcpus, memory in ((1, least), (2, 128), (4, 512), (8, 1536))] for version, least in LEAST.items()}


def title(version, form, vcpus, memory):
    return f"Debian's {version}, {form}, {vcpus} vCPU{'s'[:vcpus > 1]}, {memory} MiB"


def rows(cases):
    return [{"step": title(*case)} for case in cases]


def release(kernel):
    """What the kernel in a bzImage calls itself."""
    data = open(kernel, "rb").read(65536)
    at = struct.unpack_from("<H", data, 0x20e)[0] + 0x200
    return data[at:at + 100].split()[0].decode()


def step(version, form, vcpus, memory):
    """Of a script."""
    return (f'step "{title(version, form, vcpus, memory)}" kernel /{named(form, version)} /{named("initrd", version)}.img '
            f"{release(linux(version))} {vcpus} {memory}\n")


def disk(name, mib, menu, files):
    """A guest's disk with what GRUB is to do, and files: {path: file here}."""
    packages.ensure(["e2fsprogs"])
    path = f"{OUT}/{name}"
    shutil.rmtree(f"{path}.tree", ignore_errors=True)
    for target, source in (files | {"boot/grub/grub.cfg": images.write_if_changed(f"{path}.menu", menu.encode())}).items():
        os.makedirs(os.path.dirname(f"{path}.tree/{target}"), exist_ok=True)
        shutil.copy(source, f"{path}.tree/{target}")
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    command("/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", f"{path}.tree", path)
    return path


def own_disk(version):
    kernel = linux(version)
    menu = "linux /boot/vmlinuz console=hvc0 quiet caisson.commands own-disk\ninitrd /boot/initrd.img\nboot\n"
    initrd = guest_files(version, ())[named("initrd", version) + ".img"]
    return disk(f"own-{version}.img", 24, menu, {"boot/vmlinuz": kernel, "boot/initrd.img": initrd})


def from_disk(version):
    """Of a script."""
    return f'step "GRUB in a guest, and {version} on its disk" from_disk /root/own-{version}.img {release(linux(version))}\n'


@once
def short():
    files = {"root/own-6.1.img": own_disk("6.1"), "root/menu.img": disk("menu.img", 4, 'echo "guest: GRUB has read its menu"\nhalt\n', {}),
             "root/vmlinuz": linux()}
    for version, form, _, _ in SHORT:
        files |= guest_files(version, (form,))
    steps = [*map(step, *zip(*SHORT)), from_disk("6.1"), f'step "{FORMATS}" formats\n', f'step "{SMALLEST}" smallest\n']
    return boot("kernels", script("kernels") + "".join(steps), files, dom0_mem="800M")


@once
def full(version):
    """On two CPUs."""
    steps = [step(*case) for case in FULL[version]]
    files = guest_files(version, ("vmlinux", "vmlinuz"))
    return boot(f"kernels-{version}", script("kernels") + "".join(steps), files, dom0_mem="800M", mem="3G", smp=2)


FORMATS = "formats that libxc does not unpack"
SMALLEST = "64 MiB: GRUB, and none of Debian's kernels"


@test("guests: {step}", minutes=3,
      each=rows(SHORT) + [{"step": "GRUB in a guest, and 6.1 on its disk"}, {"step": FORMATS}, {"step": SMALLEST}])
def kernels(step):
    """A guest has what it was given, works on all its vCPUs, and ends."""
    check(short(), step)


@test("guests: all kernels: {step}", full=True, each=[{"version": v} | row for v in FULL for row in rows(FULL[v])])
def all_kernels(version, step):
    """On two CPUs."""
    check(full(version), step)
