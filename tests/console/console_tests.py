# SPDX-License-Identifier: MIT
"""Where messages go: UARTs at several places, speeds, what ACPI names, wrong words, framebuffers at odd places, long command lines."""
import itertools
import re
import struct

from caisson import images, machine
from harness import ELF, OUT, direct, need, provoke, run_machine, test, test_kernel

BANNER = "Caisson 0.1, booted by"
numbers = itertools.count()


def bundle(name, kernel="memory"):
    """A file of its own for each machine: tests run side by side."""
    return images.bundle(f"{OUT}/console-{name}-{next(numbers)}.cpio", test_kernel(kernel))


def to_file(name, device):
    """A UART whose output goes to a file: its arguments and the file's name."""
    path = f"{OUT}/console-{name}-{next(numbers)}.txt"
    open(path, "w").close()
    return ["-chardev", f"file,id={name},path={machine.value(path)}", "-device", f"{device},chardev={name}"], path


def whole(output, r):
    """A console that shows the boot from its first line to the kernel's last."""
    need(BANNER in output and "test kernel: PASS" in output, "not all of the boot appeared", r)
    need("PANIC" not in output, "the hypervisor complained", r)


# QEMU's n-th -serial is com<n>: the harness adds one, which so becomes com1 or com2.
FIRST, SECOND = [], ["-serial", "none"]
PLACES = [
    {"name": "com1= names the second port", "words": "com1=115200,8n1,0x2f8,3", "before": SECOND},
    {"name": "com2 instead of com1", "words": "com2=115200,8n1 console=com2", "before": SECOND},
    {"name": "com2 without a word about it", "words": "console=com2", "before": SECOND},
    {"name": "nothing at the place that com1= names", "words": "com1=115200,8n1,0x3e8 console=com1", "before": FIRST},
    {"name": "no card where com1=pci wants one", "words": "com1=115200,8n1,pci", "before": FIRST},
    {"name": "words that make no sense", "words": "com1=115200,8n1,dbgp console=com3,ehci com1=115200,8n1,0 com1=7 com1=auto,8n1,0xfff9",
     "before": FIRST},
    {"name": "a sink that does not exist, beside one that does", "words": "console=tty0,com1", "before": FIRST},
    {"name": "all sinks named are missing", "words": "console=com2", "before": FIRST},
]


@test("console: {name}", each=PLACES)
def place(name, words, before):
    """The boot is seen on the port that the words name, or where that is none, on another, with a word about it."""
    r = direct(bundle("place"), words, timeout=60, machine={"mem": "256M", "extra": before})
    whole(r.output, r)
    if before is FIRST:
        need(re.search("there is no|makes no sense|nothing that it names", r.output), f"{name}: what was wrong was not named", r)


@test("console: the port that is not named stays silent while the machine runs")
def silent():
    """com2 belongs to dom0 then."""
    extra, path = to_file("silent", "isa-serial,index=1")
    r = direct(bundle("silent"), "com1=115200,8n1", timeout=60, machine={"mem": "256M", "extra": extra})
    whole(r.output, r)
    need(open(path).read() == "", "com2 was written to", r)


@test("console: a PCI card, which dom0 cannot switch off")
def card():
    """Its ports and its command register are the hypervisor's."""
    extra, path = to_file("card", "pci-serial,addr=9")
    r = direct(bundle("card", "debug_serial_card"), "com1=115200,8n1,pci", timeout=60,
               machine={"mem": "256M", "extra": ["-serial", "none"] + extra})
    whole(open(path).read(), r)
    r = direct(bundle("card"), "com1=9600,8n1,pci,0,00:09.0 com2=115200,8n1 console=com1,com2", timeout=60,
               machine={"mem": "256M", "extra": ["-serial", "none"] + extra})
    whole(open(path).read(), r)
    whole(r.output, r)


