#!/usr/bin/env python3
"""Runs the tests: build checks, unit tests, small PV kernels, boots of Debian's kernel. tools/check is the way in."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (BUILD, ELF, HV, OUT, REACHED, SOCKETS, TOP, Seen, clean, command, direct, monitor,  # noqa: E402
                     need, provoke, run_all, test, tests)
from console import console_tests  # noqa: E402
from irq import irq_tests  # noqa: E402
from caisson import images, machine, packages  # noqa: E402
from acpi import acpi_tests  # noqa: E402
from bench import bench_tests  # noqa: E402
from bochs import bochs_tests  # noqa: E402
from boot import efi_tests, kernels_tests, memory_tests  # noqa: E402
from clock import clock_tests  # noqa: E402
from full import full_tests  # noqa: E402
from fuzz import fuzz_tests  # noqa: E402
from guestabi import guestabi_tests  # noqa: E402
from mmu import mmu_tests  # noqa: E402
from models import models_tests  # noqa: E402
from sched import sched_tests  # noqa: E402
from smp import smp_tests  # noqa: E402
from speculation import speculation_tests  # noqa: E402
from state import state_tests  # noqa: E402
from trap import matrix_tests, mce_tests, report_tests, recorder_tests, sweep_tests  # noqa: E402

# ---- build ----

def build_tests():
    @test("build: clang 14, warning-free")
    def _():
        command("make", "-s", "O=build/clang", "CC=clang")

    @test("build: debug variant")
    def _():
        command("make", "-s", "O=build/debug", "DEBUG=1")

    @test("build: image, gates, W^X")
    def _():
        command("python3", "tests/build/image.py")

    @test("build: layers")
    def _():
        command("tools/check-layers")

    @test("build: generated documents are those that the tables give")
    def _():
        for tool, name in (("gen_trap_matrix.py markdown", "trap-matrix"), ("gen_panic_codes.py", "panic-codes"), ("gen_options.py", "options")):
            text = command("python3", *f"tools/{tool}".split())
            need(text == open(f"{TOP}/docs/{name}.md").read(), f"docs/{name}.md is stale: run 'make docs'")

    @test("build: ABI layouts against libxen-dev")
    def _():
        command("python3", "tests/build/abi_layout.py")

    @test("build: every header compiles alone")
    def _():
        for root, _, files in os.walk(os.path.join(TOP, "include")):
            for f in files:
                if not f.endswith("_asm.h"):
                    command("gcc", "-fsyntax-only", "-std=gnu11", "-Iinclude", "-Ibuild/include", "-ffreestanding", "-Wall", "-Werror",
                            "-mgeneral-regs-only", "-x", "c", os.path.join(root, f), "-Wno-pragma-once-outside-header")

    @test("build: documented options are those that exist")
    def _():
        declared = set(re.findall(r'^OPTION\("([\w-]+)"', command("grep", "-rhE", r'^OPTION\("', "common", "arch", "drivers"), re.M))
        rows = open(f"{TOP}/docs/options.md").read().partition("## Options of Xen")
        documented = set(re.findall(r"^\| `([\w-]+)", rows[0], re.M))
        need(declared == documented, f"docs/options.md and the code differ: {declared ^ documented}")
        both = declared & set(re.findall(r"`([\w.-]+)`", rows[2]))
        need(not both, f"offered, and in the list of those that are not: {both}")


# ---- unit ----

def unit_tests():
    command("make", "-s", "-k", "-C", "tests/unit", "programs")
    for f in sorted(os.listdir(f"{BUILD}/unit")):
        path = f"{BUILD}/unit/{f}"
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            @test(f"unit: {f}", path=path)
            def _(path):
                command(path)


def kernel_tests():
    command("make", "-s", "-C", "tests/kernels")
    for f in sorted(os.listdir(f"{TOP}/tests/kernels")):
        name = f[:-2]
        if not f.endswith(".c") or name.startswith(("dies_", "device_", "trap_", "sweep_", "debug_", "smp_", "mmu_")) or name in ("spin", "start_of_day"):
            continue
        for cpu in ("max", "qemu64"):
            @test(f"kernel: {name} on {cpu}", name=name, cpu=cpu)
            def _(name, cpu):
                bundle = images.bundle(f"{OUT}/{name}.{cpu}.cpio", f"{BUILD}/kernels/{name}.elf")
                r = direct(bundle, "noreboot", timeout=60, machine={"cpu": cpu, "mem": "256M"})
                need("test kernel: PASS" in r.output and "FAIL" not in r.output, "the test kernel did not pass", r)
                need(not r.timed_out, "the machine did not restart at its end", r)
                clean(r)

    @test("kernel: with SMAP")
    def _():
        # Test kernels do not use IRET in ring 3, which the emulator cannot do with SMAP.
        for name in ("page_types", "user_mode", "memory"):
            r = direct(images.bundle(f"{OUT}/smap-{name}.cpio", f"{BUILD}/kernels/{name}.elf"), "smap=force", timeout=60,
                       machine={"mem": "256M"})
            need("SMEP SMAP" in r.output and "test kernel: PASS" in r.output, f"{name} did not pass", r)
            clean(r)

    def dies(name, *expected):
        @test(f"kernel: dies_{name}")
        def _():
            bundle = images.bundle(f"{OUT}/dies_{name}.cpio", f"{BUILD}/kernels/dies_{name}.elf")
            r = direct(bundle, "noreboot", timeout=60, until="Halted (noreboot)", machine={"mem": "256M"})
            for text in expected + ("d0: domain crashed", "dom0 has ended: crash", "Halted (noreboot)"):
                need(text in r.output, f"'{text}' was not printed", r)
            need("survived" not in r.output, "the guest went on", r)
            clean(r)

    dies("unhandled_fault", "d0:v0: unhandled page fault (ec=0002) in kernel mode: no handler is registered", "Given up by inject()",
         "L4[0x024] = 0000000000000000 not present", "rax: 0000123456789000",
         "Code at rip: 48 c7 00 0d d0", "Guest stack at")
    dies("bad_stack", "its frame cannot be written to the guest's kernel stack", "rsp: ffff830000001000")
    dies("half_mapped", "d0:v0: unhandled page fault (ec=0004) in user mode", "L1[0x", " pfn ", "not present", "Code at rip: 48 8b 07")
    dies("no_user_table", "iret to user mode without a user page table")


def refusal_tests(kernel):
    data = open(kernel, "rb").read()

    def refusal(name, module_data, words, args="noreboot", machine_args=None):
        @test(f"refusal: {name}")
        def _():
            path = None
            if module_data is not None:
                path = f"{OUT}/refusal-{name.replace(' ', '-')}"
                with open(path, "wb") as f:
                    f.write(images.cpio([("kernel", module_data, 0o100644)]))
            r = direct(path, args, timeout=90, until="Halted (noreboot)", machine=machine_args or {"mem": "512M"})
            for w in words:
                need(w in r.output, f"'{w}' was not printed", r)
            need("Halted (noreboot)" in r.output, "the machine did not halt in order", r)

    setup = (data[0x1F1] or 4) + 1
    start = setup * 512 + int.from_bytes(data[0x248:0x24C], "little")
    length = int.from_bytes(data[0x24C:0x250], "little")
    damaged = bytearray(data)
    damaged[start + length // 2] ^= 0xFF
    unknown = bytearray(data)
    unknown[start:start + 6] = b"BZh91A"
    wrong_size = bytearray(data)
    wrong_size[start + length - 4:start + length] = b"\0\0\0\xff"
    refusal("no module", None, ["no dom0 kernel was loaded", "module2"])
    refusal("no kernel", b"this is a text file, no kernel at all\n" * 100, ["the first module is no Linux kernel", "CAI-K06", "Try: Name the kernel (vmlinuz)"])
    refusal("truncated kernel", data[:len(data) // 2], ["the kernel file is truncated", "CAI-K07", "Try: Install the kernel's package again"])
    refusal("damaged payload", bytes(damaged), ["the kernel's compressed data is damaged", "CAI-K07"])
    refusal("unknown compression", bytes(unknown), ["not one of xz, zstd, gzip, lz4", "CAI-K08", "Try: Use a kernel compressed with xz"])
    refusal("absurd unpacked size", bytes(wrong_size), ["unpacked size makes no sense", "CAI-K07"])
    elf = bytearray(open(f"{BUILD}/kernels/memory.elf", "rb").read())
    note = elf.index(b"\x04\0\0\0\x08\0\0\0\x05\0\0\0Xen\0xen-3.0")
    elf[note + 16:note + 23] = b"xen-2.0"
    refusal("kernel for other guests", bytes(elf), ["do not say xen-3.0", "CONFIG_XEN_PV"])
    elf = bytearray(open(f"{BUILD}/kernels/memory.elf", "rb").read())
    note = elf.index(b"\x04\0\0\0\x08\0\0\0\x02\0\0\0Xen\0")
    elf[note + 16:note + 24] = (2**64 - 4096).to_bytes(8, "little")
    refusal("hypercall page outside the kernel", bytes(elf), ["the kernel's addresses make no sense"])
    refusal("too little memory", data, ["too little memory"], machine_args={"mem": "112M"})
    refusal("dom0_mem too small", data, ["too little memory for dom0", "CAI-K03", "Try: Raise dom0_mem="], args="noreboot dom0_mem=16M")

    @test("refusal: misspelt option is named, boot goes on")
    def _():
        bundle = images.bundle(f"{OUT}/option.cpio", f"{BUILD}/kernels/memory.elf")
        r = direct(bundle, "dom0_men=64M loglvl=loud iommu=on placeholder noreboot", timeout=60, machine={"mem": "256M"})
        need("Option 'dom0_men' is not known" in r.output, "the unknown option was not named", r)
        need("Option 'iommu' is not offered: the IOMMU" in r.output, "an option of Xen's was not answered", r)
        need("'placeholder'" not in r.output, "GRUB's placeholder was complained about", r)
        need("Option 'loglvl': value 'loud'" in r.output, "the bad value was not named", r)
        need("test kernel: PASS" in r.output, "the boot did not go on", r)

    for feature, cpu, words in (("NX", "qemu64,-nx", "reports no NX"), ("64-bit mode", "qemu64,-lm", "no 64-bit mode")):
        @test(f"refusal: processor without {feature}", cpu=cpu, words=words)
        def _(cpu, words):
            bundle = images.bundle(f"{OUT}/{cpu}.cpio", f"{BUILD}/kernels/memory.elf")
            r = direct(bundle, "", timeout=30, until=words, machine={"mem": "256M", "cpu": cpu})
            need(words in r.output, "the missing feature was not named", r)

    @test("formats: zstd, gzip, lz4 and xz payloads unpack")
    def _():
        # The same small kernel in a bzImage of our own making, once per format.
        elf = open(f"{BUILD}/kernels/memory.elf", "rb").read()
        for tool in (["zstd", "-19"], ["gzip", "-9"], ["lz4", "-l", "-9"], ["xz", "--check=crc32"]):
            packed = subprocess.run(tool + ["-c"], input=elf, capture_output=True, check=True).stdout
            head = bytearray(1024)
            head[0x1F1] = 1
            head[0x202:0x208] = b"HdrS\x0f\x02"
            head[0x24C:0x250] = (len(packed) + 4).to_bytes(4, "little")
            path = f"{OUT}/format-{tool[0]}.cpio"
            with open(path, "wb") as f:
                f.write(images.cpio([("kernel", bytes(head) + packed + len(elf).to_bytes(4, "little"), 0o100644)]))
            r = direct(path, "noreboot", timeout=60, machine={"mem": "256M"})
            need("test kernel: PASS" in r.output, f"{tool[0]}: the kernel did not run", r)


def boot_tests(kernel):
    initrd = images.initramfs(f"{OUT}/initramfs.cpio")
    bundle = images.bundle(f"{OUT}/linux.cpio", kernel, initrd)
    hv = "com1=115200,8n1 console=com1,vga loglvl=all guest_loglvl=all"
    dom0 = "console=hvc0 caisson.batch"
    iso = images.iso(f"{OUT}/linux.iso", f"{HV}/caisson.gz", kernel, initrd, hv, dom0)

    def linux(name, how, **kw):
        @test(f"boot: {name}")
        def _():
            boot = ("direct", ELF, bundle, f"{hv} -- {dom0}") if how == "direct" else (how, iso)
            r = machine.run(machine.command(boot, **kw), 300)
            need(REACHED in r.output, "userspace was not reached", r)
            need(not r.timed_out and r.status == 0, "the machine did not switch itself off", r)
            need("/sys/hypervisor/type: xen" in r.output, "dom0 does not know its hypervisor", r)
            need(not re.search(r"WARNING: CPU|BUG:|Oops|unchecked MSR", r.output), "dom0's kernel complains", r)
            clean(r)

    linux("BIOS, cpu max, 512M", "bios", cpu="max", mem="512M")
    linux("BIOS, cpu qemu64, 512M", "bios", cpu="qemu64", mem="512M")
    linux("UEFI, cpu max, 512M", "uefi", cpu="max", mem="512M")
    linux("UEFI, cpu qemu64, 1G", "uefi", cpu="qemu64", mem="1G")
    linux("direct, cpu max, 512M", "direct", cpu="max", mem="512M")
    linux("direct, cpu qemu64, 16G", "direct", cpu="qemu64", mem="16G")
    linux("BIOS, cpu max, 16G", "bios", cpu="max", mem="16G")
    linux("direct, four CPUs", "direct", cpu="max", mem="512M", smp=4)
    linux("direct, Intel-like CPU, i440fx", "direct", cpu="Skylake-Client", mem="512M", extra=["-machine", "pc"])

    for how in ("bios", "uefi"):
        @test(f"boot: relocated to the top of memory, {how}", how=how)
        def _(how):
            command("make", "-s", f"O=build/high-{how}", "EXTRA_ASFLAGS=-DMB2_PREFERENCE=2")
            high = images.iso(f"{OUT}/high-{how}.iso", f"{BUILD}/high-{how}/caisson.elf", kernel, initrd, hv, dom0)
            r = machine.run(machine.command((how, high)), 200)
            need(re.search(r"booted by GRUB.* at 1[c-f][0-9a-f]{6}", r.output), "the image was not moved", r)
            need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
            clean(r)

    @test("boot: load in dom0 on three vCPUs")
    def _():
        script = open(f"{TOP}/tests/boot/selftest.sh").read()
        loaded = images.bundle(f"{OUT}/load.cpio", kernel, images.initramfs(f"{OUT}/load-initramfs.cpio", script))
        r = direct(loaded, f"{hv} dom0_max_vcpus=3 -- {dom0}", timeout=900)
        need("caisson: selftest passed" in r.output, "the self test did not pass", r)
        need(not r.timed_out, "the machine did not switch itself off", r)
        clean(r)

    @test("boot: 10,000 forks and 200 processes")
    def _():
        script = open(f"{TOP}/tests/boot/selftest.sh").read().replace("${FORKS:-500}", "10000")
        loaded = images.bundle(f"{OUT}/forks.cpio", kernel, images.initramfs(f"{OUT}/forks-initramfs.cpio", script))
        r = direct(loaded, f"{hv} -- {dom0}", timeout=1200)
        need("caisson: selftest passed" in r.output, "the self test did not pass", r)
        clean(r)

    @test("console: a person types into dom0 and the debug keys")
    def _():
        shell = images.bundle(f"{OUT}/shell.cpio", kernel, initrd)
        typed = [("dom0#", "echo four $((2+2))\n"), ("four 4", "vi /root/f\n"), ("[K- /root/f", "ihello\x1b"),
                 ("hello", ":wq\n"), ("dom0#", "cat /root/f; top -b -n 1 | head -3\n"),
                 ("Load average", "\x01\x01\x01h\x01\x01\x01"), # in one go
                 ("=> this list", ""), ("Input goes to dom0", "\x01\x01\x01"), ("Input goes to Caisson", "d"),
                 ("registers of dom0", "q"), ("domains and their", "e"), ("event channels", "a"), ("timers", "i"),
                 ("interrupts", "w"), ("page-table walks", "l"), ("the log:", "m"), ("audit ok", "\x01\x01\x01"),
                 ("Input goes to dom0", "poweroff\n")]
        r = direct(shell, "-- console=hvc0", timeout=150, typed=typed)
        need("audit ok" in r.output and "FAILED" not in r.output, "the memory audit failed or was not reached", r)
        need(not r.timed_out, "what was typed did not get through", r)
        clean(r)

    def with_drivers(name, drivers, script, *expected, extra=(), typing=None):
        """drivers: in the order to load them, each with its parameters."""
        @test(f"device: {name}")
        def _():
            short = re.sub(r"\W+", "-", name)[:30]
            files = [(n + ".ko", open(packages.module_file(kernel, n), "rb").read()) for n in (d.split()[0] for d in drivers)]
            loads = "".join("insmod /{0}.ko {1} || exit 1\n".format(*d.partition(" ")[::2]) for d in drivers)
            initrd = images.initramfs(f"{OUT}/{short}-initramfs.cpio", "#!/bin/sh\n" + loads + script, files)
            seen = Seen(typing) if typing else None
            keys = monitor(f"{SOCKETS}/{short}.sock", ["sendkey a"], 0.5, seen, True) if typing else []
            r = direct(images.bundle(f"{OUT}/{short}.cpio", kernel, initrd), f"{hv} -- {dom0}", timeout=200, echo=seen,
                       machine={"extra": list(extra) + keys})
            need("caisson: selftest passed" in r.output, "the script did not pass", r)
            for e in expected:
                need(re.search(e, r.output), f"'{e}' was not printed", r)
            clean(r)

    def disk(name, megabytes):
        path = f"{OUT}/{name}.raw"
        with open(path, "wb") as f:
            f.truncate(megabytes << 20)
        return f"if=none,id=d,format=raw,file={path}"

    def network(name, drivers, wait, device, interrupts):
        with_drivers(name, drivers, f"""
