# SPDX-License-Identifier: MIT
"""Several CPUs, with the debug build, which checks the order of locks: test kernels whose vCPUs race, and Linux while CPUs come and go."""
import re

from caisson import images
from harness import BUILD, ELF, OUT, REACHED, bundle, clean, command, debug_elf, direct, linux, machine, need, run_linux, run_machine, test

# Less than the self test's: more CPUs than this machine has wait for each other long.
LOAD = """#!/bin/sh
n=0
while [ $n -lt 24 ]; do
    (j=0; while [ $j -lt 10 ]; do echo "$j" | sed s/0/1/ > /dev/null; j=$((j + 1)); done) &
    n=$((n + 1))
done
wait
dmesg | grep -E 'BUG|WARNING|Oops|soft lockup| stall|backwards' && exit 1
exit 0
"""

HOTPLUG = """#!/bin/sh
set -e
cpu=/sys/devices/system/xen_cpu/xen_cpu1/online
[ "$(cat $cpu)" = 1 ]
n=0
while [ $n -lt 4 ]; do
    (while :; do :; done) &
    n=$((n + 1))
done
i=0
while [ $i -lt 10 ]; do
    echo 0 > $cpu
    [ "$(cat $cpu)" = 0 ]
    sleep 0.2
    echo 1 > $cpu
    [ "$(cat $cpu)" = 1 ]
    sleep 0.1
    i=$((i + 1))
done
echo "hotplug: 10 rounds"
# dom0's own view: a vCPU goes down and comes up again.
echo 0 > /sys/devices/system/cpu/cpu2/online
echo 1 > /sys/devices/system/cpu/cpu2/online
[ "$(grep -c ^processor /proc/cpuinfo)" = 4 ]
kill $(jobs -p)
dmesg | grep -E 'BUG|WARNING|Oops|soft lockup| stall|backwards' && exit 1
exit 0
"""


KERNELS = [
    {"name": "smp_time", "smp": 2, "vcpus": 5, "cpu": "max"},
    {"name": "smp_time", "smp": 4, "vcpus": 5, "cpu": "qemu64"},
    {"name": "smp_memory", "smp": 2, "vcpus": 5, "cpu": "max"},
    {"name": "smp_memory", "smp": 4, "vcpus": 5, "cpu": "qemu64"},
    {"name": "smp_sched", "smp": 2, "vcpus": 4, "cpu": "max"},
    {"name": "smp_pause", "smp": 2, "vcpus": 4, "cpu": "max"},
    {"name": "smp_inject", "smp": 2, "vcpus": 2, "cpu": "max"},
    {"name": "smp_timeouts", "smp": 2, "vcpus": 2, "cpu": "max"},
]


@test("smp: {name}, {vcpus} vCPUs on {smp} CPUs, {cpu}", each=KERNELS)
def racing(name, smp, vcpus, cpu):
    """vCPUs of a test kernel that get into each other's way on purpose."""
    args = machine.command(("direct", debug_elf(), bundle(name), f"noreboot dom0_max_vcpus={vcpus}"), cpu=cpu, smp=smp, mem="256M")
    r = run_machine(args, 120)
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    need(f"SMP: {smp} of {smp} CPUs online" in r.output, "not all CPUs are there", r)
    clean(r)


MACHINES = [
    {"name": "2 vCPUs on 4 CPUs", "smp": 4, "vcpus": 2},
    {"name": "8 vCPUs on 2 CPUs under load", "smp": 2, "vcpus": 8, "script": LOAD},
    {"name": "4 vCPUs on 4 CPUs, each on its own", "smp": 4, "vcpus": 4, "words": "dom0_vcpus_pin", "script": LOAD},
    {"name": "CPUs go offline and come back under load", "smp": 2, "vcpus": 4, "script": HOTPLUG, "until": "CPU 1 is offline"},
]


@test("smp: Linux, {name}", each=MACHINES)
def linux_smp(name, smp, vcpus, words="", script=None, until=None):
    """More and fewer vCPUs than CPUs: all come up, work, and the machine is switched off."""
    initrd = images.initramfs(f"{OUT}/smp-{smp}-{vcpus}-initramfs.cpio", script)
    module = images.bundle(f"{OUT}/smp-{smp}-{vcpus}.cpio", linux(), initrd)
    r = run_linux(("direct", debug_elf(), module, f"dom0_max_vcpus={vcpus} {words} -- console=hvc0 caisson.batch"), 240, smp=smp)
    need(REACHED in r.output and not r.timed_out, f"{name}: userspace or power-off was not reached", r)
    need(vcpus == 1 or re.search(rf"Brought up 1 node, {vcpus} CPUs", r.output), "not all vCPUs came up", r)
    need(not script or "caisson: selftest passed" in r.output, "the script did not pass", r)
    if until:
        need(until in r.output, f"'{until}' was not printed", r)
    clean(r)


@test("smp: sets of CPUs, of more CPUs than a word has bits")
def cpusets():
    """The same test kernel on the hypervisor as it is, and on one for 256 CPUs, with few and with 66."""
    command("make", "-s", "-j2", "O=build/cpus", "EXTRA_CFLAGS=-DMAX_CPUS=256")
    for elf, cpus in ((ELF, 2), (f"{BUILD}/cpus/caisson.elf", 2), (f"{BUILD}/cpus/caisson.elf", 66)):
        r = run_machine(machine.command(("direct", elf, bundle("smp_cpusets"), "noreboot"), smp=cpus, mem="256M"), 240)
        for text in (f"SMP: {cpus} of {cpus} CPUs online", f"{cpus} CPUs", "test kernel: PASS"):
            need(text in r.output and not r.timed_out, f"'{text}' was not printed", r)
        clean(r)


@test("smp: nosmp and maxcpus")
def fewer():
    """CPUs that are not wanted are not started."""
    for words, said in (("nosmp", None), ("maxcpus=2", "SMP: 2 of 4 CPUs online"), ("maxcpus=1", None)):
        r = direct(bundle("memory"), f"noreboot {words}", timeout=60, machine={"smp": 4, "mem": "256M"})
        need("test kernel: PASS" in r.output, f"{words}: the kernel did not pass", r)
        # CPUs that never started have no IDT: whatever reaches them resets the machine before this is out.
        need("Rebooting the machine." in r.output, f"{words}: the machine did not end in order", r)
        need((said in r.output) if said else ("SMP:" not in r.output), f"{words}: another number of CPUs runs", r)
