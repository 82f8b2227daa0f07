# SPDX-License-Identifier: MIT
"""Every Debian kernel that is promised to run: four suites, both firmwares, both CPU models, 1, 2 and 4 vCPUs."""
import itertools
import re

from caisson import images, packages
from harness import ELF, OUT, REACHED, clean, initramfs, linux, need, run_linux, test

COMPLAINTS = re.compile(r"BUG:|WARNING: |Oops|soft lockup|rcu: INFO|unchecked MSR|Kernel panic")
BOOTS = [dict(zip(("version", "firmware", "cpu", "vcpus"), boot))
         for boot in itertools.product(packages.SUITES, ("bios", "uefi"), ("qemu64", "max"), (1, 2, 4))]


@test("kernels: {version}, {firmware}, {cpu}, {vcpus} vCPUs", each=BOOTS)
def boot(version, firmware, cpu, vcpus):
    """Userspace is reached on all vCPUs, no kernel complains, and the machine switches itself off."""
    iso = images.iso(f"{OUT}/kernel-{version}.iso", ELF, linux(version), initramfs(), "com1=115200,8n1 loglvl=all guest_loglvl=all",
                     "console=hvc0 caisson.batch")
    r = run_linux((firmware, iso), 240, cpu=cpu, smp=vcpus)
    need(REACHED in r.output and f"Linux version {version}." in r.output, "userspace was not reached", r)
    need(not r.timed_out and "entering S5" in r.output, "the machine did not switch itself off", r)
    need(vcpus == 1 or f"Brought up 1 node, {vcpus} CPUs" in r.output, "not all vCPUs came up", r)
    # 5.10 says this where firmware memory lies low (UEFI); on Xen too.
    found = COMPLAINTS.search(re.sub(r"WARNING: CPU: 0 PID: 0 at \S+ set_pte_init", "", r.output))
    need(not found, f"the kernel complains: {found and found.group()}", r)
    clean(r)
