"""Where the loader puts modules, how memory is cut up, and what dom0 finds in it when it starts."""
from caisson import images, machine
from harness import BUILD, ELF, HV, OUT, REACHED, clean, command, direct, need, provoke, test

INITRD = b"initrd" * 700000  # what start_of_day.c expects, over several large pages


def start_bundle(name):
    path = f"{OUT}/{name}.cpio"
    kernel = open(f"{BUILD}/kernels/{name}.elf", "rb").read()
    with open(path, "wb") as f:
        f.write(images.cpio([("kernel", kernel, 0o100644), ("initrd", INITRD, 0o100644)]))
    return path


def passed(r):
    need("test kernel: PASS" in r.output and "FAIL" not in r.output, "the test kernel did not pass", r)
    need(f"the initrd has {len(INITRD):#x} bytes" in r.output, "the initrd did not arrive", r)
    clean(r)


def register(linux):
    for name, notes in (("start_of_day", "no INIT_P2M"), ("start_low", "base 0, only the notes that must be"), ("start_p2m", "INIT_P2M")):
        @test(f"memory: what dom0 starts with, {notes}", name=name)
        def _(name):
            for cpu in ("max", "qemu64"):
                passed(direct(start_bundle(name), "noreboot", timeout=60, machine={"cpu": cpu, "mem": "256M"}))

    @test("memory: Linux where nothing larger than 256 KiB is contiguous")
    def _():
        command("make", "-s", "O=build/scattered", "EXTRA_CFLAGS=-DMAX_ORDER=6")
        bundle = images.bundle(f"{OUT}/linux.cpio", linux, images.initramfs(f"{OUT}/initramfs.cpio"))
        r = machine.run(machine.command(("direct", f"{BUILD}/scattered/caisson.elf", bundle, "-- console=hvc0 caisson.batch")), 120)
        need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
        clean(r)

    @test("memory: modules where firmware has reserved memory meanwhile")
    def _():
        # SeaBIOS takes memory for each disk from the top of RAM, where QEMU has put the module already.
        disk = f"{OUT}/nvme.img"
        with open(disk, "wb") as f:
            f.truncate(1 << 20)
        extra = [w for i in range(2) for w in ("-drive", f"file={disk},format=raw,if=none,id=n{i},readonly=on", "-device", f"nvme,serial={i},drive=n{i}")]
        passed(direct(start_bundle("start_p2m"), "noreboot", timeout=60, machine={"mem": "256M", "extra": extra}))
