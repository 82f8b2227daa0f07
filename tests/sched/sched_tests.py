"""The scheduler and vCPU state: test kernels of several vCPUs on several CPUs."""
from caisson import images, machine
from harness import ELF, OUT, clean, need, run_machine, test, test_kernel

KERNELS = [
    {"what": "no vCPU waits while a CPU sleeps that may run it", "kernel": "smp_waiting", "cpus": 3, "vcpus": 3},
]


@test("sched: {what}", each=KERNELS)
def sched(what, kernel, cpus, vcpus):
    """The test kernel finds all in order."""
    bundle = images.bundle(f"{OUT}/sched-{kernel}.cpio", test_kernel(kernel))
    r = run_machine(machine.command(("direct", ELF, bundle, f"noreboot dom0_max_vcpus={vcpus}"), smp=cpus, mem="256M"), 240)
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)
