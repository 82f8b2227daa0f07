# SPDX-License-Identifier: MIT
"""Where the loader puts modules, how memory is cut up, and what dom0 finds in it when it starts."""
from caisson import images, machine
from harness import BUILD, ELF, OUT, REACHED, clean, command, direct, linux_bundle, need, provoke, run_machine, symbols, test, test_kernel

INITRD = b"initrd" * 700000  # what start_of_day.c expects, over several large pages


def start_bundle(name):
    path = f"{OUT}/{name}.cpio"
    kernel = open(test_kernel(name), "rb").read()
    images.write(path, images.cpio([("kernel", kernel, 0o100644), ("initrd", INITRD, 0o100644)]))
    return path


def passed(r):
    need("test kernel: PASS" in r.output and "FAIL" not in r.output, "the test kernel did not pass", r)
    need(f"the initrd has {len(INITRD):#x} bytes" in r.output, "the initrd did not arrive", r)
    clean(r)


@test("memory: what dom0 starts with, {notes}", each=[
    {"name": "start_of_day", "notes": "no INIT_P2M"}, {"name": "start_low", "notes": "base 0, only the notes that must be"},
    {"name": "start_p2m", "notes": "INIT_P2M"}])
def start_of_day(name, notes):
    """Its start_info, page tables, p2m and modules, as the notes of its kernel ask."""
    for cpu in ("max", "qemu64"):
        passed(direct(start_bundle(name), "noreboot", timeout=60, machine={"cpu": cpu, "mem": "256M"}))


@test("memory: Linux where nothing larger than 256 KiB is contiguous")
def scattered():
    """A page allocator without larger blocks."""
    command("make", "-s", "O=build/scattered", "EXTRA_CFLAGS=-DMAX_ORDER=6")
    r = run_machine(machine.command(("direct", f"{BUILD}/scattered/caisson.elf", linux_bundle(), "-- console=hvc0 caisson.batch")), 120)
    need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
    clean(r)


@test("memory: too little to unpack the kernel is said so")
def too_little():
    """The sentence is about memory, not about the file."""
    for mem, word in (("64M", "CAI-K05: dom0 kernel: too little memory to unpack the kernel"),
                      ("128M", "CAI-K03: too little memory for dom0")):
        r = direct(linux_bundle(), "noreboot", timeout=60, until="Halted (noreboot)", machine={"mem": mem})
        need(word in r.output and "damaged" not in r.output, f"'{word}' was not printed", r)
    r = run_machine(machine.command(("direct", ELF, linux_bundle(), "-- console=hvc0 caisson.batch"), mem="192M"), 120)
    need(REACHED in r.output and not r.timed_out, "192 MiB were not enough", r)


@test("memory: modules where firmware has reserved memory meanwhile")
def reserved_modules():
    """They are used before anything is put there."""
    # SeaBIOS takes memory for each disk from the top of RAM, where QEMU has put the module already.
    disk = f"{OUT}/nvme.img"
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    extra = [w for i in range(2) for w in ("-drive", f"file={machine.value(disk)},format=raw,if=none,id=n{i},readonly=on", "-device",
                                           f"nvme,serial={i},drive=n{i}")]
    passed(direct(start_bundle("start_p2m"), "noreboot", timeout=60, machine={"mem": "256M", "extra": extra}))


@test("memory: a memory map without RAM where the hypervisor lies is refused")
def image_outside_ram():
    """Before it would have to be mapped as what it is not."""
    last = "boot_info.ranges[boot_info.nr_ranges]"
    r = provoke("boot_info_sort_memory", [f"set {last}.start = 0x200000", f"set {last}.end = 0x800000", f"set {last}.type = 2",
                                          "set boot_info.nr_ranges = boot_info.nr_ranges + 1"], "(noreboot", start_bundle("start_p2m"))
    need("PANIC CAI-B01: the memory map has no RAM at 200000, where" in r.output, "not refused in a sentence", r)


@test("memory: a module above 4 GiB, and one in no memory that the map knows")
def high_modules():
    """They are copied to where dom0's memory is."""
    bundle = start_bundle("start_p2m")
    size = len(open(bundle, "rb").read())
    r = provoke("boot_bundle_split", [f"set boot_info.modules[0].start = {0x140000000:#x}",
                                      f"set boot_info.modules[0].end = {0x140000000 + size:#x}",
                                      "set boot_info.nr_modules = 1"], "dom0 has ended", mem="6G",
                extra=["-device", f"loader,file={machine.value(bundle)},addr=0x140000000,force-raw=on"])
    passed(r)
    # The same, with a hole or reserved memory where it lies.
    for change in ("set boot_info.ranges[boot_info.nr_ranges - 2].end = 0x140000000",
                   "set boot_info.ranges[boot_info.nr_ranges - 2].type = 2"):
        r = provoke("boot_bundle_split", [f"set boot_info.modules[0].start = {0x140000000:#x}",
                                          f"set boot_info.modules[0].end = {0x140000000 + size:#x}",
                                          "set boot_info.nr_modules = 1", change], "dom0 has ended", mem="6G",
                    extra=["-device", f"loader,file={machine.value(bundle)},addr=0x140000000,force-raw=on"])
        passed(r)


@test("memory: microcode before the initrd, modules that are not used")
def microcode():
    """The initrd is the first module that is none."""
    microcode = f"{OUT}/ucode.img"
    images.write(microcode, images.cpio([("kernel/x86/microcode/GenuineIntel.bin", b"microcode" * 500, 0o100644)]) + bytes(700))
    initrd = f"{OUT}/initrd.txt"
    images.write(initrd, INITRD)
    iso = images.iso(f"{OUT}/microcode.iso", ELF, test_kernel("start_p2m"), initrd, "noreboot", "", (microcode,), (microcode, initrd) * 4)
    r = run_machine(machine.command(("bios", iso), mem="256M"), 90, until="dom0 has ended")
    passed(r)
    need("Module 2 holds only microcode" in r.output and "Module 5 (4101 KiB) is not used" in r.output, "unused modules are not named", r)
    need("is not used: there are more than 8" in r.output, "modules beyond the eighth are not named", r)


@test("memory: UEFI firmware with five-level paging")
def five_levels():
    """It is switched off on the way in."""
    # There is none here: the tables get another level in the moment before the firmware starts us.
    table = symbols()["early_tables"] - 0xffff82d040000000 + 0x200000
    word = "*(unsigned long *)"
    levels = ["python import re", "python cr3 = int(re.search('PDBR=([0-9]+)', str(gdb.parse_and_eval('$cr3'))).group(1)) << 12",
              f"python gdb.execute(f'set {word}{table:#x} = {word}{{cr3:#x}}')",
              f"python gdb.execute(f'set {word}{{cr3:#x}} = {table | 7:#x}')",
              "set $cr4 = ((unsigned long)$cr4) | 0x1000"]
    iso = images.iso(f"{OUT}/five-levels.iso", ELF, test_kernel("start_of_day"), None, "noreboot", "")
    r = provoke("multiboot2_entry_efi64", levels, "dom0 has ended", boot=("uefi", iso))
    need("test kernel: PASS" in r.output, "the test kernel did not pass", r)
    clean(r)
