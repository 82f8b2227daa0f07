"""
Mitigations of speculative execution, as far as an emulator shows them: it does not speculate, so it uses none by itself. Here they are asked
for, or the facts are changed through gdb before the decision. What is chosen for which processor: tests/unit/test_speculation.c.
"""
import re

from caisson import images, machine
from harness import ELF, OUT, REACHED, SOCKETS, Seen, clean, direct, monitor, need, provoke, run_linux, run_machine, test, test_kernel
from smp.smp_tests import DEBUG_ELF

ALL = "xpti=yes spec-ctrl=rsb,verw,bti-thunk=retpoline"
IN_USE = "in use: retpolines, RSB filled, RSB filled between vCPUs, VERW on exit, guests' page tables isolated (XPTI)"
KERNELS = "descriptors emulation events exceptions memory page_types user_mode writable_tables".split()

# Pages of the hypervisor that a guest may find in its tables, beside the M2P table and its descriptors: entry code (2), IDT, the trampoline,
# its stack's top, the CPU's area, the tops of four IST stacks.
MAPPED_PAGES = 10


def register(kernel):
    @test("speculation: what an isolated guest's tables hold of the hypervisor")
    def _():
        bundle = images.bundle(f"{OUT}/isolated.cpio", test_kernel("spin"))
        for smp in (1, 2):
            for words, isolated in (("xpti=yes", True), ("xpti=no", False)):
                started = Seen("Input goes to dom0")
                args = machine.command(("direct", ELF, bundle, f"noreboot {words}"), mem="256M", smp=smp,
                                       extra=["-global", "hpet.msi=on"])
                # Stopped, as a CPU that runs may be in the hypervisor again when its tables are asked for.
                look = ["stop", *(c for n in range(smp) for c in (f"cpu {n}", "info registers", "info mem")), "cont"]
                said = []
                r = run_machine(args + monitor(f"{SOCKETS}/isolated.sock", look * 3 + ["quit"], 0.1, started, said=said), 60, echo=started)
                cpus = "".join(said).split("CPL=")[1:]
                guests = [c for c in cpus if c.startswith("3")]
                need(guests, "no CPU was seen in the guest", r)
                for c in guests:
                    pages = sum(int(size, 16) >> 12 for start, size, flags in re.findall(r"(\w{16})-\w{16} (\w{16}) (\S+)", c)
                                if 0xFFFF800000000000 <= int(start, 16) < 0xFFFF880000000000 and not flags.startswith("u")
                                and int(start, 16) >> 39 != 0xFFFF810000000000 >> 39)
                    need(pages == MAPPED_PAGES if isolated else pages > 60000, f"{words}: {pages} pages of the hypervisor are mapped")

    for name in KERNELS:
        @test(f"speculation: kernel {name} under all that can be asked for", name=name)
        def _(name):
            for cpu in ("max", "qemu64"):
                bundle = images.bundle(f"{OUT}/spec-{name}.cpio", test_kernel(name))
                r = direct(bundle, f"noreboot {ALL}", timeout=60, machine={"cpu": cpu, "mem": "256M"})
                need(IN_USE in r.output, "not in use", r)
                need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
                clean(r)

    @test("speculation: NMIs at every instruction of an isolated guest's ways in and out")
    def _():
        for name in ("sweep_nmi", "debug_registers"):
            bundle = images.bundle(f"{OUT}/spec-{name}.cpio", test_kernel(name))
            r = direct(bundle, f"noreboot {ALL}", timeout=200,
                       machine={"mem": "256M", "extra": ["-icount", "shift=0", "-global", "hpet.msi=on"]})
            need("test kernel: PASS" in r.output and "PANIC" not in r.output, "the test kernel did not pass", r)

    for name, vcpus in (("smp_memory", 5), ("smp_time", 5), ("smp_sched", 4)):
        @test(f"speculation: {name} isolated, on 2 CPUs", name=name, vcpus=vcpus)
        def _(name, vcpus):
            bundle = images.bundle(f"{OUT}/spec-{name}.cpio", test_kernel(name))
            args = machine.command(("direct", DEBUG_ELF, bundle, f"noreboot dom0_max_vcpus={vcpus} {ALL}"), smp=2, mem="256M")
            r = run_machine(args, 150)
            need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
            clean(r)

    initrd = images.initramfs(f"{OUT}/spec-initramfs.cpio")
    bundle = images.bundle(f"{OUT}/spec-linux.cpio", kernel, initrd)

    for smp, cpu in ((1, "qemu64"), (4, "max")):
        @test(f"speculation: Linux isolated, {smp} CPUs, {cpu}", smp=smp, cpu=cpu)
        def _(smp, cpu):
            r = run_linux(("direct", ELF, bundle, f"{ALL} pv-l1tf=yes -- console=hvc0 caisson.batch"), 240, smp=smp, cpu=cpu)
            need(IN_USE in r.output and "absent page-table entries checked" in r.output, "not in use", r)
            need(REACHED in r.output and not r.timed_out, "userspace or power-off was not reached", r)
            clean(r)

    @test("speculation: Linux where entries and exits write SPEC_CTRL")
    def _():
        # A processor that has IBRS and needs it; the emulator takes the writes.
        facts = ["emulated = 0", "intel = 1", "amd = 0", "family = 6", "model = 0x5e", "leaf7_edx = 0x8c000400"]
        r = provoke("spec_choose", [f"set var ((struct spec_facts *)f)->{x}" for x in facts], REACHED, bundle,
                    "loglvl=all -- console=hvc0 caisson.batch", timeout=120, mem="512M")
        for words in ("suffers from Meltdown, L1TF, MDS", "IBRS on entry", "IBPB between vCPUs", "VERW on exit",
                      "isolated (XPTI)", "SPEC_CTRL and PRED_CMD for guests"):
            need(words in r.output, f"'{words}' was not printed", r)
        need(REACHED in r.output, "userspace was not reached", r)
        need("Spectre V2 : Mitigation" in r.output, "dom0's kernel says nothing of it", r)
        clean(r)

    @test("speculation: an absent entry that names memory ends the guest")
    def _():
        bundle = images.bundle(f"{OUT}/absent.cpio", test_kernel("dies_absent_entry"))
        r = direct(bundle, "noreboot pv-l1tf=yes", timeout=60, until="Halted (noreboot)", machine={"mem": "256M"})
        for words in ("empty and inverted entries are in order", "an absent page-table entry names memory (L1TF)", "dom0 has ended: crash"):
            need(words in r.output, f"'{words}' was not printed", r)
        need("survived" not in r.output, "the guest went on", r)
        clean(r)
        r = direct(bundle, "noreboot", timeout=60, machine={"mem": "256M"})
        need("survived" in r.output, "dom0 was refused it unasked", r)

    @test("speculation: a wrong word in spec-ctrl= is named")
    def _():
        bundle = images.bundle(f"{OUT}/spec-word.cpio", test_kernel("memory"))
        r = direct(bundle, "noreboot spec-ctrl=retpolin xpti=perhaps", timeout=60, machine={"mem": "256M"})
        need("Option 'spec-ctrl': value 'retpolin'" in r.output and "Option 'xpti': value 'perhaps'" in r.output, "not named", r)
        need("test kernel: PASS" in r.output, "the boot did not go on", r)
