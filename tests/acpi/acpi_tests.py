# SPDX-License-Identifier: MIT
"""Machines of two CPUs whose firmware lies: the processors that are there run, each fault is told in its line, none is started twice."""
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tables import (CAPABLE, cpu, entry, fadt, io_apic, local_nmi, madt, override, rsdp, rsdt, x2cpu, xsdt)  # noqa: E402
from caisson import images, machine, packages  # noqa: E402
from harness import BUILD, ELF, OUT, clean, direct, need, run_bochs, run_machine, test, test_kernel  # noqa: E402

BASE = 0x8000000  # RAM that neither the BIOS nor the hypervisor uses before the tables have been read
RSDT, XSDT, FADT, MADT = (BASE + i * 0x1000 for i in range(4))
IRQ0 = override(0, 2)
SOUND = (cpu(0), cpu(1), io_apic(), IRQ0)


def firmware(name, root, chunks):
    """QEMU's arguments for a machine whose tables are these alone: the BIOS installs the RSDP, the others are loaded where they belong."""
    def file(what, data):
        path = f"{OUT}/acpi-{name}.{what}"
        images.write(path, data)
        return machine.value(path)

    allocate = struct.pack("<I56sIB", 1, b"etc/acpi/rsdp", 16, 2).ljust(128, b"\0")
    args = ["-machine", "acpi=off", "-fw_cfg", f"name=etc/table-loader,file={file('loader', allocate)}",
            "-fw_cfg", f"name=etc/acpi/rsdp,file={file('rsdp', root)}"]
    for address, data in chunks.items():
        args += ["-device", f"loader,file={file(f'{address:x}', data)},addr={address:#x},force-raw=on"]
    return args


def run(name, *entries, chunks=None, root=None, words="noreboot", cpus=2, **machine):
    memory = {RSDT: rsdt(FADT, MADT), XSDT: xsdt(FADT, MADT), FADT: fadt(), MADT: madt(*(entries or SOUND)), **(chunks or {})}
    args = firmware(name, root or rsdp(RSDT, XSDT), memory)
    bundle = images.bundle(f"{OUT}/acpi.cpio", test_kernel("memory"))
    r = direct(bundle, words, timeout=60, machine={"smp": cpus, "mem": "256M", "extra": args, **machine})
    need("test kernel: PASS" in r.output and not r.timed_out, f"{name}: the machine did not get through", r)
    clean(r)
    return r


# Name, what is said, how many CPUs run of how many that are listed, entries or other tables.
MACHINES = [
    ("twice", ["APIC id 1 is listed more than once"], (2, 2), SOUND + (cpu(1),), {}),
    ("both-kinds", ["APIC id 0 is listed more than once", "APIC id 1 is listed more than once"], (2, 2), SOUND + (x2cpu(0), x2cpu(1)), {}),
    ("id-255", ["APIC id 255 means all processors"], (2, 2), SOUND + (cpu(255),), {}),
    ("low-bytes", [f"APIC id {i} cannot be reached in xAPIC mode" for i in (255, 256, 257, 65537)], (2, 6),
     SOUND + (x2cpu(255), x2cpu(256), x2cpu(257), x2cpu(65537)), {}),
    ("all-ones", ["APIC id 4294967295 means all processors"], (2, 2), SOUND + (x2cpu(0xFFFFFFFF),), {}),
    ("io-apic-0", ["I/O APIC 1: address 0 makes no sense"], (2, 2), SOUND + (io_apic(0, 24, 1),), {}),
    ("io-apic-ram", ["address 200000 is memory", "fec00000 is listed more than once"], (2, 2),
     SOUND + (io_apic(0x200000, 24), io_apic(gsi=24)), {}),
    ("lengths", ["offset 82 has no sound length"], (2, 2), SOUND + (entry(0, b"\1\1\1\0\0\0", 0),), {}),
    ("no-xsdt", ["names no XSDT: its RSDT is used"], (2, 2), (), {"root": rsdp(RSDT, 0)}),
    ("bad-xsdt", ["has a wrong checksum"], (2, 2), (), {"chunks": {XSDT: xsdt(FADT, FADT, wrong_sum=True)}}),
    ("sums", ["APIC has a wrong checksum and is used", "FACP has a wrong checksum and is used"], (2, 2), (),
     {"chunks": {MADT: madt(*SOUND, wrong_sum=True), FADT: fadt(wrong_sum=True)}}),
    ("absent", ["no answer within a second"], (2, 4), SOUND + (cpu(7), cpu(9, flags=CAPABLE)), {}),
    ("local-apic", ["Local APIC: at fee00000, not where ACPI has it (fed00000)"], (2, 2), (),
     {"chunks": {MADT: madt(*SOUND, local_apic=0xFED00000)}}),
    ("boot-cpu", ["the MADT does not list the processor that boots, APIC id 0"], (2, 2), (cpu(1), io_apic(), IRQ0), {}),
    ("nmi-elsewhere", ["NMIs come to other processors than the first"], (2, 2), SOUND + (local_nmi(1, 0),), {}),
    ("no-io-apic", ["No I/O APIC"], (2, 2), (cpu(0), cpu(1)), {}),
]


