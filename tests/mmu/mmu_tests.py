# SPDX-License-Identifier: MIT
"""Frames, tables and TLBs on whole machines; tests/unit has the rules one by one."""
import re

from caisson import machine
from harness import COVERAGE, SOCKETS, Seen, bundle, clean, direct, monitor, need, run_machine, symbols, test, trap_test_elf

DIRECT_MAP, DIRECT_MAP_END = 0xffff830000000000, 0xffff880000000000


def mapped_outside_ram(answers, log):
    """Bytes of the direct map, by the monitor's `info mem`, that are neither RAM nor ACPI memory nor below 1 MiB."""
    low = 1 << 20
    memory = [(0, low)] + [(max(int(a, 16), low), int(b, 16)) for a, b in re.findall(r"(\w{16}) - (\w{16}) (?:RAM|ACPI|NVS)", log)]
    mapped = [(int(a, 16) - DIRECT_MAP, int(b, 16) - DIRECT_MAP) for a, b in re.findall(r"(\w{16})-(\w{16}) \w{16} [-u]r", answers)
              if DIRECT_MAP <= int(a, 16) < DIRECT_MAP_END]
    inside = sum(max(0, min(b, end) - max(a, start)) for a, b in mapped for start, end in memory)
    return mapped, sum(b - a for a, b in mapped) - inside


@test("mmu: a vCPU that never flushes, over the wrap of the TLB clock")
def never_flushes():
    """It loses the translation of a page that has become a table."""
    for words in ("tlb-tick=0x100000", "tlb-tick=0x100000 tlb-clock=0xfff00000"):
        args = machine.command(("direct", trap_test_elf(), bundle("mmu_tlb_clock"), f"noreboot dom0_max_vcpus=2 {words}"), smp=2,
                               mem="256M")
        r = run_machine(args, 120, until="Halted (noreboot)")
        need("pinned" in r.output, "the test kernel came to nothing", r)
        need(re.search(r"d0:v1: unhandled page fault", r.output) and "reached the table" not in r.output, "a stale translation was used", r)
        clean(r)


# Among them the one that maps and unmaps from all CPUs at once.
@test("mmu: {name} while the TLB clock wraps", each=[
    {"name": "page_types", "vcpus": 1, "cpus": 1, "clocks": (0xfffffff0, 0x7fffffff, 0x3ffffffe)},
    {"name": "smp_memory", "vcpus": 5, "cpus": 4, "clocks": (0xfffffff0,)}])
def clock_wraps(name, vcpus, cpus, clocks):
    """No flush is forgotten."""
    for clock in clocks:
        words = f"noreboot dom0_max_vcpus={vcpus} tlb-clock={clock:#x}"
        r = run_machine(machine.command(("direct", trap_test_elf(), bundle(name), words), smp=cpus, mem="256M"), 120)
        need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
        clean(r)


@test("mmu: frames of the boot code become page tables; addresses come back")
def released_frames():
    """They are like all others."""
    r = direct(bundle("mmu_released_frames"), "noreboot", timeout=120,
               machine={"mem": "128M", "extra": ["-device", "virtio-rng-pci,addr=5"]})
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)


@test("mmu: what boot has found out is read-only when guests run")
def fixed_by_boot():
    """Objects with __ro_after_init, in the image and in the direct map."""
    started, said = Seen("Input goes to dom0"), []
    r = direct(bundle("spin"), "noreboot loglvl=all", timeout=60, echo=started,
               machine={"mem": "256M", "extra": monitor(f"{SOCKETS}/fixed.sock", ["info mem", "quit"], 1, started, said=said)})
    at = symbols()
    start, end = at["__ro_after_init_start"], at["__ro_after_init_end"]
    image = re.search(r"booted by .* at (\w+)", r.output)
    need(image and start <= at["boot_info"] < end and start <= at["spec"] < end, "nothing is read-only after boot", r)
    alias = start - 0xffff82d040000000 + int(image[1], 16) + DIRECT_MAP
    rights = [(int(a, 16), int(b, 16), how) for a, b, how in re.findall(r"(\w{16})-(\w{16}) \w{16} (\S+)", "".join(said))]
    for first, last in ((start, end), (alias, alias + end - start)):
        there = [how for a, b, how in rights if a < last and b > first]
        need(there and all("w" not in how for how in there), f"{first:#x} to {last:#x} can be written: {there}", r)


@test("mmu: the direct map holds RAM and firmware tables, nothing else")
def direct_map():
    """What is no memory cannot be reached through it."""
    started, said = Seen("Input goes to dom0"), []
    r = direct(bundle("spin"), "noreboot loglvl=all", timeout=60, echo=started,
               machine={"mem": "256M", "extra": monitor(f"{SOCKETS}/direct-map.sock", ["info mem", "quit"], 1, started, said=said)})
    mapped, outside = mapped_outside_ram("".join(said), r.output)
    need(mapped and outside >= 0, "the monitor said nothing of the direct map", r)
    need(COVERAGE or outside < 24 * 4096, f"{outside >> 10} KiB of what is no memory are mapped", r)
