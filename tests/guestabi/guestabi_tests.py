"""Ways into a guest's kernel that need more than one vCPU."""
from caisson import images
from harness import OUT, clean, direct, need, test, test_kernel


@test("guest ABI: selectors that cannot be loaded again reach the failsafe callback")
def failsafe():
    """All that was loaded is in the callback's frame."""
    r = direct(images.bundle(f"{OUT}/smp_failsafe.cpio", test_kernel("smp_failsafe")), "noreboot dom0_max_vcpus=2",
               timeout=60, machine={"mem": "256M"})
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)
