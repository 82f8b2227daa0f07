# SPDX-License-Identifier: MIT
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


@test("guest ABI: what is not offered is said once, with its reason")
def not_offered():
    """Each row of the table once however often it is asked for; CPU features at boot."""
    r = direct(images.bundle(f"{OUT}/debug_unsupported.cpio", test_kernel("debug_unsupported")), "noreboot loglvl=all guest_loglvl=all",
               timeout=60,
               machine={"mem": "256M", "cpu": "max"})
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    for line in ("hypercall 34 (hvm_op) is not offered: ", "hypercall 27 (xsm_op) is not offered: ",
                 "hypercall 37 (kexec_op) is not offered: ",
                 "hypercall 12, operation 23 (add_to_physmap_batch) is not offered: ",
                 "hypercall 20, operation 4 (transfer) is not offered: ", "hypercall 45, operation 7 is not known",
                 "hypercall 33, operation 28 (pirq_eoi_gmfn_v2) is not offered: ",
                 "hypercall 29, operation 99 is not known", "CPU: guests do not see PKU: ", "CPU: guests do not see SVM: "):
        need(r.output.count(line) == 1, f"'{line}' was said {r.output.count(line)} times", r)
    clean(r)
