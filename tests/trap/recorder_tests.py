"""The flight recorder: a crash in each phase is found again by the next boot, and failing boots do not loop."""
import re

from harness import ELF, OUT, Dialogue, need, run_machine, test, test_kernel
from caisson import images, machine
from trap.matrix_tests import TEST_ELF

PREVIOUS = "Previous boot ended"


def rebooting(boot, until, steps=(), name="", timeout=60, **kw):
    d = Dialogue(f"recorder-{name}", steps)
    args = machine.command(boot, extra=d.arguments, **kw)
    args.remove("-no-reboot")
    return run_machine(args, timeout, until=until, echo=d)


def boots(r):
    return r.output.replace("\r", "").split("(CAI) Caisson 0.1, booted by")[1:]


def register():
    def direct(kernel, words, elf=ELF):
        return ("direct", elf, images.bundle(f"{OUT}/recorder-{kernel}.cpio", test_kernel(kernel)), words)

    for phase, cpu in (("early_boot", 0), ("boot", 0), ("smp_boot", 0), ("ap_64", 1), ("active", 0), ("shutdown", 0)):
        @test(f"recorder: a crash in phase {phase}", phase=phase, cpu=cpu)
        def _(phase, cpu):
            r = rebooting(direct("memory", f"traptest={phase}/hypervisor/#UD panic=0", TEST_ELF), PREVIOUS + f" in phase {phase}", name=phase, mem="256M", smp=2)
            told = boots(r)[1]
            need(f"{PREVIOUS} in phase {phase}" in told, "the next boot knows nothing of it", r)
            need("| PANIC CAI-T06: invalid opcode" in told and re.search(r"\| RIP: .* raise_UD\+", told), "the report is not in the record", r)

    @test("recorder: two failed boots, the third stops")
    def _():
        r = rebooting(direct("memory", "traptest=boot/hypervisor/#UD panic=0", TEST_ELF), "Halted (noreboot).", name="loop", mem="256M")
        need(len(boots(r)) == 3, f"{len(boots(r))} boots, not 3", r)
        need("PANIC CAI-B06: 2 boots in a row have failed. Previous boot ended in phase boot on CPU 0: CAI-T06" in boots(r)[2], "no words about it", r)

    @test("recorder: recorder=off reboots for ever and says nothing")
    def _():
        r = rebooting(direct("memory", "traptest=boot/hypervisor/#UD panic=0 recorder=off", TEST_ELF), "never", timeout=4, name="off", mem="256M")
        need(len(boots(r)) > 3 and PREVIOUS not in r.output, "it stopped, or told something", r)

    @test("recorder: an orderly reboot is nothing to tell")
    def _():
        count = [0]

        def again(_output):
            count[0] += 1
            return ["quit"] if count[0] == 2 else []
        r = rebooting(direct("memory", ""), None, [("test kernel: PASS", again)] * 2, "orderly", mem="256M")
        need(len(boots(r)) == 2 and PREVIOUS not in r.output, "the second boot complains", r)

    @test("recorder: a reset from outside")
    def _():
        r = rebooting(direct("trap_mce_deaf", ""), "a fault of the hardware", [("computing", ["system_reset"])], "outside", mem="256M")
        need(f"{PREVIOUS} in phase active without a report" in boots(r)[1], "not told", r)

    @test("recorder: a crash of dom0")
    def _():
        r = rebooting(direct("dies_unhandled_fault", ""), PREVIOUS + " with a crash of dom0: unhandled", name="dom0", mem="256M")
        need(len(boots(r)) == 2, "not told by the next boot", r)

    for name, steps, typed in (("the keyboard", [("Reboot in 60 seconds", [0.3, "sendkey a"])], ()),
                               ("the serial line", [], [("Reboot in 60 seconds", "x")])):
        @test(f"recorder: a key on {name} ends the wait after a panic", name=name, steps=steps, typed=typed)
        def _(name, steps, typed):
            d = Dialogue("key-" + name[4:7], steps)
            args = machine.command(direct("memory", "traptest=boot/hypervisor/#UD panic=60", TEST_ELF), mem="256M", extra=d.arguments)
            r = run_machine(args, 30, echo=d, typed=typed)
            need("PANIC CAI-T06" in r.output and not r.timed_out, "the machine waited on", r)

    for how in ("direct", "bios", "uefi"):
        @test(f"recorder: told to dom0 through hypfs ({how})", how=how)
        def _(how):
            if how == "direct":
                boot = direct("trap_hypfs", "nmi=fatal panic=0")
            else:
                boot = (how, images.iso(f"{OUT}/recorder-{how}.iso", ELF, test_kernel("trap_hypfs"), None, "nmi=fatal panic=0", ""))
            r = rebooting(boot, "test kernel: ", [("waiting for a crash", [0.2, "nmi"])], f"hypfs-{how}", 90, mem="256M")
            second = boots(r)[1]
            need("/: previous-boot type 0x0" in second and "/previous-boot: log type 0x2" in second, "the tree is not as it should be", r)
            need("/previous-boot/summary = Previous boot ended in phase active on CPU 0: CAI-N01 NMI (nmi=fatal)" in second, "dom0 is not told", r)
            need("/buildinfo/version = 0.1" in second, "no version", r)
