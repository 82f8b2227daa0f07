"""Where messages go: UARTs at several places, speeds, what ACPI names, words that are wrong, framebuffers at odd places, long command lines."""
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
    return ["-chardev", f"file,id={name},path={path}", "-device", f"{device},chardev={name}"], path


def whole(output, r):
    """A console that shows the boot from its first line to the kernel's last."""
    need(BANNER in output and "test kernel: PASS" in output, "not all of the boot appeared", r)
    need("PANIC" not in output, "the hypervisor complained", r)


def places():
    # QEMU's n-th -serial is com<n>: the harness adds one, which so becomes com1 or com2.
    one, two = [], ["-serial", "none"]
    for name, words, before in (
            ("com1= names the second port", "com1=115200,8n1,0x2f8,3", two),
            ("com2 instead of com1", "com2=115200,8n1 console=com2", two),
            ("com2 without a word about it", "console=com2", two),
            ("nothing at the place that com1= names", "com1=115200,8n1,0x3e8 console=com1", one),
            ("no card where com1=pci wants one", "com1=115200,8n1,pci", one),
            ("words that make no sense", "com1=115200,8n1,dbgp console=com3,ehci com1=115200,8n1,0 com1=7 com1=auto,8n1,0xfff9", one),
            ("a sink that does not exist, beside one that does", "console=tty0,com1", one),
            ("all sinks named are missing", "console=com2", one)):
        @test(f"console: {name}", words=words, before=before)
        def _(words, before):
            r = direct(bundle("place"), words, timeout=60, machine={"mem": "256M", "extra": before})
            whole(r.output, r)
            if before is one:
                need(re.search("there is no|makes no sense|nothing that it names", r.output), "what was wrong was not named", r)

    @test("console: the port that is not named stays silent while the machine runs")
    def _():
        extra, path = to_file("silent", "isa-serial,index=1")
        r = direct(bundle("silent"), "com1=115200,8n1", timeout=60, machine={"mem": "256M", "extra": extra})
        whole(r.output, r)
        need(open(path).read() == "", "com2 was written to", r)

    @test("console: a PCI card, which dom0 cannot switch off")
    def _():
        extra, path = to_file("card", "pci-serial,addr=9")
        r = direct(bundle("card", "debug_serial_card"), "com1=115200,8n1,pci", timeout=60,
                   machine={"mem": "256M", "extra": ["-serial", "none"] + extra})
        whole(open(path).read(), r)
        r = direct(bundle("card"), "com1=9600,8n1,pci,0,00:09.0 com2=115200,8n1 console=com1,com2", timeout=60,
                   machine={"mem": "256M", "extra": ["-serial", "none"] + extra})
        whole(open(path).read(), r)
        whole(r.output, r)

    @test("console: a person types at a card, which is polled")
    def _():
        r = run_machine(machine.command(("direct", ELF, bundle("typed", "spin"), "noreboot com1=115200,8n1,0x2f8,0"), mem="256M",
                                        extra=["-serial", "none"]), 60,
                        typed=[("Input goes to dom0", "\x01\x01\x01"), ("Input goes to Caisson", "h")], until="=> this list")
        need("=> this list" in r.output, "the key was not read", r)


def speeds():
    for name, words, expected, other in (("9600", "com1=9600,8n1", "9600 parity='N' data=8 stop=1", None), ("DPS", "com1=19200,7e2", "19200 parity='E' data=7 stop=2", None),
                                         ("auto", "com1=auto", None, "115200")):
        @test(f"console: speed {name}", name=name, words=words, expected=expected, other=other)
        def _(name, words, expected, other):
            path = f"{OUT}/console-trace-{name}.txt"
            r = direct(bundle("speed"), words, timeout=60, machine={"mem": "256M", "extra": ["-trace", f"serial_update_parameters,file={path}"]})
            whole(r.output, r)
            lines = open(path).read().splitlines()
            if expected:
                need(lines and expected in lines[-1], f"the speed was not set: {lines}", r)
            else:
                need(not any(other in line for line in lines), f"the speed was changed: {lines}", r)


