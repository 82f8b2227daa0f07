# SPDX-License-Identifier: MIT
"""The scheduler and vCPU state: test kernels of several vCPUs on several CPUs."""
from caisson import images, machine
from harness import ELF, OUT, clean, need, run_machine, test, test_kernel


def end_of(kernel, cpus, until="Rebooting the machine.", vcpus=0):
    """A test kernel to the machine's end, with as many vCPUs as CPUs or so many."""
    bundle = images.bundle(f"{OUT}/sched-{kernel}.cpio", test_kernel(kernel))
    r = run_machine(machine.command(("direct", ELF, bundle, f"noreboot dom0_max_vcpus={vcpus or cpus}"), smp=cpus, mem="256M"), 240,
                    until=until)
    need(not r.timed_out, "the machine did not end", r)
    clean(r)
    return r


@test("sched: no vCPU waits while a CPU sleeps that may run it")
def waiting():
    """Neither behind one that may run there only, nor where its affinity has been widened."""
    r = end_of("smp_waiting", 3)
    need("test kernel: PASS" in r.output, "the test kernel did not pass", r)


@test("sched: no wake-up is lost", minutes=1)
def wakeups():
    """Sleeping in each way, on more vCPUs than CPUs, while vCPUs move; an event ends a poll for another one."""
    r = end_of("smp_wakeups", 4, vcpus=6)
    need("test kernel: PASS" in r.output, "the test kernel did not pass", r)


@test("sched: watchdogs, pinning, CPU numbers, the time area, latched shutdown codes")
def operations():
    """What drivers of dom0 ask for now and then."""
    r = end_of("smp_sched_ops", 2, "The machine can be switched off now.")
    need("test kernel: PASS" in r.output, "the test kernel did not pass", r)
    need("dom0 has ended: poweroff" in r.output, "it did not end as it had said first", r)


@test("sched: a watchdog that is not set anew ends the domain")
def watchdog():
    """In time, and not before."""
    r = end_of("dies_watchdog", 1, "Halted (noreboot).")
    need("set anew\r\n(CAI) d0: its watchdog was not set anew in time" in r.output, "it did not fire, or too early", r)
    need("dom0 has ended: watchdog" in r.output and "check failed" not in r.output, "the reason is lost", r)
