"""What operations cost, in instructions, may not grow unnoticed. tools/bench compares with Xen."""
import re

from caisson import images, machine
from harness import BUILD, COVERAGE, ELF, OUT, clean, need, test

# About a tenth above what tools/bench measured: lower them when something becomes cheaper.
LIMITS = {
    "null hypercall": 123, "multicall, each of 16": 90, "update_va_mapping": 469, "mmu_update, single": 458, "mmu_update, each of 64": 303,
    "pin and unpin a full L1": 44151, "address-space switch": 518, "set timer": 227, "cpuid": 358, "rdmsr": 470, "in from a port": 505,
    "int3 and back": 162, "kernel page fault and back": 180, "user page fault and back": 201, "user mode's syscall and back": 198,
    "the same with Linux's selectors": 202, "event to oneself and upcall": 610,
}


def register():
    @test("bench: no operation costs more than it did")
    def _():
        bundle = images.bundle(f"{OUT}/bench.cpio", f"{BUILD}/kernels/bench_micro.elf")
        args = machine.command(("direct", ELF, bundle, "noreboot loglvl=warning"), cpu="qemu64", mem="256M", extra=["-icount", "shift=0"])
        r = machine.run(args, 120)
        clean(r)
        costs = {n: int(v, 16) for n, v in re.findall(r"bench: (.*) 0x(\w+)", r.output)}
        need("test kernel: PASS" in r.output and costs.keys() == LIMITS.keys(), "the benchmark did not end in order", r)
        dear = {n: f"{costs[n]} instructions, {LIMITS[n]} allowed" for n in LIMITS if costs[n] > LIMITS[n]}
        need(COVERAGE or not dear, f"{dear}")
