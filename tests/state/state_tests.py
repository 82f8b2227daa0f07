# SPDX-License-Identifier: MIT
"""What a processor holds for one vCPU and must not show or lose to another."""
import subprocess

from caisson import machine, packages
from bochs import bochs_tests
from build import guest_input
from harness import BUILD, ELF, REACHED, TOP, bundle, clean, command, direct, linux_bundle, need, run_machine, test


@test("build: guests' pointers and indices are masked")
def guest_input_masked():
    """The check of the sources finds none that is not, and finds those that are put before it."""
    command("python3", "tests/build/guest_input.py")
    for text in ("    return copy_from_guest(&x, guest_ptr(a1), 8);\n", "    p = (guest_ptr_t){ arg };\n", "    return *(u64 *)arg.va;\n",
                 "    x = ((struct e *)(op->list.va))->x;\n",
                 "    guest_copy_raw_to(p, &x, 8);\n", 'asm("1: mov (%0), %1" EXTABLE("1b", "2b"));\n'):
        need(list(guest_input.accesses("common/new.c", text)), f"not found: {text}")
    for text in ("    return handlers[nr](arg);\n", "    d->table[op->index] = 1;\n", "    x = *(t->bits[port / 64]);\n"):
        need(list(guest_input.indices("common/new.c", text)), f"not found: {text}")


@test("build: guests' pointers cannot be followed")
def guest_pointers_are_a_type():
    """The compiler takes a guest_ptr_t where guests' memory is copied, and nowhere else; nor anything else there."""
    uses = {"copy_from_guest(&x, guest_ptr_add(op->extent_start, 8), sizeof(x))": True,
            "*op->extent_start": False, "op->extent_start[1]": False, "op->extent_start + 1": False,
            "copy_from_guest(&x, &x, sizeof(x))": False, "copy_to_guest(op->nr_extents, &x, 4)": False,
            "memcpy(&x, op->extent_start, 8) != 0": False}
    for use, compiles in uses.items():
        text = f"#include <hv/guest_access.h>\n#include <public/memory.h>\nlong f(struct xen_memory_reservation *op);\n" \
               f"long f(struct xen_memory_reservation *op) {{ u64 x = 0; return (long)({use}) + (long)x; }}\n"
        r = subprocess.run(["gcc", "-fsyntax-only", "-std=gnu11", "-O2", "-ffreestanding", "-mgeneral-regs-only", "-Iinclude",
                            "-xc", "-"], cwd=TOP, input=text, text=True, capture_output=True)
        need((r.returncode == 0) == compiles, f"{use} {'does not compile' if compiles else 'compiles'}\n{r.stderr}")


TWO = "noreboot dom0_max_vcpus=2"
KERNELS = [
    {"name": "smp_fpu", "cpu": "max", "words": TWO, "said": ["registers of AVX were tried"]},
    {"name": "smp_fpu", "cpu": "qemu64", "words": TWO, "said": ["no XSAVE"]},
    {"name": "device_msi", "cpu": "max", "extra": ["-device", "qemu-xhci,addr=5"]},
    {"name": "smp_outside", "cpu": "max", "words": TWO + " dom0_vcpus_pin", "smp": 2},
    {"name": "smp_ldt", "cpu": "max", "words": TWO},
    {"name": "smp_ldt", "cpu": "qemu64", "words": TWO + " xpti=yes"},
    # The emulator's own IRET in ring 3 decides on SMAP.
    {"name": "user_mode", "cpu": "max", "said": ["SMAP: left off, with it IRET fails"], "unsaid": ["SMEP SMAP"]},
]


@test("state: {name} on {cpu}", each=KERNELS)
def kernel(name, cpu, words="noreboot", said=(), unsaid=(), **hardware):
    """Each vCPU finds its own registers, and what was written is read."""
    r = direct(bundle(name), words, timeout=90, machine={"cpu": cpu, "mem": "256M", **hardware})
    need("test kernel: PASS" in r.output and "FAIL" not in r.output and not r.timed_out, "the test kernel did not pass", r)
    for text in said:
        need(text in r.output, f"'{text}' was not printed", r)
    for text in unsaid:
        need(text not in r.output, f"'{text}' was printed", r)
    clean(r)


@test("state: smp_fpu with AVX-512, on Bochs")
def avx512():
    """Registers that QEMU has not."""
    r = bochs_tests.boot("smp_fpu", ELF, "smp_fpu", TWO, 120, model="corei7_skylake_x")
    need("registers of AVX-512 were tried" in r.output and "test kernel: PASS" in r.output, "the test kernel did not pass", r)
    clean(r)


def newer_qemu(module, words, timeout, passed):
    """A machine of an emulator whose IRET in ring 3 works with SMAP."""
    args = machine.command(("direct", ELF, module, words), mem="512M")
    r = run_machine(packages.download_qemu(f"{BUILD}/cache") + args[1:], timeout)
    need(passed in r.output and not r.timed_out, "it did not pass", r)
    need("SMEP SMAP" in r.output, "SMAP is not used", r)
    clean(r)


@test("newer QEMU: {name}, with SMAP", each=[{"name": name} for name in ("user_mode", "exceptions", "memory", "guest_pointers")])
def kernel_with_smap(name):
    """Test kernels with user mode."""
    newer_qemu(bundle(name), "noreboot", 90, "test kernel: PASS")


@test("newer QEMU: Linux, with SMAP")
def linux_with_smap():
    """Debian's kernel."""
    newer_qemu(linux_bundle(), "loglvl=all -- console=hvc0 caisson.batch", 300, REACHED)
