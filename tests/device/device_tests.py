# SPDX-License-Identifier: MIT
"""Devices of dom0's: their interrupts by every way, DMA, configuration space, timers."""
import re

from boot.boot_tests import DOM0, WORDS
from caisson import images, machine, packages
from harness import OUT, SOCKETS, Seen, clean, direct, linux, monitor, need, test


def with_drivers(name, drivers, script, *expected, extra=(), typing=None):
    """Linux that loads drivers in this order, each with its parameters, and runs a script. typing: a text after which a key is pressed."""
    short = re.sub(r"\W+", "-", name)[:30]
    files = [(n + ".ko", open(packages.module_file(linux(), n), "rb").read()) for n in (d.split()[0] for d in drivers)]
    loads = "".join("insmod /{0}.ko {1} || exit 1\n".format(*d.partition(" ")[::2]) for d in drivers)
    initrd = images.initramfs(f"{OUT}/{short}-initramfs.cpio", "#!/bin/sh\n" + loads + script, files)
    seen = Seen(typing) if typing else None
    keys = monitor(f"{SOCKETS}/{short}.sock", ["sendkey a"], 0.5, seen, True) if typing else []
    r = direct(images.bundle(f"{OUT}/{short}.cpio", linux(), initrd), f"{WORDS} -- {DOM0}", timeout=200, echo=seen,
               machine={"extra": list(extra) + keys})
    need("caisson: selftest passed" in r.output, "the script did not pass", r)
    for e in expected:
        need(re.search(e, r.output), f"'{e}' was not printed", r)
    clean(r)


def disk(name, megabytes):
    """The value of -drive for an empty disk."""
    path = f"{OUT}/{name}.raw"
    with open(path, "wb") as f:
        f.truncate(megabytes << 20)
    return f"if=none,id=d,format=raw,file={machine.value(path)}"


VIRTIO = ["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"]
CARDS = [
    {"name": "e1000e by INTx", "drivers": ["e1000e IntMode=0"], "wait": 3, "device": "e1000e", "interrupts": "ioapic-level.* eth0"},
    {"name": "e1000e by MSI-X", "drivers": ["e1000e IntMode=2"], "wait": 3, "device": "e1000e", "interrupts": "msi-x.* eth0"},
    {"name": "virtio-net by MSI-X", "drivers": VIRTIO + ["failover", "net_failover", "virtio_net"], "wait": 1, "device": "virtio-net-pci",
     "interrupts": "msi-x .*virtio0-input"},
]


@test("device: {name}", each=CARDS)
def network(name, drivers, wait, device, interrupts):
    """Packets go out and come back, by the interrupts that the driver was told to use."""
    with_drivers(name, drivers, f"""
sleep 1
ifconfig eth0 10.0.2.15 up || exit 1
sleep {wait}
ping -c 5 10.0.2.2 || exit 1
cat /proc/interrupts
""", "0% packet loss", rf"[1-9]\d* +xen-pirq +-?{interrupts}", extra=["-netdev", "user,id=n,restrict=on", "-device", f"{device},netdev=n"])


@test("device: AHCI disk by MSI")
def ahci():
    """The driver finds its disk."""
    with_drivers("AHCI disk by MSI", ["scsi_common", "scsi_mod", "libata", "libahci", "ahci"], "sleep 3\ngrep ahci /proc/interrupts\n",
                 "QEMU HARDDISK", r"[1-9]\d* +xen-pirq +-msi.* ahci", extra=["-drive", disk("ahci", 16), "-device", "ide-hd,drive=d"])


@test("device: virtio-blk by MSI-X, what is written is read")
def virtio_blk():
    """16 MiB, past the page cache."""
    with_drivers("virtio-blk by MSI-X, what is written is read", VIRTIO + ["virtio_blk"], """
sleep 1
dd if=/dev/urandom of=/tmp/random bs=64k count=256 2>/dev/null || exit 1
dd if=/tmp/random of=/dev/vda bs=64k conv=fsync 2>/dev/null || exit 1
echo 3 > /proc/sys/vm/drop_caches
dd if=/dev/vda of=/tmp/back bs=64k count=256 2>/dev/null || exit 1
cmp /tmp/random /tmp/back || exit 1
grep virtio /proc/interrupts
""", r"[1-9]\d* +xen-pirq +-msi-x .*virtio0-req", extra=["-drive", disk("virtio", 32), "-device", "virtio-blk-pci,drive=d"])


@test("device: xhci and a USB keyboard")
def usb_keyboard():
    """A key reaches a program."""
    with_drivers("xhci and a USB keyboard", ["usb-common", "usbcore", "xhci-hcd", "xhci-pci", "hid", "usbhid", "hid-generic", "evdev"], """
sleep 3
echo "waiting for a key"
for e in /dev/input/event*; do
    timeout 8 dd if=$e bs=24 count=2 2>/dev/null | od -An -tx2 | grep -q . && echo "a key came through $e"
done
grep xhci /proc/interrupts
""", "a key came through", r"[1-9]\d* +xen-pirq +-msi.* xhci_hcd", extra=["-device", "qemu-xhci", "-device", "usb-kbd"],
                 typing="waiting for a key")


@test("device: extended configuration space by MMCONFIG")
def mmconfig():
    """A register that no other way reaches."""
    with_drivers("extended configuration space by MMCONFIG", [], """
dmesg | grep -E 'PCI: .*(MMCONFIG|ECAM)'
for d in /sys/bus/pci/devices/*; do
    [ "$(cat $d/device)" = 0x10d3 ] || continue
    # Reachable by MMCONFIG only: advanced error reporting at 100h.
    echo "at 100h:" $(dd if=$d/config bs=4 skip=64 count=1 2>/dev/null | od -An -tx2)
done
""", r"at 100h: 0001", extra=["-device", "e1000e"])


@test("device: HPET counts for dom0")
def hpet():
    """The hypervisor leaves it running."""
    with_drivers("HPET counts for dom0", [], """
devmem 0xfed00010 32 1 || exit 1
a=$(devmem 0xfed000f0 32); sleep 1; b=$(devmem 0xfed000f0 32)
n=$((b - a))
echo "HPET: $n ticks in a second"
[ $n -gt 50000000 ] && [ $n -lt 400000000 ] || exit 1
""", r"HPET: \d+ ticks")