@test("console: a person types at a card, which is polled")
def typed_at_card():
    """No interrupt is needed."""
    r = run_machine(machine.command(("direct", ELF, bundle("typed", "spin"), "noreboot com1=115200,8n1,0x2f8,0"), mem="256M",
                                    extra=["-serial", "none"]), 60,
                    typed=[("Input goes to dom0", "\x01\x01\x01"), ("Input goes to Caisson", "h")], until="=> this list")
    need("=> this list" in r.output, "the key was not read", r)


@test("console: speed {name}", each=[
    {"name": "9600", "words": "com1=9600,8n1", "expected": "9600 parity='N' data=8 stop=1"},
    {"name": "DPS", "words": "com1=19200,7e2", "expected": "19200 parity='E' data=7 stop=2"},
    {"name": "auto", "words": "com1=auto", "expected": None}])
def speed(name, words, expected):
    """The UART is set to what the word says; `auto` leaves it as the firmware has set it."""
    path = f"{OUT}/console-trace-{name}.txt"
    r = direct(bundle("speed"), words, timeout=60,
               machine={"mem": "256M", "extra": ["-trace", f"serial_update_parameters,file={machine.value(path)}"]})
    whole(r.output, r)
    lines = open(path).read().splitlines()
    if expected:
        need(lines and expected in lines[-1], f"the speed was not set: {lines}", r)
    else:
        need(not any("115200" in line for line in lines), f"the speed was changed: {lines}", r)


def spcr(path, space, address, width=8, access=1, baud=7):
    body = struct.pack("<B3xBBBBQ", 0, space, width, 0, access,
                       address) + struct.pack("<BBIBBBBBBHHBBBIBI", 0, 0, 0, baud, 0, 1, 0, 0, 0, 0xffff, 0xffff, 0, 0, 0, 0, 0, 0)
    images.write(path, body)
    return ["-acpitable", f"sig=SPCR,rev=2,data={machine.value(path)}"]


@test("console: the UART that SPCR names, {name}", each=[
    {"name": "by default", "words": "console=com1"}, {"name": "by com1=acpi", "words": "com1=115200,8n1,acpi"}])
def spcr_names(name, words):
    """At a place where none is usual."""
    extra, path = to_file("spcr", "isa-serial,iobase=0x338,irq=5")
    r = direct(bundle("spcr"), words, timeout=60,
               machine={"mem": "256M", "extra": ["-serial", "none"] + extra + spcr(f"{OUT}/spcr-{next(numbers)}.bin", 1, 0x338)})
    whole(open(path).read(), r)


@test("console: an SPCR that makes no sense, and none")
def spcr_wrong():
    """The usual UART is used instead."""
    for table in (spcr(f"{OUT}/spcr-bad.bin", 1, 0xfffe), []):
        r = direct(bundle("spcr-bad"), "com1=115200,8n1,acpi", timeout=60, machine={"mem": "256M", "extra": table})
        whole(r.output, r)
        need("there is no UART where com1= says; the usual one is used" in r.output, "not said", r)


USUAL = {"base": 0xe0000000, "pitch": 15360, "width": 3840, "height": 2160, "bpp": 32, "red_pos": 16, "red_size": 8, "green_pos": 8,
         "green_size": 8, "blue_pos": 0, "blue_size": 8, "text": 0, "valid": 1}


def framebuffer(mem="256M", **changes):
    """The boot of a machine whose loader told of this framebuffer."""
    damage = [f"set var boot_info.fb.{field} = {value}" for field, value in {**USUAL, **changes}.items()]
    return provoke("consoles_start_video", damage, "test kernel: PASS", bundle("framebuffer"), "noreboot", mem=mem)


# In pages of 4 KiB it would take more tables than early boot has; touching memory above 4 GiB then finds none.
@test("console: a large framebuffer {name}, 8G", each=[
    {"name": "aligned", "changes": {}}, {"name": "at an odd page", "changes": {"base": 0xe0001000}},
    {"name": "at an odd byte, 24 bits", "changes": {"base": 0xe0001003, "bpp": 24, "pitch": 11520}}])
