# SPDX-License-Identifier: MIT
"""What operations cost, in instructions, may not grow unnoticed. tools/bench compares with Xen."""
import re

from caisson import images, machine
from harness import COVERAGE, ELF, OUT, clean, command, need, run_machine, test, test_kernel

# About a tenth above what tools/bench measured: lower them when something becomes cheaper.
LIMITS = {
    "null hypercall": 118, "multicall, each of 16": 80, "update_va_mapping": 456, "mmu_update, single": 458, "mmu_update, each of 64": 303,
    "pin and unpin a full L1": 44151, "address-space switch": 518, "set timer": 227, "grant map, single": 632,
    "grant unmap, single": 745, "grant map, each of 16": 361, "grant unmap, each of 16": 382, "grant copy of 4 KiB": 1265,
    "a frame given to a guest": 40, "a guest's frame mapped and unmapped": 1150, "a guest's end, each frame": 176,
    "cpuid": 358, "rdmsr": 455, "in from a port": 482,
    "int3 and back": 162, "kernel page fault and back": 180, "user page fault and back": 201, "user mode's syscall and back": 198,
    "the same with Linux's selectors": 202, "event to oneself and upcall": 610, "event to another domain and back": 5860,
}


# A page given back and one got (4096 at a time), with four CPUs online: instructions, and flushes of other CPUs in the whole run.
BALLOON = {"give": 490, "get": 835, "interrupts": 60}


def balloon(vcpus, extra):
    bundle = images.bundle(f"{OUT}/balloon.cpio", test_kernel("mmu_balloon"))
    words = f"noreboot loglvl=warning dom0_mem=128M dom0_max_vcpus={vcpus}"
    r = run_machine(machine.command(("direct", ELF, bundle, words), cpu="qemu64", smp=4, mem="256M", extra=extra), 120)
    clean(r)
    need("test kernel: PASS" in r.output, "the balloon did not end in order", r)
    return [int(n, 16) for n in re.search(r"balloon: 0x(\w+) others, 0x(\w+) .*, 0x(\w+) to get", r.output).groups()]


@test("bench: a balloon's pages, four CPUs online")
def balloon_pages():
    """Pages come and go without an interrupt for each."""
    _, give, get = balloon(1, ["-icount", "shift=0"])
    need(COVERAGE or (give <= BALLOON["give"] and get <= BALLOON["get"]), f"{give} and {get} instructions")
    # The other three run their guest: without a stamp each page that is freed would interrupt them. ICR writes with VECTOR_FLUSH.
    trace = f"{OUT}/balloon.trace"
    others, _, _ = balloon(4, ["-d", "trace:apic_mem_writel", "-D", trace])
    sent = len(re.findall(r"0x300 = 0x\w*f3$", open(trace).read(), re.M))
    need(others == 3 and 0 < sent <= BALLOON["interrupts"], f"{sent} interrupts for 3 x 4096 pages and {others} other vCPUs")


@test("bench: no operation costs more than it did")
def operations():
    """Each is counted in instructions, which this machine's load does not change."""
    bundle = images.bundle(f"{OUT}/bench.cpio", test_kernel("bench_micro"))
    args = machine.command(("direct", ELF, bundle, "noreboot loglvl=warning"), cpu="qemu64", mem="256M", extra=["-icount", "shift=0"])
    r = run_machine(args, 120)
    clean(r)
    costs = {n: int(v, 16) for n, v in re.findall(r"bench: (.*) 0x(\w+)", r.output)}
    need("test kernel: PASS" in r.output and costs.keys() == LIMITS.keys(), "the benchmark did not end in order", r)
    dear = {n: f"{costs[n]} instructions, {LIMITS[n]} allowed" for n in LIMITS if costs[n] > LIMITS[n]}
    need(COVERAGE or not dear, f"{dear}")


# Of Xen's figure, beside which tools/bench shows each.
RATIOS = {
    "xl create of 256 MiB: the hypervisor": 0.8, "xl destroy of it: the hypervisor": 0.25, "xl create of 64 MiB: the machine": 1.1,
    "disk, 4 KiB at random: each KiB": 0.8, "disk, 1 MiB in sequence: each KiB": 1.2, "TCP to a guest: each KiB": 1.1,
    "TCP from a guest: each KiB": 1.9, "frames beside a guest's own, 64 MiB": 1.15, "in a guest: getpid": 0.5,
    "in a guest: fork, exit, wait": 0.55, "in a guest: vfork, exec, exit, wait": 0.7, "in a guest: pipe ping-pong": 0.8,
}


@test("bench: guests that xl starts, beside Xen's", minutes=12, full=True)
def guests_beside_xen():
    said = command("tools/bench", "--guests", "--no-install")
    found = {n.strip(): float(ratio) for n, ratio in re.findall(r"^(\S.*?) +\d+ +\d+ +([0-9.]+)$", said, re.M)}
    need(RATIOS.keys() <= found.keys(), f"not measured: {RATIOS.keys() - found.keys()}\n{said[-3000:]}")
    dear = {n: f"{found[n]} of Xen's, {RATIOS[n]} allowed" for n in RATIOS if found[n] > RATIOS[n]}
    need(not dear, f"{dear}")
    guests = re.search(r"^guests of 64 MiB.*? (\d+) +(\d+) ", said, re.M)
    need(int(guests[1]) >= int(guests[2]) - 1, guests[0])
