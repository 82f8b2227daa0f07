"""What operations cost, in instructions, may not grow unnoticed. tools/bench compares with Xen."""
import re

from caisson import images, machine
from harness import BUILD, COVERAGE, ELF, OUT, clean, need, test

# About a tenth above what tools/bench measured: lower them when something becomes cheaper.
LIMITS = {
    "null hypercall": 190, "multicall, each of 16": 175, "update_va_mapping": 850, "mmu_update, single": 770, "mmu_update, each of 64": 530,
    "pin and unpin a full L1": 101000, "address-space switch": 860, "set timer": 300, "cpuid": 500, "rdmsr": 540, "in from a port": 570,
    "int3 and back": 1090, "kernel page fault and back": 1140, "user mode's syscall and back": 890, "user page fault and back": 1140, "event to oneself and upcall": 1250,
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