sleep 1
ifconfig eth0 10.0.2.15 up || exit 1
sleep {wait}
ping -c 5 10.0.2.2 || exit 1
cat /proc/interrupts
""", "0% packet loss", rf"[1-9]\d* +xen-pirq +-?{interrupts}", extra=["-netdev", "user,id=n,restrict=on", "-device", f"{device},netdev=n"])

    virtio = ["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"]
    network("e1000e by INTx", ["e1000e IntMode=0"], 3, "e1000e", "ioapic-level.* eth0")
    network("e1000e by MSI-X", ["e1000e IntMode=2"], 3, "e1000e", "msi-x.* eth0")
    network("virtio-net by MSI-X", virtio + ["failover", "net_failover", "virtio_net"], 1, "virtio-net-pci", "msi-x .*virtio0-input")
    with_drivers("AHCI disk by MSI", ["scsi_common", "scsi_mod", "libata", "libahci", "ahci"], "sleep 3\ngrep ahci /proc/interrupts\n",
                 "QEMU HARDDISK", r"[1-9]\d* +xen-pirq +-msi.* ahci", extra=["-drive", disk("ahci", 16), "-device", "ide-hd,drive=d"])
    with_drivers("virtio-blk by MSI-X, what is written is read", virtio + ["virtio_blk"], """
