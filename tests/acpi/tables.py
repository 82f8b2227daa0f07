# SPDX-License-Identifier: MIT
"""ACPI tables of our own making, right or wrong in every field: bytes at physical addresses."""
import struct


def checksummed(data, at, wrong=False):
    """data with the byte at offset `at` set so that all bytes add up to 0; wrong: to 1."""
    data = bytearray(data)
    data[at] = 0
    data[at] = (int(wrong) - sum(data)) & 0xFF
    return bytes(data)


def table(signature, body, wrong_sum=False, length=None):
    """length: what the header says, if it is not the truth."""
    data = struct.pack("<4sIBB6s8sIII", signature, 36 + len(body) if length is None else length, 5, 0, b"CAITST", b"GENERATE", 1, 0,
                       1) + body
    return checksummed(data, 9, wrong_sum)


def rsdp(rsdt=0, xsdt=0, revision=2, signature=b"RSD PTR ", wrong_sum=False, wrong_extended=False):
    data = checksummed(struct.pack("<8sB6sBI", signature, 0, b"CAITST", revision, rsdt), 8, wrong_sum)
    return checksummed(data + struct.pack("<IQB3x", 36, xsdt, 0), 32, wrong_extended) if revision >= 2 else data


def xsdt(*pointers, **words):
    return table(words.pop("signature", b"XSDT"), b"".join(struct.pack("<Q", p) for p in pointers), **words)


def rsdt(*pointers, **words):
    return table(words.pop("signature", b"RSDT"), b"".join(struct.pack("<I", p) for p in pointers), **words)


# ---- MADT ----

ENABLED, CAPABLE = 1, 2


def entry(kind, body, length=None):
    return bytes([kind, len(body) + 2 if length is None else length]) + body


def cpu(apic_id, acpi_id=None, flags=ENABLED):
    return entry(0, struct.pack("<BBI", (apic_id if acpi_id is None else acpi_id) & 0xFF, apic_id, flags))


def x2cpu(apic_id, acpi_id=None, flags=ENABLED):
    return entry(9, struct.pack("<HIII", 0, apic_id, flags, (apic_id if acpi_id is None else acpi_id) & 0xFFFFFFFF))


def io_apic(address=0xFEC00000, gsi=0, number=0):
    return entry(1, struct.pack("<BBII", number, 0, address, gsi))


def override(irq, gsi, flags=0, bus=0):
    return entry(2, struct.pack("<BBIH", bus, irq, gsi, flags))


def nmi_source(gsi, flags=0):
    return entry(3, struct.pack("<HI", flags, gsi))


def local_nmi(processor=0xFF, lint=1, flags=0):
    return entry(4, struct.pack("<BHB", processor, flags, lint))


def x2_nmi(processor=0xFFFFFFFF, lint=1, flags=0):
    return entry(10, struct.pack("<HIB3x", flags, processor, lint))


def local_apic_address(address):
    return entry(5, struct.pack("<HQ", 0, address))


def madt(*entries, local_apic=0xFEE00000, flags=1, **words):
    return table(b"APIC", struct.pack("<II", local_apic, flags) + b"".join(entries), **words)


# ---- FADT: every field by its name (ACPI 6.4, table 5.9); a generic address is (space, address[, width, offset, access]) ----

FADT_FIELDS = (
    "firmware_ctrl:I dsdt:I reserved:B preferred_profile:B sci_int:H smi_cmd:I acpi_enable:B acpi_disable:B s4bios_req:B pstate_cnt:B "
    "pm1a_evt:I pm1b_evt:I pm1a_cnt:I pm1b_cnt:I pm2_cnt:I pm_tmr:I gpe0:I gpe1:I pm1_evt_len:B pm1_cnt_len:B pm2_cnt_len:B pm_tmr_len:B "
    "gpe0_len:B gpe1_len:B gpe1_base:B cst_cnt:B p_lvl2_lat:H p_lvl3_lat:H flush_size:H flush_stride:H duty_offset:B duty_width:B "
    "day_alarm:B month_alarm:B century:B boot_arch:H reserved2:B flags:I reset:G reset_value:B arm_boot_arch:H minor:B x_firmware_ctrl:Q "
    "x_dsdt:Q x_pm1a_evt:G x_pm1b_evt:G x_pm1a_cnt:G x_pm1b_cnt:G x_pm2_cnt:G x_pm_tmr:G x_gpe0:G x_gpe1:G sleep_control:G sleep_status:G "
    "hypervisor:Q").split()
# As QEMU's q35 has them.
FADT_DEFAULTS = {"pm1a_evt": 0x600, "pm1a_cnt": 0x604, "pm_tmr": 0x608, "pm1_evt_len": 4, "pm1_cnt_len": 2, "pm_tmr_len": 4, "sci_int": 9,
                 "flags": 0x84A5, "reset": (1, 0xCF9), "reset_value": 0x0F, "smi_cmd": 0xB2, "acpi_enable": 2, "acpi_disable": 3}


def _field(kind, value):
    if kind != "G":
        return struct.pack("<" + kind, value)
    space, address, width, offset, access = (*value, 8, 0, 1)[:5] if value else (0,) * 5
    return struct.pack("<BBBBQ", space, width, offset, access, address)


def fadt(cut=None, wrong_sum=False, length=None, **fields):
    """cut: whole length of a shorter table."""
    values = {**FADT_DEFAULTS, **fields}
    body = b"".join(_field(kind, values.pop(name, 0)) for name, kind in (f.split(":") for f in FADT_FIELDS))
    assert not values, f"no such field: {values}"
    return table(b"FACP", body[:cut - 36] if cut else body, wrong_sum, length)


def dmar(flags=0):
    return table(b"DMAR", struct.pack("<BB10x", 38, flags))
