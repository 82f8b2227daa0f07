"""Every Debian kernel that is promised to run: four suites, both firmwares, both CPU models, 1, 2 and 4 vCPUs."""
import re

from caisson import images, packages
from harness import BUILD, ELF, OUT, REACHED, clean, need, run_linux, test

COMPLAINTS = re.compile(r"BUG:|WARNING: |Oops|soft lockup|rcu: INFO|unchecked MSR|Kernel panic")


def register():
    initrd = images.initramfs(f"{OUT}/initramfs.cpio")

    def boot(version, kernel, firmware, cpu, vcpus):
        @test(f"kernels: {version}, {firmware}, {cpu}, {vcpus} vCPUs")
        def _():
            iso = images.iso(f"{OUT}/kernel-{version}.iso", ELF, kernel, initrd, "com1=115200,8n1 loglvl=all guest_loglvl=all",
                             "console=hvc0 caisson.batch")
            r = run_linux((firmware, iso), 240, cpu=cpu, smp=vcpus)
            need(REACHED in r.output and f"Linux version {version}." in r.output, "userspace was not reached", r)
            need(not r.timed_out and "entering S5" in r.output, "the machine did not switch itself off", r)
            need(vcpus == 1 or f"Brought up 1 node, {vcpus} CPUs" in r.output, "not all vCPUs came up", r)
            # 5.10 says this where firmware memory lies low (UEFI); on Xen too.
            found = COMPLAINTS.search(re.sub(r"WARNING: CPU: 0 PID: 0 at \S+ set_pte_init", "", r.output))
            need(not found, f"the kernel complains: {found and found.group()}", r)
            clean(r)

    for version in packages.SUITES:
        kernel = packages.download_kernel(f"{BUILD}/cache", version)
        for firmware in ("bios", "uefi"):
            for cpu in ("qemu64", "max"):
                for vcpus in (1, 2, 4):
                    boot(version, kernel, firmware, cpu, vcpus)
