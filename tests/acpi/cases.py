# SPDX-License-Identifier: MIT
"""
Firmware as it should not be. Each case: tables in memory, what the hypervisor makes of them, and a piece of each warning: no more and
no fewer than these are printed. `python3 cases.py FILE` writes the cases as C for tests/unit/test_acpi_cases.c.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tables import (CAPABLE, ENABLED, cpu, dmar, entry, fadt, io_apic, local_apic_address, local_nmi, madt,  # noqa: E402
                    nmi_source, override, rsdp, rsdt, table, x2_nmi, x2cpu, xsdt)

# Where the standard tables lie. Memory is RAM but for the last 64 KiB below 1 MiB and the 256 KiB above, which are the firmware's.
RSDP, RSDT, XSDT, MADT, FADT, MORE = 0xF0000, 0x100000, 0x101000, 0x102000, 0x110000, 0x111000
NORMAL = {"cpus": "0 1", "io_apics": "fec00000@0+24", "overrides": "0>2", "local_apic": "fee00000", "pm": "604 0 608", "reset": "1:cf9=f",
          "x2apic": "free", "nmis": "0:1 1:1"}
IRQ0 = override(0, 2)
SOUND = (cpu(0), cpu(1), io_apic(), IRQ0)
cases = []


def case(name, *says, chunks=None, rsdp_at=RSDP, **expected):
    """chunks: changes to the standard memory, address to bytes (None: nothing there)."""
    memory = {RSDP: rsdp(RSDT, XSDT), RSDT: rsdt(FADT, MADT), XSDT: xsdt(FADT, MADT), MADT: madt(*SOUND), FADT: fadt(), **(chunks or {})}
    want = {**NORMAL, **expected}
    cases.append((name, {a: d for a, d in memory.items() if d is not None}, rsdp_at, "; ".join(f"{k} {v}" for k, v in want.items()), says))


def with_madt(name, *says, entries, words=None, **expected):
    case(name, *says, chunks={MADT: madt(*entries, **(words or {}))}, **expected)


def with_fadt(name, *says, **fields_and_expected):
    expected = {k: fields_and_expected.pop(k) for k in list(fields_and_expected) if k.startswith("want_")}
    case(name, *says, chunks={FADT: fadt(**fields_and_expected)}, **{k[5:]: v for k, v in expected.items()})


NOTHING = {"cpus": "", "io_apics": "", "overrides": "", "pm": "0 0 0", "reset": "none"}
NO_MADT = {"cpus": "", "io_apics": "", "overrides": ""}
NO_FADT = {"pm": "0 0 0", "reset": "none"}
NO_TABLES = "no tables found"
NO_IO_APIC = "No I/O APIC"

# ---- processors ----
case("sound tables")
with_madt("a processor twice, both of type 0", "APIC id 1 is listed more than once", entries=SOUND + (cpu(1, 7),))
with_madt("a processor twice, both of type 9", "APIC id 1 is listed more than once",
          entries=(x2cpu(0), x2cpu(1), x2cpu(1), io_apic(), IRQ0))
with_madt("a processor as type 0 and as type 9", "APIC id 1 is listed more than once", entries=SOUND + (x2cpu(1),))
with_madt("a processor as type 9 and as type 0", "APIC id 1 is listed more than once",
          entries=(x2cpu(0), x2cpu(1), cpu(1), io_apic(), IRQ0))
with_madt("the boot processor twice", "APIC id 0 is listed more than once", entries=SOUND + (cpu(0),))
with_madt("every processor as both types", "APIC id 0 is listed more than once", "APIC id 1 is listed more than once",
          entries=SOUND + (x2cpu(0), x2cpu(1)))
with_madt("a processor three times", "APIC id 1 is listed more than once", "APIC id 1 is listed more than once",
          entries=SOUND + (cpu(1), x2cpu(1)))
with_madt("a repeat that is disabled", entries=SOUND + (cpu(1, flags=0),))
with_madt("a repeat that may come later", "APIC id 1 is listed more than once", entries=SOUND + (cpu(1, flags=CAPABLE),))
with_madt("only the repeat is enabled", "APIC id 1 is listed more than once",
          entries=(cpu(0), cpu(1, flags=CAPABLE), cpu(1), io_apic(), IRQ0))
with_madt("a processor that may come later", entries=(cpu(0), cpu(1), cpu(2, flags=CAPABLE), io_apic(), IRQ0), cpus="0 1 (2)")
with_madt("all reserved flags", entries=(cpu(0, flags=0xFFFFFFFF), cpu(1, flags=0xFFFFFFFC), io_apic(), IRQ0), cpus="0")
with_madt("disabled entries with id 255", entries=SOUND + (cpu(0xFF, flags=0), x2cpu(0xFFFFFFFF, flags=0)))
with_madt("id 255 in an xAPIC entry", "APIC id 255 means all", entries=SOUND + (cpu(0xFF),))
with_madt("id 255 in an xAPIC entry, to come later", "APIC id 255 means all", entries=SOUND + (cpu(0xFF, flags=CAPABLE),))
with_madt("id 255 in an x2APIC entry", entries=SOUND + (x2cpu(255),), cpus="0 1 255")
with_madt("processors that may come later take no other's place", *[f"APIC id {i}, which is not there" for i in (1002, 1000)],
          "APIC id 2 is left out", "No I/O APIC",
          entries=tuple(x2cpu(1000 + i, flags=CAPABLE if i in (0, 2) else ENABLED) for i in range(256)) + (cpu(0), cpu(1), cpu(2)),
          cpus=" ".join(["1", "1001", "0"] + [str(1000 + i) for i in range(3, 256)]), io_apics="", overrides="")
with_madt("id 256", entries=SOUND + (x2cpu(256),), cpus="0 1 256")
with_madt("ids whose low byte is a running processor's", entries=SOUND + (x2cpu(0x100), x2cpu(0x10001), x2cpu(0x80000000)),
          cpus="0 1 256 65537 2147483648")
with_madt("id 2^32 - 1", "APIC id 4294967295 means all", entries=SOUND + (x2cpu(0xFFFFFFFF),))
with_madt("id 2^32 - 2", entries=SOUND + (x2cpu(0xFFFFFFFE),), cpus="0 1 4294967294")
with_madt("sparse ids, the boot processor last", entries=(cpu(6), cpu(4), cpu(0), io_apic(), IRQ0), cpus="6 4 0")
with_madt("more processors than there is room for", *[f"APIC id {i} is left out" for i in (1256, 1257, 1258)],
          entries=tuple(x2cpu(1000 + i) for i in range(259)) + (io_apic(), IRQ0), cpus=" ".join(str(1000 + i) for i in range(256)))
with_madt("a thousand repeats", *["APIC id 1 is listed more than once"] * 24, "1000 entries were left out in all",
          entries=SOUND + (cpu(1),) * 1000)
with_madt("no processors", entries=(io_apic(), IRQ0), cpus="")
# ---- lengths ----
with_madt("an entry of length 0", "offset 74 has no sound length", entries=SOUND[:1] + SOUND[2:] + (entry(0, b"\0\1\1\0\0\0", 0), cpu(1)),
          cpus="0")
with_madt("an entry of length 1", "offset 82 has no sound length", entries=SOUND + (entry(0, b"\0\2\1\0\0\0", 1), cpu(3)))
with_madt("an entry longer than the table", "offset 82 has no sound length", entries=SOUND + (entry(0, b"\0\2\1\0\0\0", 200),))
with_madt("the table ends in an entry's header", "offset 82 has no sound length", entries=SOUND + (b"\0",))
with_madt("an entry cut short", "offset 82 has no sound length", entries=SOUND + (cpu(2)[:7],))
with_madt("a processor entry too short for its type", "type 0 has only 7 bytes", entries=SOUND + (entry(0, b"\2\2\1\0\0"),))
with_madt("an x2APIC entry too short for its type", "type 9 has only 12 bytes", entries=SOUND + (entry(9, bytes(10)),))
with_madt("an I/O APIC entry too short for its type", "type 1 has only 8 bytes", entries=SOUND + (entry(1, bytes(6)),))
with_madt("an override too short for its type", "type 2 has only 9 bytes", entries=SOUND + (entry(2, bytes(7)),))
with_madt("entries longer than their type", entries=(cpu(0), entry(0, b"\1\1\1\0\0\0" + bytes(9)), io_apic(), IRQ0))
with_madt("entries of unknown types", entries=SOUND + (entry(0x7F, bytes(30)), entry(0xFF, b"")))
with_madt("only the header", NO_IO_APIC, entries=(), **NO_MADT)
case("a MADT of 40 bytes", "APIC is malformed", NO_IO_APIC, chunks={MADT: table(b"APIC", bytes(4))}, **NO_MADT)
case("a MADT whose header says 0 bytes", "APIC at 102000 has an absurd length", "no table APIC", NO_IO_APIC,
     chunks={MADT: madt(*SOUND, length=0)}, **NO_MADT)
case("a MADT whose header says 2^32 - 1 bytes", "APIC at 102000 has an absurd length", "no table APIC", NO_IO_APIC,
     chunks={MADT: madt(*SOUND, length=0xFFFFFFFF)}, **NO_MADT)
case("a MADT cut off by its header", "APIC has a wrong checksum and is used", "offset 60 has no sound length", NO_IO_APIC,
     chunks={MADT: madt(*SOUND, length=66)}, io_apics="", overrides="")
# ---- I/O APICs ----
with_madt("an I/O APIC at 0", "address 0 makes no sense", entries=SOUND + (io_apic(0, 24, 1),))
with_madt("the only I/O APIC at 0", "address 0 makes no sense", NO_IO_APIC, entries=(cpu(0), cpu(1), io_apic(0), IRQ0), io_apics="")
with_madt("an I/O APIC in RAM", "address 200000 is memory", entries=SOUND + (io_apic(0x200000, 24),))
with_madt("an I/O APIC in ACPI memory", "address 102000 is memory", entries=SOUND + (io_apic(0x102000, 24),))
with_madt("an I/O APIC in the BIOS", "address f0000 makes no sense", entries=SOUND + (io_apic(0xF0000, 24),))
with_madt("an I/O APIC where the local APICs are", "fee00000 belongs to the local APICs", entries=SOUND + (io_apic(0xFEE00000, 24),))
with_madt("an I/O APIC at an odd address", "fec10001 makes no sense", entries=SOUND + (io_apic(0xFEC10001, 24),))
with_madt("an I/O APIC twice", "fec00000 is listed more than once", entries=SOUND + (io_apic(),))
with_madt("an I/O APIC twice, with other GSIs", "fec00000 is listed more than once", entries=SOUND + (io_apic(gsi=24),))
with_madt("two I/O APICs", entries=SOUND + (io_apic(0xFEC10000, 24),), io_apics="fec00000@0+24 fec10000@24+24")
with_madt("GSIs of two I/O APICs overlap", "fec10000 has GSIs of another", entries=SOUND + (io_apic(0xFEC10000, 20),))
with_madt("the same GSIs twice", "fec10000 has GSIs of another", entries=SOUND + (io_apic(0xFEC10000, 0),))
with_madt("GSIs far away", "fec10000 has GSIs beyond", entries=SOUND + (io_apic(0xFEC10000, 0xFFFFFFF0),))
with_madt("GSIs with a gap", entries=SOUND + (io_apic(0xFEC10000, 1000),), io_apics="fec00000@0+24 fec10000@1000+24")
with_madt("an I/O APIC that is not there", "fed80000 does not answer", entries=SOUND + (io_apic(0xFED80000, 24),))
with_madt("an I/O APIC that reads as 0", "fed90000 does not answer", entries=SOUND + (io_apic(0xFED90000, 24),))
with_madt("ten I/O APICs", entries=SOUND + tuple(io_apic(0xFEC00000 + i * 0x1000, 24 * i, i) for i in range(1, 10)),
          io_apics=" ".join(f"{0xFEC00000 + i * 0x1000:x}@{24 * i}+24" for i in range(10)))
# ---- overrides, NMIs, the local APIC ----
with_madt("an override twice", "bus 0, interrupt 0 comes a second time", entries=SOUND + (override(0, 5),))
with_madt("an override of another bus", "bus 3, interrupt 5 is not one of the ISA bus", entries=SOUND + (override(5, 5, bus=3),))
with_madt("an override of interrupt 200", "bus 0, interrupt 200 is not one", entries=SOUND + (override(200, 5),))
with_madt("an override to a GSI that no I/O APIC has", entries=SOUND + (override(9, 4000000000, 0xF),), overrides="0>2 9>4000000000LA")
with_madt("two interrupts on one GSI", entries=SOUND + (override(5, 9, 0xD), override(9, 9, 0xF)), overrides="0>2 5>9L 9>9LA")
with_madt("reserved polarity and trigger", entries=SOUND + (override(9, 9, 0xFFFA),), overrides="0>2 9>9")
with_madt("all sixteen overrides, some twice", *[f"interrupt {i} comes a second time" for i in range(4)],
          overrides=" ".join(f"{i}>{i + 4}" for i in range(16)),
          entries=(cpu(0), cpu(1), io_apic()) + tuple(override(i % 16, i % 16 + 4) for i in range(20)))
with_madt("NMI entries of all kinds", "LINT200 of UID 0x7 is at none", nmis="0:1 1:0LA 1:1",
          entries=SOUND + (local_nmi(), local_nmi(1, 0, 0xF), x2_nmi(), x2_nmi(7, 200), nmi_source(2), nmi_source(0xFFFFFFFF)))
with_madt("NMI at LINT0 of all", entries=(local_nmi(lint=0),) + SOUND, nmis="0:0 1:0")
with_madt("NMI at LINT0 of all, in an x2APIC entry", entries=SOUND + (x2_nmi(lint=0, flags=3),), nmis="0:0A 1:0A")
with_madt("NMI at one processor, by its UID", entries=(cpu(0, 8), cpu(1, 9), io_apic(), IRQ0, local_nmi(9, 1, 0xC)), nmis="1:1L")
with_madt("NMI at one processor, by a long UID", entries=(x2cpu(0, 0x108), x2cpu(1, 8), io_apic(), IRQ0, x2_nmi(0x108, 1)), nmis="0:1")
with_madt("NMI at each processor, by UID", entries=SOUND + (local_nmi(0), x2_nmi(1, 0)), nmis="0:1 1:0")
with_madt("NMI at a processor that is not there", entries=SOUND + (local_nmi(77),), nmis="none")
with_madt("UID 255 in an x2APIC entry is one processor's", entries=(x2cpu(0, 255), x2cpu(1), io_apic(), IRQ0, x2_nmi(255)), nmis="0:1")
with_madt("reserved polarity and trigger of an NMI", entries=SOUND + (local_nmi(flags=0xFFFA),))
with_madt("NMI twice, with other flags", "LINT1 of UID 0xffffffff comes a second time", entries=SOUND + (local_nmi(), x2_nmi(flags=0xF)))
with_madt("NMI at LINT2 alone", "LINT2 of UID 0 is at none", entries=SOUND + (local_nmi(0, 2),))
with_madt("an NMI entry too short for its type", "type 4 has only 5 bytes", "type 10 has only 11 bytes",
          entries=SOUND + (entry(4, bytes(3)), entry(10, bytes(9))))
with_madt("more NMI entries than there is room for", *["is one too many"] * 2, nmis="0:0 1:0",
          entries=SOUND + tuple(x2_nmi(i, 0) for i in range(258)))
with_madt("an address override for the local APIC", entries=SOUND + (local_apic_address(0xFEE00000),), words={"local_apic": 0})
with_madt("a local APIC above 4 GiB", entries=SOUND + (local_apic_address(0x123456789000),), local_apic="123456789000")
# ---- checksums and roots ----
case("a MADT with a wrong checksum", "APIC has a wrong checksum and is used", chunks={MADT: madt(*SOUND, wrong_sum=True)})
case("a FADT with a wrong checksum", "FACP has a wrong checksum and is used", chunks={FADT: fadt(wrong_sum=True)})
case("another table with a wrong checksum", "DMAR has a wrong checksum and is not used",
     chunks={XSDT: xsdt(FADT, MADT, MORE), MORE: bytes([b ^ (i == 30) for i, b in enumerate(dmar(2))])})
case("the second MADT is the sound one", chunks={XSDT: xsdt(FADT, MORE, MADT), MORE: madt(cpu(9), wrong_sum=True)})
case("two sound MADTs", chunks={XSDT: xsdt(FADT, MADT, MORE), MORE: madt(cpu(9), io_apic(0xFEC10000))})
case("no MADT", "no table APIC", NO_IO_APIC, chunks={RSDT: rsdt(FADT), XSDT: xsdt(FADT)}, **NO_MADT)
case("no FADT", "no table FACP", chunks={RSDT: rsdt(MADT), XSDT: xsdt(MADT)}, **NO_FADT)
case("only in the RSDT", chunks={XSDT: xsdt(FADT)})
case("null pointers, pointers to nowhere", chunks={XSDT: xsdt(0, 0xFFFFFFFFFFFFFFFF, FADT, 1 << 45, 1 << 41, 0, MADT)})
case("a pointer to the end of the address space", chunks={XSDT: xsdt(0xFFFFFFFFFFFFFFFC, (1 << 40) - 8, FADT, MADT)})
case("an XSDT with half an entry", chunks={XSDT: table(b"XSDT", xsdt(FADT, MADT)[36:] + b"\1\2\3")})
case("ACPI 1.0", chunks={RSDP: rsdp(RSDT, revision=0), XSDT: None})
case("revision 2 without an XSDT", "names no XSDT", chunks={RSDP: rsdp(RSDT, 0), XSDT: None})
case("an XSDT that is somewhere else", "no XSDT at 300000", chunks={RSDP: rsdp(RSDT, 0x300000), XSDT: None})
case("an XSDT beyond memory", "no XSDT at ffffffffffffffff", chunks={RSDP: rsdp(RSDT, 0xFFFFFFFFFFFFFFFF), XSDT: None})
case("an XSDT with a wrong checksum, a sound RSDT", "XSDT at 101000 has a wrong checksum",
     chunks={XSDT: xsdt(FADT, 0x300000, wrong_sum=True)})
case("both with wrong checksums", "XSDT at 101000 has a wrong checksum", "RSDT at 100000 has a wrong checksum", "and is used all the same",
     chunks={XSDT: xsdt(FADT, MADT, wrong_sum=True), RSDT: rsdt(FADT, wrong_sum=True)})
case("an XSDT with another signature", "no XSDT at 101000", chunks={XSDT: xsdt(FADT, MADT, signature=b"XXDT")})
case("an XSDT of no length", "no XSDT at 101000", chunks={XSDT: xsdt(FADT, MADT, length=0)})
case("an XSDT of 2 MiB", "no XSDT at 101000", chunks={XSDT: xsdt(FADT, MADT, length=0x200000)})
case("an empty XSDT", chunks={XSDT: xsdt()})
case("no root at all", "no XSDT at 101000", "no RSDT at 100000", NO_TABLES, NO_IO_APIC, chunks={XSDT: None, RSDT: None}, **NOTHING)
case("an RSDP that names nothing", "names no XSDT", NO_TABLES, NO_IO_APIC, chunks={RSDP: rsdp()}, **NOTHING)
case("an extended checksum that is wrong", "wrong extended checksum", chunks={RSDP: rsdp(RSDT, XSDT, wrong_extended=True)})
case("the loader's RSDP has a wrong checksum, the BIOS's is sound", "RSDP at 111000 has a wrong checksum",
     chunks={MORE: rsdp(0x300000, 0x300000, wrong_sum=True)}, rsdp_at=MORE)
case("the only RSDP has a wrong checksum", "RSDP at 111000 has a wrong checksum",
     chunks={RSDP: None, MORE: rsdp(RSDT, XSDT, wrong_sum=True)}, rsdp_at=MORE)
case("the loader's RSDP is none", "RSDP at 112000 is none", rsdp_at=0x112000)
case("the loader's RSDP is beyond memory", "RSDP at ffffffffffffff00 is none", rsdp_at=0xFFFFFFFFFFFFFF00)
case("the RSDP is found by its signature", rsdp_at=0)
case("no RSDP", NO_TABLES, NO_IO_APIC, chunks={RSDP: None}, rsdp_at=0, **NOTHING)
# ---- FADT ----
with_fadt("a FADT of ACPI 1.0", cut=116, want_reset="none")
with_fadt("a FADT without a value for its reset register", cut=128, want_reset="none")
with_fadt("a FADT shorter than ACPI 1.0's", "FACP is malformed", cut=100, want_pm="0 0 0", want_reset="none")
with_fadt("a FADT that ends inside X_PM1a_CNT_BLK", cut=180, x_pm1a_cnt=(1, 0x1804))
with_fadt("generic addresses count", x_pm1a_cnt=(1, 0x1804), x_pm1b_cnt=(1, 0x1904), x_pm_tmr=(1, 0x1808, 32, 0, 3),
          want_pm="1804 1904 1808")
with_fadt("only generic addresses", pm1a_cnt=0, pm_tmr=0, x_pm1a_cnt=(1, 0x1804), x_pm_tmr=(1, 0x1808), want_pm="1804 0 1808")
with_fadt("blocks among the mainboard's devices", "X_PM_TMR_BLK, 40 in", "PM1a_CNT_BLK, 60,", "PM_TMR_BLK, 70,", pm1a_cnt=0x60, pm_tmr=0x70,
          x_pm_tmr=(1, 0x40), want_pm="0 0 0")
with_fadt("a PM timer in memory", "X_PM_TMR_BLK, fed40000 in address space 0", pm_tmr=0, x_pm_tmr=(0, 0xFED40000), want_pm="604 0 0")
with_fadt("a generic address in memory, the old one a port", "X_PM_TMR_BLK, fed40000 in address space 0", x_pm_tmr=(0, 0xFED40000))
with_fadt("ports above ffffh", "PM1a_CNT_BLK, 10604", "PM_TMR_BLK, fffe", pm1a_cnt=0x10604, pm_tmr=0xFFFE, want_pm="0 0 0")
with_fadt("a generic port above ffffh", "X_PM1a_CNT_BLK, 100000604", x_pm1a_cnt=(1, 0x100000604))
with_fadt("hardware-reduced", flags=0x100400 | 0xA5, want_pm="0 0 0")
with_fadt("no reset register", flags=0xA5, want_reset="none")
with_fadt("a reset register in memory", reset=(0, 0xFED50000), want_reset="0:fed50000=f")
with_fadt("a reset register in RAM", "reset register, 200000 in address space 0", reset=(0, 0x200000), want_reset="none")
with_fadt("a reset register in page 0", "reset register, 0 in address space 0", reset=(0, 0), want_reset="none")
with_fadt("a reset register beyond the processor's addresses", "reset register, 20000000000 in address space 0", reset=(0, 1 << 41),
          want_reset="none")
with_fadt("a reset register in PCI space", reset=(2, 0x001F000000AC), want_reset="2:1f000000ac=f")
with_fadt("a reset register of PCI device 32", "in address space 2", reset=(2, 0x0020000000AC), want_reset="none")
with_fadt("a reset register in port 10cf9h", "reset register, 10cf9 in address space 1", reset=(1, 0x10CF9), want_reset="none")
with_fadt("a reset register in an unknown space", "in address space 127", reset=(127, 0xCF9), want_reset="none")
# ---- x2APIC ----
case("the firmware wants x2APIC off", chunks={XSDT: xsdt(FADT, MADT, MORE), MORE: dmar(3)}, x2apic="off")
case("a DMAR that says nothing", chunks={XSDT: xsdt(FADT, MADT, MORE), MORE: dmar(1)})
case("a DMAR of 37 bytes", "DMAR is malformed", chunks={XSDT: xsdt(FADT, MADT, MORE), MORE: table(b"DMAR", b"\2")})


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_c(out):
    for n, (name, chunks, rsdp_at, expected, says) in enumerate(cases):
        for address, data in chunks.items():
            out.write(f"static const u8 c{n}_{address:x}[] = {{ {','.join(map(str, data))} }};\n")
        listed = ", ".join(f"{{ 0x{a:x}, sizeof(c{n}_{a:x}), c{n}_{a:x} }}" for a in chunks)
        out.write(f"static const struct chunk c{n}[] = {{ {listed} }};\n")
        out.write(f"static const char *const says{n}[] = {{ " + "".join(c_string(s) + ", " for s in says) + "NULL };\n")
    out.write("static const struct acpi_case cases[] = {\n")
    for n, (name, chunks, rsdp_at, expected, says) in enumerate(cases):
        out.write(f"    {{ {c_string(name)}, 0x{rsdp_at:x}ULL, c{n}, {len(chunks)}, {c_string(expected)}, says{n} }},\n")
    out.write("};\n")


if __name__ == "__main__":
    with open(sys.argv[1], "w") as f:
        write_c(f)
