# SPDX-License-Identifier: MIT
"""What cannot be started is refused in a sentence that says what to do; what is only misspelt is named, and the boot goes on."""
import subprocess

from caisson import images
from harness import OUT, bundle, direct, linux, need, once, test, test_kernel


def damaged_elf(head, at, replacement):
    """A test kernel one of whose notes is changed: found by its head."""
    elf = bytearray(open(test_kernel("memory"), "rb").read())
    note = elf.index(head) + 16
    elf[note + at:note + at + len(replacement)] = replacement
    return bytes(elf)


@once
def linux_parts():
    """Linux's bzImage, and where its compressed payload starts and how long it is."""
    data = open(linux(), "rb").read()
    start = ((data[0x1F1] or 4) + 1) * 512 + int.from_bytes(data[0x248:0x24C], "little")
    return data, start, int.from_bytes(data[0x24C:0x250], "little")


def damaged_linux(offset, replacement):
    """Linux with other bytes in its payload; offsets below 0 count from its end."""
    data, start, length = linux_parts()
    changed = bytearray(data)
    at = start + offset if offset >= 0 else start + length + offset
    changed[at:at + len(replacement)] = replacement
    return bytes(changed)


def damaged_middle():
    """Linux with a byte inverted in the middle of its payload."""
    data, start, length = linux_parts()
    return damaged_linux(length // 2, bytes([data[start + length // 2] ^ 0xFF]))


# module: a function that makes the kernel's file, or None for no module at all.
REFUSALS = [
    {"name": "no module", "module": None, "words": ["no dom0 kernel was loaded", "module2"]},
    {"name": "no kernel", "module": lambda: b"this is a text file, no kernel at all\n" * 100,
     "words": ["the first module is no Linux kernel", "CAI-K06", "Try: Name the kernel (vmlinuz)"]},
    {"name": "truncated kernel", "module": lambda: linux_parts()[0][:len(linux_parts()[0]) // 2],
     "words": ["the kernel file is truncated", "CAI-K07", "Try: Install the kernel's package again"]},
    {"name": "damaged payload", "module": damaged_middle, "words": ["the kernel's compressed data is damaged", "CAI-K07"]},
    {"name": "unknown compression", "module": lambda: damaged_linux(0, b"BZh91A"),
     "words": ["not one of xz, zstd, gzip, lz4", "CAI-K08", "Try: Use a kernel compressed with xz"]},
    {"name": "absurd unpacked size", "module": lambda: damaged_linux(-4, b"\0\0\0\xff"),
     "words": ["unpacked size makes no sense", "CAI-K07"]},
    {"name": "kernel for other guests", "module": lambda: damaged_elf(b"\x04\0\0\0\x08\0\0\0\x05\0\0\0Xen\0xen-3.0", 0, b"xen-2.0"),
     "words": ["do not say xen-3.0", "CONFIG_XEN_PV"]},
    {"name": "hypercall page outside the kernel",
     "module": lambda: damaged_elf(b"\x04\0\0\0\x08\0\0\0\x02\0\0\0Xen\0", 0, (2**64 - 4096).to_bytes(8, "little")),
     "words": ["the kernel's addresses make no sense"]},
    {"name": "too little memory", "module": lambda: linux_parts()[0], "words": ["too little memory"], "mem": "112M"},
    {"name": "dom0_mem too small", "module": lambda: linux_parts()[0],
     "words": ["too little memory for dom0", "CAI-K03", "Try: Raise dom0_mem="],
     "args": "noreboot dom0_mem=16M"},
]


@test("refusal: {name}", each=REFUSALS)
def refusal(name, module, words, args="noreboot", mem="512M"):
    """The machine halts, and says why."""
    path = None
    if module:
        path = f"{OUT}/refusal-{name.replace(' ', '-')}"
        images.write(path, images.cpio([("kernel", module(), 0o100644)]))
    r = direct(path, args, timeout=90, until="Halted (noreboot)", machine={"mem": mem})
    for w in words:
        need(w in r.output, f"'{w}' was not printed", r)
    need("Halted (noreboot)" in r.output, "the machine did not halt in order", r)


@test("refusal: misspelt option is named, boot goes on")
def misspelt_option():
    """Unknown options, those of Xen's that are not offered, and values that make no sense."""
    r = direct(bundle("memory"), "dom0_men=64M loglvl=loud iommu=on placeholder noreboot", timeout=60, machine={"mem": "256M"})
    need("Option 'dom0_men' is not known" in r.output, "the unknown option was not named", r)
    need("Option 'iommu' is not offered: the IOMMU" in r.output, "an option of Xen's was not answered", r)
    need("'placeholder'" not in r.output, "GRUB's placeholder was complained about", r)
    need("Option 'loglvl': value 'loud'" in r.output, "the bad value was not named", r)
    need("test kernel: PASS" in r.output, "the boot did not go on", r)


@test("refusal: processor without {feature}", each=[
    {"feature": "NX", "cpu": "qemu64,-nx", "words": "reports no NX"},
    {"feature": "64-bit mode", "cpu": "qemu64,-lm", "words": "no 64-bit mode"},
    {"feature": "SSE", "cpu": "max,-sse", "words": "reports no SSE2"}, {"feature": "CMOV", "cpu": "max,-cmov", "words": "or no CMOV"}])
def processor(feature, cpu, words):
    """A processor that cannot run the hypervisor."""
    r = direct(bundle("memory"), "", timeout=30, until=words, machine={"mem": "256M", "cpu": cpu})
    need(words in r.output, f"the missing feature was not named: {feature}", r)


@test("formats: zstd, gzip, lz4 and xz payloads unpack")
def formats():
    """The same small kernel in a bzImage of our own making, once per format."""
    elf = open(test_kernel("memory"), "rb").read()
    for tool in (["zstd", "-19"], ["gzip", "-9"], ["lz4", "-l", "-9"], ["xz", "--check=crc32"]):
        packed = subprocess.run(tool + ["-c"], input=elf, capture_output=True, check=True).stdout
        head = bytearray(1024)
        head[0x1F1] = 1
        head[0x202:0x208] = b"HdrS\x0f\x02"
        head[0x24C:0x250] = (len(packed) + 4).to_bytes(4, "little")
        path = f"{OUT}/format-{tool[0]}.cpio"
        images.write(path, images.cpio([("kernel", bytes(head) + packed + len(elf).to_bytes(4, "little"), 0o100644)]))
        r = direct(path, "noreboot", timeout=60, machine={"mem": "256M"})
        need("test kernel: PASS" in r.output, f"{tool[0]}: the kernel did not run", r)