sleep 1
dd if=/dev/urandom of=/tmp/random bs=64k count=256 2>/dev/null || exit 1
dd if=/tmp/random of=/dev/vda bs=64k conv=fsync 2>/dev/null || exit 1
echo 3 > /proc/sys/vm/drop_caches
dd if=/dev/vda of=/tmp/back bs=64k count=256 2>/dev/null || exit 1
cmp /tmp/random /tmp/back || exit 1
grep virtio /proc/interrupts
""", r"[1-9]\d* +xen-pirq +-msi-x .*virtio0-req", extra=["-drive", disk("virtio", 32), "-device", "virtio-blk-pci,drive=d"])
    with_drivers("xhci and a USB keyboard", ["usb-common", "usbcore", "xhci-hcd", "xhci-pci", "hid", "usbhid", "hid-generic", "evdev"], """
sleep 3
echo "waiting for a key"
for e in /dev/input/event*; do
    timeout 8 dd if=$e bs=24 count=2 2>/dev/null | od -An -tx2 | grep -q . && echo "a key came through $e"
done
grep xhci /proc/interrupts
""", "a key came through", r"[1-9]\d* +xen-pirq +-msi.* xhci_hcd", extra=["-device", "qemu-xhci", "-device", "usb-kbd"],
                 typing="waiting for a key")

    with_drivers("extended configuration space by MMCONFIG", [], """