def spcr(path, space, address, width=8, access=1, baud=7):
    body = struct.pack("<B3xBBBBQ", 0, space, width, 0, access, address) + struct.pack("<BBIBBBBBBHHBBBIBI", 0, 0, 0, baud, 0, 1, 0, 0, 0, 0xffff, 0xffff, 0, 0, 0, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(body)
    return ["-acpitable", f"sig=SPCR,rev=2,data={path}"]


def acpi():
    for name, words in (("by default", "console=com1"), ("by com1=acpi", "com1=115200,8n1,acpi")):
        @test(f"console: the UART that SPCR names, {name}", words=words)
        def _(words):
            extra, path = to_file("spcr", "isa-serial,iobase=0x338,irq=5")
            r = direct(bundle("spcr"), words, timeout=60,
                       machine={"mem": "256M", "extra": ["-serial", "none"] + extra + spcr(f"{OUT}/spcr-{next(numbers)}.bin", 1, 0x338)})
            whole(open(path).read(), r)

    @test("console: an SPCR that makes no sense, and none")
    def _():
        for table in (spcr(f"{OUT}/spcr-bad.bin", 1, 0xfffe), []):
            r = direct(bundle("spcr-bad"), "com1=115200,8n1,acpi", timeout=60, machine={"mem": "256M", "extra": table})
            whole(r.output, r)
            need("there is no UART where com1= says; the usual one is used" in r.output, "not said", r)


def framebuffers():
    usual = {"base": 0xe0000000, "pitch": 15360, "width": 3840, "height": 2160, "bpp": 32, "red_pos": 16, "red_size": 8, "green_pos": 8,
             "green_size": 8, "blue_pos": 0, "blue_size": 8, "text": 0, "valid": 1}

    def framebuffer(mem="256M", **changes):
        """The boot of a machine whose loader told of this framebuffer."""
        damage = [f"set var boot_info.fb.{field} = {value}" for field, value in {**usual, **changes}.items()]
        return provoke("consoles_start_video", damage, "test kernel: PASS", bundle("framebuffer"), "noreboot", mem=mem)

    # In pages of 4 KiB it would take more tables than early boot has; touching memory above 4 GiB then finds none.
    for name, changes in (("aligned", {}), ("at an odd page", {"base": 0xe0001000}), ("at an odd byte, 24 bits", {"base": 0xe0001003, "bpp": 24, "pitch": 11520})):
        @test(f"console: a large framebuffer {name}, 8G", changes=changes)
        def _(changes):
            r = framebuffer("8G", **changes)
            whole(r.output, r)
            need("Framebuffer: 3840x2160" in r.output and "nothing is shown" not in r.output, "it was not used", r)

    @test("console: framebuffers that make no sense are named, and the boot goes on")
    def _():
        for changes in ({"width": 40, "height": 30}, {"pitch": 0xffffff00}, {"red_pos": 200}, {"base": 0xffffffffffff0000}):
            r = framebuffer(**changes)
            whole(r.output, r)
            need("makes no sense; nothing is shown on it" in r.output, f"{changes} was used", r)


def command_lines():
    words = " ".join(f"w{n:04}" for n in range(400))

    def boot(how):
        iso = images.iso(f"{OUT}/long-lines-{how}.iso", ELF, test_kernel("debug_cmdline"), None, "noreboot " + "placeholder " * 300, words)
        r = run_machine(machine.command((how, iso), mem="256M"), 120, until="Halted")
        whole(r.output, r)
        need("The command line of the hypervisor is longer than 2047 characters" in r.output, "the cut of the hypervisor's line was not said", r)
        need("The command line of a module is longer than 1023 characters" in r.output, "the cut of the module's line was not said", r)
        return r, re.search(r"command line: 0x(\w+) characters, '(.{20})' to '(.*)'", r.output)

    @test("options: long command lines end with whole words, BIOS")
    def _():
        r, said = boot("bios")
        need(said and said[2].startswith("w0000 ") and re.search(r" w\d{4} ?$", said[3]), "dom0's line is not whole words", r)

    @test("options: long command lines end with whole words, and acpi_rsdp= is first, UEFI")
    def _():
        r, said = boot("uefi")
        need(said and re.match(r"acpi_rsdp=0x[0-9a-f]+ w", said[2] + "w") and re.search(r" w\d{4} ?$", said[3]), "dom0's line is not whole words", r)
        need("dom0's command line is longer than the" in r.output, "the cut was not said", r)


def options():
    @test("options: max: of dom0_mem= bounds what dom0 can ask for later")
    def _():
        r = direct(bundle("reservation", "debug_reservation"), "dom0_mem=64M,max:80M", timeout=60, machine={"mem": "256M"})
        whole(r.output, r)

    @test("options: noreboot and com1= hold for a panic before the first message")
    def _():
        r = provoke("boot_info_sort_memory", "set *(short *)$pc = 0x0b0f", "(noreboot", bundle("early"), "noreboot com1=9600")
        need("PANIC CAI-T06" in r.output and "Halted (noreboot)" in r.output, "the machine did not halt", r)

    @test("options: fractions and ranges")
    def _():
        r = direct(bundle("fractions"), "dom0_mem=50% dom0_max_vcpus=1-2", timeout=60, machine={"mem": "256M", "smp": 3})
        whole(r.output, r)
        said = re.search(r"(\d+) MiB free(?:.|\n)*dom0: (\d+) MiB, 2 vCPUs", r.output)
        need(said and abs(int(said[1]) / 2 - int(said[2])) < 8, "dom0 has not half of what was free, or not two vCPUs", r)

    @test("options: a word of 300 characters is used whole")
    def _():
        frames = ",".join(f"0x{n:x}" for n in range(0x4000, 0x4000 + 60, 2))
        r = direct(bundle("long"), f"badpage={frames} loglvl=all", timeout=60, machine={"mem": "256M"})
        whole(r.output, r)
        need(r.output.count("badpage: frames") == 30 and "frames 0x403a to 0x403a" in r.output, "not all frames were taken", r)


def register():
    command_lines()
    framebuffers()
    options()
    places()
    speeds()
    acpi()
