# SPDX-License-Identifier: MIT
"""The test kernels of this folder, each on a new and on an old processor."""
import os

from harness import bundle, clean, direct, need, test

HERE = os.path.dirname(os.path.abspath(__file__))
# Kernels of these names have tests of their own elsewhere, with a machine made for them.
ELSEWHERE = ("dies_", "device_", "trap_", "sweep_", "debug_", "smp_", "mmu_", "guests_", "spin.", "start_of_day.")
NAMES = [f[:-2] for f in sorted(os.listdir(HERE)) if f.endswith(".c") and not f.startswith(ELSEWHERE)]


@test("kernel: {name} on {cpu}", each=[{"name": name, "cpu": cpu} for name in NAMES for cpu in ("max", "qemu64")])
def kernel(name, cpu):
    """It finds all in order, says so and restarts the machine."""
    r = direct(bundle(name), "noreboot", timeout=60, machine={"cpu": cpu, "mem": "256M"})
    need("test kernel: PASS" in r.output and "FAIL" not in r.output, "the test kernel did not pass", r)
    need(not r.timed_out, "the machine did not restart at its end", r)
    clean(r)


@test("kernel: with SMAP")
def smap():
    """Test kernels do not use IRET in ring 3, which the emulator cannot do with SMAP."""
    for name in ("page_types", "user_mode", "memory"):
        r = direct(bundle(name), "smap=force", timeout=60, machine={"mem": "256M"})
        need("SMEP SMAP" in r.output and "test kernel: PASS" in r.output, f"{name} did not pass", r)
        clean(r)


DEATHS = [
    {"name": "unhandled_fault",
     "expected": ("d0:v0: unhandled page fault (ec=0002) in kernel mode: no handler is registered", "Given up by guest_trap_inject()",
                  "L4[0x024] = 0000000000000000 not present", "rax: 0000123456789000", "Code at rip: 48 c7 00 0d d0", "Guest stack at")},
    {"name": "bad_stack", "expected": ("its frame cannot be written to the guest's kernel stack", "rsp: ffff830000001000")},
    {"name": "half_mapped",
     "expected": ("d0:v0: unhandled page fault (ec=0004) in user mode", "L1[0x", " pfn ", "not present", "Code at rip: 48 8b 07")},
    {"name": "no_user_table", "expected": ("iret to user mode without a user page table",)},
]


@test("kernel: dies_{name}", each=DEATHS)
def dies(name, expected):
    """A guest that cannot go on ends with its reason, and the machine in order."""
    r = direct(bundle(f"dies_{name}"), "noreboot", timeout=60, until="Halted (noreboot)", machine={"mem": "256M"})
    for text in expected + ("d0: domain crashed", "dom0 has ended: crash", "Halted (noreboot)"):
        need(text in r.output, f"'{text}' was not printed", r)
    need("survived" not in r.output, "the guest went on", r)
    clean(r)
