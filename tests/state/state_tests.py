"""What a processor holds for one vCPU and must not show or lose to another."""
from caisson import images, machine, packages
from bochs import bochs_tests
from build import guest_input
from harness import BUILD, ELF, OUT, REACHED, clean, command, direct, need, run_machine, test, test_kernel


def register(linux):
    @test("build: guests' pointers and indices are masked")
    def _():
        command("python3", "tests/build/guest_input.py")
        for text in ("    struct mmu_update *list = (void *)a1;\n    val = list[i].val;\n", "    const u64 *p = (u64 *)arg;\n    return *p;\n",
                     "    guest_copy_raw_to(p, &x, 8);\n", 'asm("1: mov (%0), %1" EXTABLE("1b", "2b"));\n'):
            need(list(guest_input.accesses("common/new.c", text)), f"not found: {text}")
        for text in ("    return handlers[nr](arg);\n", "    d->table[op->index] = 1;\n", "    x = *(t->bits[port / 64]);\n"):
            need(list(guest_input.indices("common/new.c", text)), f"not found: {text}")

    def kernel(name, cpu, words="noreboot", said=(), unsaid=(), **how):
        @test(f"state: {name} on {cpu}")
        def _():
            r = direct(images.bundle(f"{OUT}/{name}.cpio", test_kernel(name)), words, timeout=90, machine={"cpu": cpu, "mem": "256M", **how})
            need("test kernel: PASS" in r.output and "FAIL" not in r.output and not r.timed_out, "the test kernel did not pass", r)
            for text in said:
                need(text in r.output, f"'{text}' was not printed", r)
            for text in unsaid:
                need(text not in r.output, f"'{text}' was printed", r)
            clean(r)

    two = "noreboot dom0_max_vcpus=2"
    kernel("smp_fpu", "max", two, said=["registers of AVX were tried"])
    kernel("smp_fpu", "qemu64", two, said=["no XSAVE"])
    kernel("device_msi", "max", extra=["-device", "qemu-xhci,addr=5"])
    kernel("smp_outside", "max", two + " dom0_vcpus_pin", smp=2)
    kernel("smp_ldt", "max", two)
    kernel("smp_ldt", "qemu64", two + " xpti=yes")

    @test("state: smp_fpu with AVX-512, on Bochs")
    def _():
        r = bochs_tests.boot("smp_fpu", ELF, "smp_fpu", two, 120, model="corei7_skylake_x")
        need("registers of AVX-512 were tried" in r.output and "test kernel: PASS" in r.output, "the test kernel did not pass", r)
        clean(r)

    # The emulator's own IRET in ring 3 decides on SMAP.
    kernel("user_mode", "max", said=["SMAP: left off, with it IRET fails"], unsaid=["SMEP SMAP"])

    def newer(name, files, words, timeout, passed):
        @test(f"newer QEMU: {name}, with SMAP")
        def _():
            program = packages.download_qemu(f"{BUILD}/cache")
            bundle = images.bundle(f"{OUT}/newer-{name}.cpio", *files())
            args = machine.command(("direct", ELF, bundle, words), mem="512M")
            r = run_machine(program + args[1:], timeout)
            need(passed in r.output and not r.timed_out, "it did not pass", r)
            need("SMEP SMAP" in r.output, "SMAP is not used", r)
            clean(r)

    for name in ("user_mode", "exceptions", "memory", "guest_pointers"):
        newer(name, lambda name=name: [test_kernel(name)], "noreboot", 90, "test kernel: PASS")
    newer("Linux", lambda: [linux, images.initramfs(f"{OUT}/newer-initramfs.cpio")], "loglvl=all -- console=hvc0 caisson.batch", 300, REACHED)
