# SPDX-License-Identifier: MIT
"""The flight recorder: a crash in each phase is found again by the next boot, and failing boots do not loop."""
import re

from harness import ELF, OUT, Dialogue, bundle, need, run_machine, test, test_kernel, trap_test_elf
from caisson import images, machine

PREVIOUS = "Previous boot ended"


def rebooting(boot, until, steps=(), name="", timeout=60, **kw):
    d = Dialogue(f"recorder-{name}", steps)
    args = machine.command(boot, extra=d.arguments, **kw)
    args.remove("-no-reboot")
    return run_machine(args, timeout, until=until, echo=d)


def boots(r):
    return r.output.replace("\r", "").split("(CAI) Caisson 0.1, booted by")[1:]


def direct(kernel, words, elf=ELF):
    """The test kernel, for machine.command()."""
    return ("direct", elf, bundle(kernel), words)


@test("recorder: a crash in phase {phase}", each=[{"phase": p} for p in ("early_boot", "boot", "smp_boot", "ap_64", "active", "shutdown")])
def crash(phase):
    """The next boot tells the whole report."""
    r = rebooting(direct("memory", f"traptest={phase}/hypervisor/#UD panic=0", trap_test_elf()), PREVIOUS + f" in phase {phase}",
                  name=phase, mem="256M", smp=2)
    told = boots(r)[1]
    need(f"{PREVIOUS} in phase {phase}" in told, "the next boot knows nothing of it", r)
    need("| PANIC CAI-T06: invalid opcode" in told and re.search(r"\| RIP: .* raise_UD\+", told), "the report is not in the record", r)


@test("recorder: two failed boots, the third stops")
def failed_boots():
    """Each has the same fault."""
    r = rebooting(direct("memory", "traptest=boot/hypervisor/#UD panic=0", trap_test_elf()), "Halted (noreboot).", name="loop", mem="256M")
    need(len(boots(r)) == 3, f"{len(boots(r))} boots, not 3", r)
    need("PANIC CAI-B06: 2 boots in a row have failed. Previous boot ended in phase boot on CPU 0: CAI-T06" in boots(r)[2],
         "no words about it", r)


@test("recorder: recorder=off reboots for ever and says nothing")
def off():
    """Nothing is kept."""
    boot = direct("memory", "traptest=boot/hypervisor/#UD panic=0 recorder=off", trap_test_elf())
    r = rebooting(boot, None, [("PANIC CAI-T06", [])] * 3 + [("PANIC CAI-T06", ["quit"])], "off", mem="256M")
    need(len(boots(r)) == 4 and PREVIOUS not in r.output, "it stopped, or told something", r)


@test("recorder: an orderly reboot is nothing to tell")
def orderly():
    """The record says that all was well."""
    count = [0]

    def again(_output):
        count[0] += 1
        return ["quit"] if count[0] == 2 else []
    r = rebooting(direct("memory", ""), None, [("test kernel: PASS", again)] * 2, "orderly", mem="256M")
    need(len(boots(r)) == 2 and PREVIOUS not in r.output, "the second boot complains", r)


@test("recorder: a reset from outside")
def reset():
    """Nobody wrote a report."""
    r = rebooting(direct("trap_mce_deaf", ""), "a fault of the hardware", [("computing", ["system_reset"])], "outside", mem="256M")
    need(f"{PREVIOUS} in phase active without a report" in boots(r)[1], "not told", r)


@test("recorder: a crash of dom0")
def dom0_crash():
    """It is told with its reason."""
    r = rebooting(direct("dies_unhandled_fault", ""), PREVIOUS + " with a crash of dom0: unhandled", name="dom0", mem="256M")
    need(len(boots(r)) == 2, "not told by the next boot", r)


@test("recorder: a key on {name} ends the wait after a panic", each=[
    {"name": "the keyboard", "steps": [("Reboot in 60 seconds", [0.3, "sendkey a"])], "typed": ()},
    {"name": "the serial line", "steps": [], "typed": [("Reboot in 60 seconds", "x")]}])
def key(name, steps, typed):
    """Nobody has to wait for a minute."""
    d = Dialogue("key-" + name[4:7], steps)
    args = machine.command(direct("memory", "traptest=boot/hypervisor/#UD panic=60", trap_test_elf()), mem="256M", extra=d.arguments)
    r = run_machine(args, 30, echo=d, typed=typed)
    need("PANIC CAI-T06" in r.output and not r.timed_out, "the machine waited on", r)


@test("recorder: told to dom0 through hypfs ({how})", each=[{"how": how} for how in ("direct", "bios", "uefi")])
def hypfs(how):
    """Its programs read the summary and the log."""
    if how == "direct":
        boot = direct("trap_hypfs", "nmi=fatal panic=0")
    else:
        boot = (how, images.iso(f"{OUT}/recorder-{how}.iso", ELF, test_kernel("trap_hypfs"), None, "nmi=fatal panic=0", ""))
    r = rebooting(boot, "test kernel: ", [("waiting for a crash", [0.2, "nmi"])], f"hypfs-{how}", 90, mem="256M")
    second = boots(r)[1]
    need("/: previous-boot type 0x0" in second and "/previous-boot: log type 0x2" in second, "the tree is not as it should be", r)
    need("/previous-boot/summary = Previous boot ended in phase active on CPU 0: CAI-N01 NMI (nmi=fatal)" in second, "dom0 is not told", r)
    need("/buildinfo/version = 0.1" in second, "no version", r)
