# SPDX-License-Identifier: MIT
"""Memory errors, sent with QEMU's mce command into frames of every owner, and what becomes of them."""
import re

from harness import ELF, OUT, Dialogue, bundle, linux, need, run_machine, symbols, test
from caisson import images, machine

VAL, OVER, UC, EN, MISCV, ADDRV, PCC, S, AR = (1 << n for n in (63, 62, 61, 60, 59, 58, 57, 56, 55))
OPTIONAL = VAL | UC | EN | S
REQUIRED = OPTIONAL | AR
ADDRESS = ADDRV | MISCV
PHYSICAL = 0x8C
MCIP, EIPV, RIPV = 4, 2, 1
VICTIM = re.compile(r"victim frame 0x(\w+) at 0x(\w+)")


def mce(status, mcg=MCIP | RIPV, address=0, bank=3, cpu=0, flags=""):
    return f"mce {flags} {cpu} {bank} {status:#x} {mcg:#x} {address:#x} {PHYSICAL:#x}"


def victim(output):
    frame, pseudo = VICTIM.search(output).groups()
    return int(frame, 16) << 12, int(pseudo, 16)


def free_frame(output):
    """dom0 has taken what is high; low memory just above the image is left."""
    return 0x800000


SCRIPT = """#!/bin/sh
echo 'waiting for an error'
for i in $(seq 100); do
    dmesg | grep -q 'Machine check events logged' && break
    sleep 0.1
done
sleep 1
dmesg | grep 'mce:'
od -A n -t x8 /dev/mcelog
"""


@test("mce: Linux as dom0 with {vcpus} vCPUs is told, fetches the record and goes on", each=[{"vcpus": 1}, {"vcpus": 2}])
def linux_told(vcpus):
    """Through its own driver, and /dev/mcelog."""
    initrd = images.initramfs(f"{OUT}/mce-initramfs-{vcpus}.cpio", SCRIPT)
    module = images.bundle(f"{OUT}/mce-linux-{vcpus}.cpio", linux(), initrd)
    d = Dialogue(f"mce-linux-{vcpus}", [("waiting for an error", [0.5, mce(OPTIONAL | ADDRESS, address=0x10000000)])])
    args = machine.command(("direct", ELF, module, f"noreboot dom0_max_vcpus={vcpus} -- console=hvc0 caisson.batch"), cpu="Skylake-Client",
                           extra=d.arguments)
    r = run_machine(args, 120, echo=d)
    need("address 0x10000000, a guest's frame: to be retired" in r.output, "the frame is not dom0's", r)
    need("CPU 0: Machine Check Exception: 5 Bank 1: bd00000000000000" in r.output, "dom0's kernel was not told", r)
    need(re.search(r"0000000010000000 0000000000000005", r.output), "/dev/mcelog has no record", r)
    need("caisson: selftest passed" in r.output and not r.timed_out and "PANIC" not in r.output, "dom0 did not go on", r)


def case(name, steps, *expected, **more):
    """A row of CASES. steps: as Dialogue's; expected: texts, or functions of (output) to one; more: error()'s."""
    return {"name": name, "steps": steps, "expected": expected, **more}


def contained(name, command, *expected, done, steps=(), **more):
    """After it, the guest is still told of another error, and nothing of the hypervisor's has ended."""
    return case(name, [("victim frame", command), *steps, (done, again), ("#MC: ", ["quit"])], *expected, absent=("PANIC",), **more)


def again(output):
    """One more error, in the guest's frame."""
    return [mce(OPTIONAL | ADDRESS, address=victim(output)[0], bank=4)]


def own(status, mcg=MCIP | RIPV):
    """An error in the guest's frame, when the guest computes."""
    return lambda output: [0.3, mce(status | ADDRESS, mcg, victim(output)[0])]


def told(output):
    """What the guest says of that frame: its own address."""
    return f"address 0x{victim(output)[1]:x}"


def image():
    """The address of a variable of the hypervisor's."""
    return symbols()["boot_info"] - 0xFFFF82D040000000 + 0x200000


def image_frame(_output):
    """What a report says of its frame."""
    return f"frame 0x{image() >> 12:x}"


def fatal(name, command, code, text, **more):
    """An error that ends in a report."""
    return case(name, [("victim frame", command)], f"PANIC CAI-{code}{more.pop('words', ': machine check')}", text, end="Halted (noreboot)",
                **more)