dmesg | grep -E 'PCI: .*(MMCONFIG|ECAM)'
for d in /sys/bus/pci/devices/*; do
    [ "$(cat $d/device)" = 0x10d3 ] || continue
    # Reachable by MMCONFIG only: advanced error reporting at 100h.
    echo "at 100h:" $(dd if=$d/config bs=4 skip=64 count=1 2>/dev/null | od -An -tx2)
done
""", r"at 100h: 0001", extra=["-device", "e1000e"])
    with_drivers("HPET counts for dom0", [], """
devmem 0xfed00010 32 1 || exit 1
a=$(devmem 0xfed000f0 32); sleep 1; b=$(devmem 0xfed000f0 32)
n=$((b - a))
echo "HPET: $n ticks in a second"
[ $n -gt 50000000 ] && [ $n -lt 400000000 ] || exit 1
""", r"HPET: \d+ ticks")

    def ends(name, script, said, words="", until="Halted (noreboot)"):
        """How dom0 can end, and what the machine does then."""
        @test(f"end: {name}")
        def _():
            short = re.sub(r"\W+", "-", name)
            initrd = images.initramfs(f"{OUT}/end-{short}-initramfs.cpio", f"#!/bin/sh\n{script}\nsleep 20\n")
            r = direct(images.bundle(f"{OUT}/end-{short}.cpio", kernel, initrd), f"loglvl=all {words} -- console=hvc0 caisson.batch panic=1",
                       timeout=100, until=until)
            need(said in r.output, f"'{said}' was not printed", r)
            need(until in r.output if words else not r.timed_out, "the machine did not end in order", r)
            need("caisson: selftest" not in r.output, "dom0 went on", r)
            clean(r)

    ends("reboot", "reboot -f", "dom0 has ended: reboot")
    ends("poweroff", "poweroff -f", "entering S5")
    ends("halt", "halt -f", "reboot: System halted", until="The machine can be switched off now.")
    ends("emergency restart by SysRq", "echo b > /proc/sysrq-trigger", "dom0 has ended: reboot")
    ends("power-off by SysRq", "echo o > /proc/sysrq-trigger", "entering S5")
    ends("crash of the kernel", "echo c > /proc/sysrq-trigger", "dom0 has ended: crash")
    ends("crash of the kernel, noreboot", "echo c > /proc/sysrq-trigger", "dom0 has ended: crash", "noreboot")

    @test("boot: 64G machine")
    def _():
        r = direct(bundle, f"{hv} dom0_mem=512M -- {dom0}", timeout=300, machine={"cpu": "max", "mem": "64G"})
        need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
        clean(r)


# ---- the QEMU monitor: what only the machine's surroundings can do ----


def monitor_tests(kernel):
    initrd = images.initramfs(f"{OUT}/initramfs.cpio")

    @test("trap: NMIs all through boot and dom0")
    def _():
        bundle = images.bundle(f"{OUT}/nmi.cpio", kernel, initrd)
        args = machine.command(("direct", ELF, bundle, "loglvl=all guest_loglvl=all -- console=hvc0 caisson.batch"))
        # Not before: the firmware does not like NMIs.
        started = Seen("Caisson")
        r = machine.run(args + monitor(f"{SOCKETS}/nmi.sock", ["nmi"], 0.05, started, True), 120, echo=started)
        need(REACHED in r.output and not r.timed_out, "userspace was not reached", r)
        need("NMI received for unknown reason" in r.output, "dom0 saw no NMI", r)
        clean(r)

    @test("trap: nmi=fatal reports and stops")
    def _():
        bundle = images.bundle(f"{OUT}/nmi-fatal.cpio", f"{BUILD}/kernels/spin.elf")
        args = machine.command(("direct", ELF, bundle, "nmi=fatal noreboot"), mem="256M")
        started = Seen("Input goes to dom0")
        r = machine.run(args + monitor(f"{SOCKETS}/nmi-fatal.sock", ["nmi"], 1, started), 60, until="Halted (noreboot)",
                        echo=started)
        need("PANIC CAI-N01: NMI (nmi=fatal)" in r.output and "phase active" in r.output, "no report", r)
        need(r.output.count("PANIC") == 1, "more than one report", r)

    @test("trap: an exception in the 32-bit stub is reported")
    def _():
        r = provoke("check_cpu32", "set *(short *)$pc = 0x0b0f", "Halted. Please report")
        need("exception in the 32-bit boot stub, vector 00000006" in r.output, "no report", r)

    damages = {
        "#UD": ("set *(short *)$pc = 0x0b0f", "CAI-T06: invalid opcode"),
        "#PF": ("set $pc = 0x1234567000", "CAI-T0E: page fault"),
        "#DF": ("set $rsp = 0x1000", "CAI-T08: double fault"),
    }
    for phase, function in (("early_boot", "boot_info_sort_memory"), ("boot", "tsc_init"), ("smp_boot", "elf_parse"),
                            ("active", "do_xen_version")):
        for vector, (damage, words) in damages.items():
            @test(f"trap: {vector} of the hypervisor in phase {phase}", phase=phase, function=function, vector=vector,
                  damage=damage, words=words)
            def _(phase, function, vector, damage, words):
                bundle = images.bundle(f"{OUT}/fault-{phase}-{vector[1:]}.cpio", f"{BUILD}/kernels/memory.elf")
                r = provoke(function, damage, "(noreboot", bundle)
                need(f"PANIC {words}" in r.output and f"phase {phase}, context hypervisor, CPU 0" in r.output, "no report", r)
                need(r.output.count("PANIC") == 1 and "second fault" not in r.output, "not exactly one report", r)
                need(vector == "#PF" or function + "+0x" in r.output, "the place is not named", r)
                need(vector != "#PF" or "L4[0x000] = 0000000000000000" in r.output or phase == "active", "no page walk", r)

    @test("trap: the watchdog reports a hypervisor that loops, and nothing else")
    def _():
        bundle = images.bundle(f"{OUT}/watchdog.cpio", f"{BUILD}/kernels/memory.elf")
        r = provoke("do_xen_version", "set *(short *)$pc = 0xfeeb", "Halted (noreboot)", bundle, "noreboot watchdog watchdog_timeout=2")
        need("PANIC CAI-N04: watchdog: CPU 0 has run no timer for 2 seconds" in r.output and "do_xen_version+0x0" in r.output, "no report", r)
        # A guest that computes, and one that does many things, for longer than the limit.
        spin = images.bundle(f"{OUT}/watchdog-spin.cpio", f"{BUILD}/kernels/trap_mce_deaf.elf")
        r = direct(spin, "noreboot watchdog watchdog_timeout=2", timeout=6, machine={"mem": "256M"})
        need("watchdog: on, 2 s" in r.output and "computing" in r.output, "the watchdog was not on", r)
        clean(r)

    @test("boot: Linux with the watchdog on")
    def _():
        bundle = images.bundle(f"{OUT}/watchdog-linux.cpio", kernel, initrd)
        r = direct(bundle, "watchdog watchdog_timeout=3 -- console=hvc0 caisson.batch", timeout=120)
        need(REACHED in r.output and not r.timed_out and "NMI received" not in r.output, "userspace was not reached in order", r)
        clean(r)

    def screen(how):
        @test(f"console: the refusal is on the screen ({how})")
        def _():
            shot = f"{OUT}/screen-{how}.ppm"
            if os.path.exists(shot):
                os.unlink(shot)
            boot = (how, images.iso(f"{OUT}/nothing-{how}.iso", ELF, None, None, "noreboot", "")) if how != "direct" else \
                ("direct", ELF, None, "noreboot")
            halted = Seen("Halted (noreboot).")
            r = machine.run(machine.command(boot) + monitor(f"{SOCKETS}/screen-{how}.sock", [f"screendump {shot}", "quit"], 1, halted), 60,
                            echo=halted)
            need(os.path.exists(shot), "no screenshot was made")
            data = open(shot, "rb").read().split(b"\n", 3)
            lit = sum(1 for b in data[3][::3] if b > 0x60)
            need(lit > 5000, f"only {lit} pixels are lit")
            # What a telephone would read.
            seen = subprocess.run(["zbarimg", "-q", "--raw", shot], capture_output=True, text=True).stdout.strip()
            need(re.fullmatch(r"CAI-K01/0\.\d+/SMP-BOOT/0/IP:[0-9A-F]{16}/A:0/BT:[0-9A-F.]+", seen), f"the QR code says '{seen}'")

    for how in ("bios", "uefi", "direct"):
        screen(how)


def main():
    os.makedirs(OUT, exist_ok=True)
    packages.step("preparing tests")
    if "--full" in sys.argv:
        full_tests.register()
        sys.exit(0 if run_all(tests, 1) else 1)
    kernel = packages.download_kernel(f"{BUILD}/cache")
    build_tests()
    unit_tests()
    kernel_tests()
    refusal_tests(kernel)
    boot_tests(kernel)
    monitor_tests(kernel)
    clock_tests.register()
    efi_tests.register()
    memory_tests.register(kernel)
    kernels_tests.register()
    smp_tests.register(kernel)
    sched_tests.register()
    acpi_tests.register()
    speculation_tests.register(kernel)
    state_tests.register(kernel)
    guestabi_tests.register()
    fuzz_tests.register()
    mmu_tests.register()
    models_tests.register()
    console_tests.register()
    irq_tests.register()
    bench_tests.register()
    matrix_tests.register()
    bochs_tests.register()
    report_tests.register()
    mce_tests.register(kernel)
    recorder_tests.register()
    sweep_tests.register()
    # The long ones first: they run beside all others.
    long = [t for t in tests if "forks" in t[0] or "load in" in t[0]]
    selected = long + [t for t in tests if t not in long]
    if len(sys.argv) > 1:
        selected = [t for t in selected if any(word in t[0] for word in sys.argv[1:])]
    without = os.environ.get("CAISSON_WITHOUT", "").split()
    selected = [t for t in selected if not any(word in t[0] for word in without)]
    if not selected:
        sys.exit("no test's name contains one of these words")
    packages.step(f"running {len(selected)} tests")
    sys.exit(0 if run_all(selected, min(2, os.cpu_count() or 1)) else 1)


main()
