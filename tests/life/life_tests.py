# SPDX-License-Identifier: MIT
"""Domains that come and go beside dom0, by hypercalls of a test kernel."""
from caisson import machine
from harness import bundle, clean, need, run_machine, test, trap_test_elf


def toolstack(name, cpu, cpus, words):
    """The test kernel is dom0 of a small machine, and finds all in order."""
    args = machine.command(("direct", trap_test_elf(), bundle(name), f"noreboot dom0_mem=64M dom0_max_vcpus=1 {words}"), cpu=cpu, smp=cpus,
                           mem="256M")
    r = run_machine(args, 120)
    need("test kernel: PASS" in r.output and "FAIL" not in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)


MACHINES = [{"cpu": "max", "cpus": 1, "words": "xpti=no"}, {"cpu": "qemu64", "cpus": 2, "words": "xpti=yes"}]


@test("life: domains are created, fail to be, and end, on {cpu} with {cpus} CPUs {words}", each=MACHINES)
def domains(cpu, cpus, words):
    toolstack("trap_domains", cpu, cpus, words)


@test("life: frames of others are mapped and pinned, on {cpu} with {cpus} CPUs {words}", each=MACHINES)
def foreign(cpu, cpus, words):
    toolstack("trap_foreign", cpu, cpus, words)
