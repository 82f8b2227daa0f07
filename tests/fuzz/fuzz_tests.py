# SPDX-License-Identifier: MIT
"""
A hostile dom0 on several vCPUs (ops.c): it may die, the hypervisor lives, and its counts of page uses are right afterwards. And hostile
guests (guests.c) beside an innocent one, which takes no harm.
"""
import os
import re

from caisson import images, machine
from harness import BUILD, OUT, clean, command, debug_elf, linux, need, run_machine, test, test_kernel
from speculation import speculation_tests

SEEDS, OPERATIONS = 16, 0x10000  # a million in all


def run(seed, operations, smp=2, cpu="max", timeout=240, more=""):
    """(operations done, result); more: words for the hypervisor."""
    bundle = images.bundle(f"{OUT}/fuzz.cpio", test_kernel("fuzz_ops"))
    words = f"loglvl=warning guest_loglvl=none dom0_max_vcpus=6 {more} -- seed={seed:x} ops={operations:x}"
    typed = [("fuzz: done", "\x01\x01\x01"), ("Input goes to Caisson", "m")]
    r = run_machine(machine.command(("direct", debug_elf(), bundle, words), cpu=cpu, smp=smp, mem="256M"), timeout, until=" bad\r\n",
                    typed=typed)
    done = re.search(r"fuzz: done", r.output)
    counts = [int(n, 16) for n in re.findall(r"fuzz: 0x(\w+) operations", r.output)]
    return operations if done else max(counts + [0]), r


def check(r):
    """What must hold however the guest ended."""
    clean(r)
    need(not r.timed_out, "the machine stands still", r)
    died = "domain crashed" in r.output or "fuzz: lost" in r.output
    need(died or "audit ok" in r.output, "the audit failed, or was not reached", r)
    return died


GUEST_SEEDS, GUEST_OPERATIONS = 8, 0x20000  # a million in all
GUEST_MACHINES = [("max", 1, "xpti=no"), ("qemu64", 1, "xpti=yes"), ("max", 1, speculation_tests.ALL), ("max", 4, "xpti=yes")]


def run_guests(seed, operations, timeout=240):
    """What guests do follows from the seed. With one CPU, whose time is counted in instructions, so does when they are ended."""
    cpu, cpus, words = GUEST_MACHINES[seed % len(GUEST_MACHINES)]
    bundle = images.bundle(f"{OUT}/fuzz_guests.cpio", test_kernel("fuzz_guests"))
    words = f"noreboot dom0_mem=64M dom0_max_vcpus=1 loglvl=warning guest_loglvl=none {words} -- seed={seed:x} ops={operations:x}"
    r = run_machine(machine.command(("direct", debug_elf(), bundle, words), cpu=cpu, smp=cpus, mem="256M",
                                    extra=["-icount", "shift=0,sleep=off"] if cpus == 1 else []), timeout)
    done = re.search(r"fuzz: done 0x(\w+) operations", r.output)
    return int(done[1], 16) if done else 0, r


def check_guests(r):
    """dom0 has found the innocent guest whole and going on, no more memory in use than at first, and no domain left."""
    clean(r)
    found = re.search(r"fuzz: FAIL.*", r.output)
    need(not found, found and found[0].strip(), r)
    need(not r.timed_out and "test kernel: PASS" in r.output, "the machine stands still, or its dom0 has failed", r)
    said = r.output[r.output.index("fuzz: done"):]
    need(re.findall(r"Domain (\d+): \d+ pages", said) == ["0"], "a domain is left", r)
    need("audit ok" in said and "FAILED" not in said, "the audit failed", r)
    need("handle" not in said, "a grant is mapped", r)
    need(not re.search(r"port \d+: interdomain", said), "a port is linked", r)


PARSER_SECONDS = 15


def parsers(seconds, seed):
    """libFuzzer on the parsers of boot; what it finds is kept from one time to the next."""
    command("make", "-s", "-C", "tests/unit", "parsers")
    corpus = f"{BUILD}/fuzz/corpus"
    os.makedirs(corpus, exist_ok=True)
    # Something of each kind to begin with.
    for n, (kind, name, limit) in enumerate(((2, test_kernel("memory"), 8192), (3, linux(), 4096))):
        with open(f"{corpus}/start-{n}", "wb") as f:
            f.write(bytes([kind]) + open(name, "rb").read(limit))
    return command(f"{BUILD}/fuzz/parsers", f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=8192", "-rss_limit_mb=2048",
                   f"-artifact_prefix={BUILD}/fuzz/", "-print_final_stats=1", corpus)


@test("fuzz: libFuzzer on the parsers of boot")
def boot_parsers():
    """No input makes them read or write where they must not."""
    said = parsers(PARSER_SECONDS, 1)
    runs = int(re.search(r"number_of_executed_units: (\d+)", said)[1])
    need(runs > 10000, f"only {runs} inputs were tried")


@test(f"fuzz: seed {{seed:x}}, {OPERATIONS} operations", each=[{"seed": seed} for seed in range(1, SEEDS + 1)])
def operations(seed):
    """Whatever becomes of the guest, check() holds."""
    done, r = run(seed, OPERATIONS, cpu="qemu64" if seed % 4 == 0 else "max",
                  more=speculation_tests.ALL if seed % 4 == 1 else "")
    died = check(r)
    need(done > OPERATIONS // 20, f"only {done} operations were done", r)
    if died:
        print(f"fuzz: seed {seed:x} ended itself after {done} operations")


@test(f"fuzz: hostile guests beside an innocent one, seed {{seed:x}}, {GUEST_OPERATIONS} operations", each=[
    {"seed": seed} for seed in range(1, GUEST_SEEDS + 1)])
def hostile_guests(seed):
    """Whatever they do, check_guests() holds. `tools/fuzz --guests` runs more, and one seed again."""
    done, r = run_guests(seed, GUEST_OPERATIONS)
    check_guests(r)
    need(done >= GUEST_OPERATIONS, f"only {done} operations were done", r)
