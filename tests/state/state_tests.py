"""What a processor holds for one vCPU and must not show or lose to another."""
from caisson import images
from bochs import bochs_tests
from harness import BUILD, ELF, OUT, clean, direct, need, test


def register():
    def kernel(name, cpu, words="noreboot", said=(), unsaid=(), **how):
        @test(f"state: {name} on {cpu}")
        def _():
            r = direct(images.bundle(f"{OUT}/{name}.cpio", f"{BUILD}/kernels/{name}.elf"), words, timeout=90, machine={"cpu": cpu, "mem": "256M", **how})
            need("test kernel: PASS" in r.output and "FAIL" not in r.output and not r.timed_out, "the test kernel did not pass", r)
            for text in said:
                need(text in r.output, f"'{text}' was not printed", r)
            for text in unsaid:
                need(text not in r.output, f"'{text}' was printed", r)
            clean(r)

    two = "noreboot dom0_max_vcpus=2"
    kernel("smp_fpu", "max", two, said=["registers of AVX were tried"])
    kernel("smp_fpu", "qemu64", two, said=["no XSAVE"])

    @test("state: smp_fpu with AVX-512, on Bochs")
    def _():
        r = bochs_tests.boot("smp_fpu", ELF, "smp_fpu", two, 120, model="corei7_skylake_x")
        need("registers of AVX-512 were tried" in r.output and "test kernel: PASS" in r.output, "the test kernel did not pass", r)
        clean(r)