def large_framebuffer(name, changes):
    """Early boot has tables for it."""
    r = framebuffer("8G", **changes)
    whole(r.output, r)
    need("Framebuffer: 3840x2160" in r.output and "nothing is shown" not in r.output, "it was not used", r)


@test("console: framebuffers that make no sense are named, and the boot goes on")
def wrong_framebuffers():
    """None is drawn on."""
    for changes in ({"width": 40, "height": 30}, {"pitch": 0xffffff00}, {"red_pos": 200}, {"base": 0xffffffffffff0000},
                    {"base": 0x8000000, "pitch": 4096, "width": 1024, "height": 768}):
        r = framebuffer(**changes)
        whole(r.output, r)
        need("makes no sense; nothing is shown on it" in r.output, f"{changes} was used", r)


def boot_long(how):
    """GRUB gives both more words than fit: the result, and what the test kernel says of its own."""
    words = " ".join(f"w{n:04}" for n in range(400))
    iso = images.iso(f"{OUT}/long-lines-{how}.iso", ELF, test_kernel("debug_cmdline"), None, "noreboot " + "placeholder " * 300, words)
    r = run_machine(machine.command((how, iso), mem="256M"), 120, until="Halted")
    whole(r.output, r)
    need("The command line of the hypervisor is longer than 2047 characters" in r.output, "the cut of the hypervisor's line was not said",
         r)
    need("The command line of a module is longer than 1023 characters" in r.output, "the cut of the module's line was not said", r)
    return r, re.search(r"command line: 0x(\w+) characters, '(.{20})' to '(.*)'", r.output)


@test("options: long command lines end with whole words, BIOS")
def long_lines_bios():
    """Both cuts are told."""
    r, said = boot_long("bios")
    need(said and said[2].startswith("w0000 ") and re.search(r" w\d{4} ?$", said[3]), "dom0's line is not whole words", r)


@test("options: long command lines end with whole words, and acpi_rsdp= is first, UEFI")
def long_lines_uefi():
    """What the hypervisor adds is not cut off."""
    r, said = boot_long("uefi")
    need(said and re.match(r"acpi_rsdp=0x[0-9a-f]+ w", said[2] + "w") and re.search(r" w\d{4} ?$", said[3]),
         "dom0's line is not whole words", r)
    need("dom0's command line is longer than the" in r.output, "the cut was not said", r)


@test("options: max: of dom0_mem= bounds what dom0 can ask for later")
def dom0_mem_max():
    """The test kernel asks for more."""
    r = direct(bundle("reservation", "debug_reservation"), "dom0_mem=64M,max:80M", timeout=60, machine={"mem": "256M"})
    whole(r.output, r)


@test("options: noreboot and com1= hold for a panic before the first message")
def early_panic():
    """The words are read before anything is printed."""
    r = provoke("boot_info_sort_memory", "set *(short *)$pc = 0x0b0f", "(noreboot", bundle("early"), "noreboot com1=9600")
    need("PANIC CAI-T06" in r.output and "Halted (noreboot)" in r.output, "the machine did not halt", r)


@test("options: fractions and ranges")
def fractions():
    """Half of what is free, and as many vCPUs as CPUs within the range."""
    r = direct(bundle("fractions"), "dom0_mem=50% dom0_max_vcpus=1-2", timeout=60, machine={"mem": "256M", "smp": 3})
    whole(r.output, r)
    said = re.search(r"(\d+) MiB free(?:.|\n)*dom0: (\d+) MiB, 2 vCPUs", r.output)
    need(said and abs(int(said[1]) / 2 - int(said[2])) < 8, "dom0 has not half of what was free, or not two vCPUs", r)


@test("options: a word of 300 characters is used whole")
def long_word():
    """No number in it is cut."""
    frames = ",".join(f"0x{n:x}" for n in range(0x4000, 0x4000 + 60, 2))
    r = direct(bundle("long"), f"badpage={frames} loglvl=all", timeout=60, machine={"mem": "256M"})
    whole(r.output, r)
    need(r.output.count("badpage: frames") == 30 and "frames 0x403a to 0x403a" in r.output, "not all frames were taken", r)
