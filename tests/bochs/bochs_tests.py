# SPDX-License-Identifier: MIT
"""
The hypervisor on Bochs' processors: every check that the manuals promise is made, and some of them have what QEMU's have not: shadow
stacks, #AC and #CP for real.
"""
from caisson import images
from harness import ELF, OUT, clean, need, run_bochs, symbols, test, test_kernel, trap_test_elf
from trap import matrix_tests

KERNELS = "debug_registers descriptors emulation events exceptions memory page_types user_mode writable_tables".split()
SHADOW_STACKS = "CET-SS CET-IBT"
ENDS = ["dom0 has ended"]


def boot(name, hypervisor, kernel, words, timeout, until=ENDS, **how):
    """A test kernel that GRUB starts."""
    iso = images.iso(f"{OUT}/bochs-{name}.iso", hypervisor, test_kernel(kernel), None, f"com1=115200,8n1 loglvl=all {words}", "")
    return run_bochs(iso, f"{OUT}/bochs-{name}", timeout, until, **how)


# A model of Bochs' with words for the hypervisor, and whether it then uses shadow stacks.
PROCESSORS = {"tigerlake": True, "ryzen": False, "corei7_skylake_x": False, "tigerlake spec-ctrl=rsb,bti-thunk=retpoline xpti=yes": False}


@test("bochs: kernel {name} on {processor}", each=[{"name": name, "processor": p} for p in PROCESSORS for name in KERNELS])
def kernel(name, processor):
    """A processor of another make finds the same."""
    model, _, words = processor.partition(" ")
    r = boot(f"{name}-{model}-{len(words)}", ELF, name, "noreboot " + words, 60, model=model)
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    need((SHADOW_STACKS in r.output) == PROCESSORS[processor], "shadow stacks", r)
    need(name != "exceptions" or ("#AC was raised" in r.output and "#XM was raised" in r.output), "#AC or #XM was not raised", r)
    clean(r)


@test("bochs: two CPUs with shadow stacks")
def two_cpus():
    """Each CPU has its own."""
    r = boot("smp", ELF, "events", "noreboot dom0_max_vcpus=2", 120, cpus=2)
    need(SHADOW_STACKS in r.output and "SMP: 2 of 2 CPUs online" in r.output and "test kernel: PASS" in r.output,
         "the test kernel did not pass", r)
    clean(r)


@test("bochs: timeouts at the ends of u64 with a TSC deadline timer")
def timeouts():
    """What is over, and what never comes."""
    r = boot("timeouts", ELF, "smp_timeouts", "noreboot dom0_max_vcpus=2", 120, cpus=2)
    need("TSC deadline timer" in r.output and "test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    clean(r)


@test("bochs: a call to where no function begins is refused")
def branch():
    """Indirect branches must meet an ENDBR."""
    place = symbols()
    # At the first hypercall's jump through the table.
    r = boot("branch", ELF, "memory", "noreboot", 60, until=["Halted"],
             debugger=(f"lb {place['syscall64_entry']:#x}", "c", f"lb {place['__x86_indirect_thunk_r11']:#x}", "c", "d 1", "d 2",
                       f"set r11 = {place['do_xen_version'] + 4:#x}", "c"))
    need("PANIC CAI-T15: control protection" in r.output and "do_xen_version+0x4" in r.output, "no report", r)
    need("error code 0003" in r.output and r.output.count("PANIC") == 1 and "second fault" not in r.output,
         "not just the missing ENDBRANCH", r)


@test("bochs: where shadow stacks are not used, the reason is said")
def reasons():
    """Whoever asks for something else is told."""
    for words, reason in (("cet=no", "cet= says so"), ("cet=no-shstk", "cet= says so"), ("xpti=yes", "they go together with neither")):
        r = boot("reason", ELF, "memory", f"noreboot {words}", 60)
        need(f"CET: no shadow stacks, {reason}" in r.output and SHADOW_STACKS not in r.output, f"{words}: not said", r)


@test("bochs: matrix: cells of the hypervisor with shadow stacks")
def matrix():
    """The first line of defence is a fault there as well."""
    r = boot("matrix", trap_test_elf(), "memory", f"{matrix_tests.WORDS} dom0_vcpus_pin dom0_max_vcpus=1 traptest=all", 400)
    need(SHADOW_STACKS in r.output, "no shadow stacks", r)
    matrix_tests.check_batch(r, matrix_tests.batch_cells({"early_boot", "boot", "smp_boot", "active", "panic", "shutdown"}),
                             starts_others=False, shadow_stacks=True)
    need("Vector #CP, error code 0001" in r.output, "no return was refused", r)


@test("bochs: matrix: cells of guests with shadow stacks")
def matrix_guests():
    """And none of theirs is the hypervisor's."""
    r = boot("matrix-guests", trap_test_elf(), "trap_cells", f"{matrix_tests.WORDS} traptest=guest", 120)
    need(SHADOW_STACKS in r.output, "no shadow stacks", r)
    matrix_tests.check_guest(r)