CASES = [
    case("action optional, dom0's frame", [("victim frame", own(OPTIONAL)), ("record: urgent, cpu 0x0, bank 0x3", ["quit"])],
         "action optional", "a guest's frame: to be retired", "#MC: mcg 0x5 status 0xbd", told, "owner 0x0, page offline",
         absent=("PANIC",)),
    case("action required, dom0's frame", [("victim frame", own(REQUIRED, MCIP | RIPV | EIPV)),
                                           ("record: urgent, cpu 0x0, bank 0x3", ["quit"])],
         "action required", "a guest's frame: to be retired", "#MC: mcg 0x7 status 0xbd8", told, absent=("PANIC",)),
    case("the interrupted program cannot go on", [("victim frame", own(REQUIRED, MCIP | EIPV))],
         "d0: domain crashed: machine check: its program cannot go on", "dom0 has ended: crash", end="Halted (noreboot)",
         absent=("PANIC",)),
    case("the guest has no handler", [("computing", [0.3, mce(REQUIRED, MCIP | RIPV | EIPV)])],
         "d0: domain crashed: machine check, and its kernel has no handler", "dom0 has ended: crash", end="Halted (noreboot)",
         kernel="trap_mce_deaf", absent=("PANIC",)),
    case("a second one before the first is acknowledged",
         [("victim frame", lambda o: [mce(OPTIONAL | ADDRESS | 0x100, address=victim(o)[0])]), ("not acknowledged", own(OPTIONAL))],
         "d0: domain crashed: a second machine check before v0 has dealt with the first", end="Halted (noreboot)", absent=("PANIC",)),
    contained("action optional, a free frame", lambda o: [mce(OPTIONAL | ADDRESS, address=free_frame(o))],
              "a free frame: retired", "page offline", done="owner 0x7ff4, page offline"),
    contained("the same frame again", lambda o: [mce(OPTIONAL | ADDRESS, address=free_frame(o))], "a retired frame",
              steps=[("owner 0x7ff4, page offline", lambda o: [mce(OPTIONAL | ADDRESS, address=free_frame(o), bank=5)])], done="bank 0x5"),
    contained("action optional, an I/O hole", [mce(OPTIONAL | ADDRESS, address=0xD0000000)], "address 0xd0000000, no RAM",
              done="record: urgent, cpu 0x0, bank 0x3"),
    contained("action optional, no address", [mce(OPTIONAL)], "action optional, no address", done="record: urgent, cpu 0x0, bank 0x3"),
    contained("a corrected error is found by polling", [mce(VAL | EN | ADDRESS, address=0x900000)], "corrected, address 0x900000",
              done="record: not urgent, cpu 0x0, bank 0x3"),
    contained("a corrected error of the second CPU is found by polling", [mce(VAL | EN | ADDRESS, address=0x900000, cpu=1)],
              "Machine check on CPU 1, bank 3", "corrected, address 0x900000", done="record: not urgent, cpu 0x1, bank 0x3", smp=2),
    contained("deferred", lambda o: [mce(VAL | UC | EN | ADDRESS, address=free_frame(o))], "deferred", "a free frame: retired",
              done="owner 0x7ff4, page offline"),
    contained("broadcast to both CPUs", [mce(OPTIONAL, flags="-b")], "action optional, no address",
              done="record: urgent, cpu 0x0, bank 0x3", smp=2),
    contained("on an idle CPU", [mce(OPTIONAL, cpu=1)], "Machine check on CPU 1, bank 3", done="record: urgent, cpu 0x1, bank 0x3", smp=2),
    contained("on an AMD-like CPU", lambda o: [mce(OPTIONAL | ADDRESS, address=free_frame(o))], "a free frame: retired",
              done="owner 0x7ff4", cpu="max"),
    fatal("action optional, the hypervisor's frame", lambda o: [mce(OPTIONAL | ADDRESS, address=image())], "M03", image_frame),
    fatal("action required, the hypervisor's frame", lambda o: [mce(REQUIRED | ADDRESS, MCIP | RIPV | EIPV, image())], "M03", image_frame),
    fatal("the processor's context is corrupt", [mce(OPTIONAL | PCC)], "M02", "context is corrupt"),
    fatal("a record was lost", [mce(REQUIRED | OVER, MCIP | RIPV)], "M02", "bank 3"),
    fatal("on an idle CPU, fatal", [mce(OPTIONAL | PCC, cpu=1)], "M02", "CPU 1", words="", smp=2),
]


@test("mce: {name}", each=CASES)
def error(name, steps, expected, absent=(), end="", kernel="trap_mce", cpu="Skylake-Client", smp=1):
    """What the error hits decides what becomes of it, of the guest and of the machine."""
    d = Dialogue("mce-" + re.sub(r"\W+", "-", name), steps)
    args = machine.command(("direct", ELF, bundle(kernel), "noreboot dom0_vcpus_pin"), cpu=cpu, smp=smp, mem="256M", extra=d.arguments)
    r = run_machine(args, 30, until=end or None, echo=d)
    for text in expected:
        text = text(r.output) if callable(text) else text
        need(text in r.output, f"'{text}' was not printed", r)
    for text in absent:
        need(text not in r.output, f"'{text}' was printed", r)
    need(not d.steps, f"'{d.steps and d.steps[0][0]}' never came", r)
    need(end or not r.timed_out, "the machine went on", r)


@test("mce: a toolstack reads and sets the state of a vCPU")
def toolstack():
    """By domctl."""
    r = run_machine(machine.command(("direct", ELF, bundle("trap_domctl"), "noreboot dom0_max_vcpus=2"), mem="256M"), 30)
    need("test kernel: PASS" in r.output and "PANIC" not in r.output, "the test kernel did not pass", r)


@test("mce: badpage= keeps frames out")
def badpage():
    """An error in one of them is of no importance."""
    d = Dialogue("mce-badpage", [("victim frame", [mce(OPTIONAL | ADDRESS, address=0x801000)]), ("a retired frame", ["quit"])])
    r = run_machine(machine.command(("direct", ELF, bundle("trap_mce"), "noreboot badpage=0x801-0x803,0x900"), cpu="Skylake-Client",
                                    mem="256M",
                                    extra=d.arguments), 30, echo=d)
    need("badpage: frames 0x801 to 0x803 are not used" in r.output and "address 0x801000, a retired frame" in r.output, "not kept out", r)
