"""The scheduler and vCPU state: test kernels of several vCPUs on several CPUs."""
from caisson import images, machine
from harness import ELF, OUT, clean, need, run_machine, test, test_kernel


def register():
    def on(cpus, vcpus, kernel, what):
        @test(f"sched: {what}")
        def _():
            bundle = images.bundle(f"{OUT}/sched-{kernel}.cpio", test_kernel(kernel))
            r = run_machine(machine.command(("direct", ELF, bundle, f"noreboot dom0_max_vcpus={vcpus}"), smp=cpus, mem="256M"), 240)
            need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
            clean(r)

    on(3, 3, "smp_waiting", "no vCPU waits while a CPU sleeps that may run it")