@test("acpi: machines whose tables are wrong")
def wrong_tables():
    """The processors that are there run, and each fault is told in its line."""
    for name, said, (online, listed), entries, how in MACHINES:
        r = run(name, *entries, **how)
        for text in said + [f"SMP: {online} of {listed} CPUs online", "Rebooting the machine."]:
            need(text in r.output, f"{name}: '{text}' was not printed", r)


@test("acpi: CPUs start from wherever low memory is free")
def low_memory():
    """The trampoline goes where the firmware leaves room."""
    iso = images.iso(f"{OUT}/cutmem.iso", ELF, test_kernel("memory"), None, "com1=115200,8n1 noreboot", "", first="cutmem 300K 640K")
    r = run_machine(machine.command(("bios", iso), smp=2, mem="256M"), 90)
    need("SMP: 2 of 2 CPUs online" in r.output and "test kernel: PASS" in r.output, "not all CPUs were started", r)
    clean(r)


@test("irq: more vectors than one CPU has, and interrupts that follow when their CPU goes")
def vectors():
    """The end of vectors is told; those of a CPU that goes move to another."""
    r = direct(images.bundle(f"{OUT}/vectors.cpio", test_kernel("smp_vectors")), "noreboot dom0_max_vcpus=2 guest_loglvl=all", timeout=90,
               machine={"smp": 2, "mem": "256M", "extra": ["-device", "edu,addr=5", "-device", "virtio-serial-pci,vectors=600,addr=6"]})
    need("test kernel: PASS" in r.output and not r.timed_out, "the test kernel did not pass", r)
    need("no CPU that device interrupts can reach has a vector left" in r.output, "the end of vectors was not told", r)
    clean(r)


@test("acpi: x2APIC mode, two CPUs, because of an id that needs it")
def x2apic():
    """The mode is switched on before the others start."""
    # The processor with the long id is not there, and is not waited for; the others are reached by MSRs.
    path = f"{OUT}/x2apic.madt"
    images.write(path, madt(*SOUND[:2], x2cpu(300), io_apic(), IRQ0))
    iso = images.iso(f"{OUT}/x2apic.iso", ELF, test_kernel("events"), None, "com1=115200,8n1 noreboot dom0_max_vcpus=2 maxcpus=2", "",
                     madt=path)
    r = run_bochs(iso, f"{OUT}/x2apic", 120, ["dom0 has ended"], cpus=2)
    for text in ("Local APIC: id 0, x2APIC", "SMP: 2 of 3 CPUs online", "test kernel: PASS"):
        need(text in r.output and not r.timed_out, f"'{text}' was not printed", r)
    clean(r)


@test("acpi: APIC id 287 runs in x2APIC mode, and gets no device interrupts")
def far_cpu():
    """A CPU whose id has more than eight bits runs vCPUs."""
    # CPUs 0, 7 and 287, which an emulator from QEMU 9 on can have. smp_vectors sees the vectors of two CPUs, though three run.
    emulator = packages.download_qemu(f"{BUILD}/cache")
    extra = ["-device", "edu,addr=5", "-device", "virtio-serial-pci,vectors=600,addr=6"]
    for socket in (287, 7):
        extra += ["-device", f"max-x86_64-cpu,socket-id={socket},core-id=0,thread-id=0"]
    for kernel, vcpus in (("smp_vectors", 2), ("smp_memory", 5)):
        bundle = images.bundle(f"{OUT}/far-{kernel}.cpio", test_kernel(kernel))
        args = machine.command(("direct", ELF, bundle, f"noreboot dom0_max_vcpus={vcpus}"), smp="1,sockets=288,maxcpus=288", mem="256M",
                               extra=extra)
        r = run_machine(emulator + args[1:], 120)
        for text in ("Local APIC: id 0, x2APIC", "SMP: 3 of 3 CPUs online", "test kernel: PASS"):
            need(text in r.output and not r.timed_out, f"{kernel}: '{text}' was not printed", r)
        clean(r)
