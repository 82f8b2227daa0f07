/* SPDX-License-Identifier: MIT */
/*
 * Reading the MADT and the FADT. Firmware is not trusted: each entry is looked at by itself, one that
 * makes no sense is named and left out, and what is sound is used.
 */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/printk.h>
#include <hv/x86/cpu.h>
#include <hv/x86/apic.h>

struct acpi_info acpi __ro_after_init;

u32 acpi_id_of(u32 apic_id)
{
    for (u32 i = 0; i < acpi.nr_cpus; i++)
        if (acpi.cpus[i].apic_id == apic_id)
            return acpi.cpus[i].acpi_id;
    return ~0u;
}

static u8 sum_of(const void *p, u32 length)
{
    u8 sum = 0;

    for (u32 i = 0; i < length; i++)
        sum = (u8)(sum + ((const u8 *)p)[i]);
    return sum;
}

bool acpi_checksum_ok(const void *p, u32 length) { return sum_of(p, length) == 0; }

/* ---- MADT ---- */

#define LEFT_OUT_LINES 24 /* a table may hold a hundred thousand entries, and the serial line is slow */

static void __printf(2, 3) left_out(struct acpi_info *a, const char *fmt, ...)
{
    va_list args;

    if (a->nr_left_out++ >= LEFT_OUT_LINES)
        return;
    va_start(args, fmt);
    vprintk(fmt, args);
    va_end(args);
}

/* A free place. Where there is none, a processor that is there takes that of one which may come some day; ACPI_MAX_CPUS: no place. */
static u32 cpu_slot(struct acpi_info *a, bool enabled)
{
    u32 at = a->nr_cpus;

    if (at < ACPI_MAX_CPUS) {
        a->nr_cpus++;
        return at;
    }
    while (enabled && at--)
        if (!a->cpus[at].enabled) {
            left_out(a, LOG_WARN "ACPI: more than %u processors: APIC id %u, which is not there, is left out\n", ACPI_MAX_CPUS,
                     a->cpus[at].apic_id);
            return at;
        }
    return ACPI_MAX_CPUS;
}

static void use_cpu(struct acpi_info *a, u32 apic_id, u32 acpi_id, u32 flags)
{
    if (!(flags & 3))
        return; /* neither there nor able to come: whatever its id */
    for (u32 i = 0; i < a->nr_cpus; i++)
        if (a->cpus[i].apic_id == apic_id) {
            left_out(a, LOG_WARN "ACPI: APIC id %u is listed more than once: the processor counts once\n", apic_id);
            a->cpus[i].enabled |= flags & 1;
            return;
        }
    u32 at = cpu_slot(a, flags & 1);
    if (at == ACPI_MAX_CPUS) {
        left_out(a, LOG_WARN "ACPI: more than %u processors: APIC id %u is left out\n", ACPI_MAX_CPUS, apic_id);
        return;
    }
    a->cpus[at] = (struct acpi_cpu){ apic_id, acpi_id, .enabled = flags & 1 };
}

static void use_local_apic(struct acpi_info *a, const u8 *e)
{
    u32 flags = read_u32(e + 4);

    if (e[3] == 0xff && (flags & 3))
        left_out(a, LOG_WARN "ACPI: APIC id 255 means all processors in an xAPIC entry: it is left out\n");
    else
        use_cpu(a, e[3], e[2], flags);
}

static void use_x2apic(struct acpi_info *a, const u8 *e)
{
    u32 id = read_u32(e + 4), flags = read_u32(e + 8);

    if (id == ~0u && (flags & 3))
        left_out(a, LOG_WARN "ACPI: APIC id %u means all processors: it is left out\n", id);
    else
        use_cpu(a, id, read_u32(e + 12), flags);
}

/* Why no I/O APIC can lie there, or NULL. */
static const char *io_apic_misplaced(const struct acpi_info *a, paddr_t pa)
{
    u32 type = boot_info_memory_type(&boot_info, pa);

    if (pa < MiB(1) || pa & 3)
        return "makes no sense";
    if (pa >= MSI_WINDOW_START && pa < MSI_WINDOW_END)
        return "belongs to the local APICs";
    if (type && type != E820_RESERVED)
        return "is memory";
    for (u32 i = 0; i < a->nr_io_apics; i++)
        if (a->io_apics[i].address == pa)
            return "is listed more than once";
    return NULL;
}

static void use_io_apic(struct acpi_info *a, const u8 *e)
{
    u32 address = read_u32(e + 4);
    const char *why = io_apic_misplaced(a, address);

    if (why) {
        left_out(a, LOG_WARN "ACPI: I/O APIC %u: address %x %s: it is left out\n", e[2], address, why);
        return;
    }
    if (a->nr_io_apics == ACPI_MAX_IO_APICS) {
        left_out(a, LOG_WARN "ACPI: more than %u I/O APICs: the one at %x is left out\n", ACPI_MAX_IO_APICS, address);
        return;
    }
    a->io_apics[a->nr_io_apics++] = (struct acpi_io_apic){ address, .gsi_base = read_u32(e + 8) };
}

static bool overridden(const struct acpi_info *a, u8 irq)
{
    for (u32 i = 0; i < a->nr_overrides; i++)
        if (a->overrides[i].isa_irq == irq)
            return true;
    return false;
}

/* The ISA bus has sixteen lines, and each of them is moved at most once: so there is room for all. */
static void use_override(struct acpi_info *a, const u8 *e)
{
    u16 flags = (u16)read_number(e + 8, 2);

    if (e[2] != 0 || e[3] >= ACPI_MAX_OVERRIDES || overridden(a, e[3])) {
        left_out(a, LOG_WARN "ACPI: override of bus %u, interrupt %u %s: it is left out\n", e[2], e[3],
                 e[2] == 0 && e[3] < ACPI_MAX_OVERRIDES ? "comes a second time" : "is not one of the ISA bus");
        return;
    }
    a->overrides[a->nr_overrides++] =
        (struct acpi_override){ .isa_irq = e[3], .gsi = read_u32(e + 4), .active_low = (flags & 3) == 3, .level = (flags >> 2 & 3) == 3 };
}

/* lint: of a local APIC, which has two such inputs. */
static void use_nmi(struct acpi_info *a, u32 uid, u8 lint, u16 flags)
{
    bool level = (flags >> 2 & 3) == 3, active_low = (flags & 3) == 3;

    for (u32 i = 0; i < a->nr_nmis; i++)
        if (a->nmis[i].uid == uid && a->nmis[i].lint == lint) {
            if (a->nmis[i].level != level || a->nmis[i].active_low != active_low)
                left_out(a, LOG_WARN "ACPI: NMI at LINT%u of UID %#x comes a second time, with other flags: it is left out\n", lint, uid);
            return;
        }
    if (lint > 1 || a->nr_nmis == ACPI_MAX_CPUS) {
        left_out(a, LOG_WARN "ACPI: NMI at LINT%u of UID %#x %s: it is left out\n", lint, uid,
                 lint > 1 ? "is at none of the two inputs" : "is one too many");
        return;
    }
    a->nmis[a->nr_nmis++] = (struct acpi_nmi){ uid, lint, level, active_low };
}

static void use_local_apic_nmi(struct acpi_info *a, const u8 *e)
{
    use_nmi(a, e[2] == 0xff ? ACPI_ALL_CPUS : e[2], e[5], (u16)read_number(e + 3, 2));
}

static void use_x2apic_nmi(struct acpi_info *a, const u8 *e) { use_nmi(a, read_u32(e + 4), e[8], (u16)read_number(e + 2, 2)); }

bool acpi_nmi_at(u32 apic_id, u8 lint, bool *level, bool *active_low)
{
    u32 uid = acpi_id_of(apic_id);

    *level = *active_low = false;
    for (u32 i = 0; i < acpi.nr_nmis; i++)
        if (acpi.nmis[i].lint == lint && (acpi.nmis[i].uid == uid || acpi.nmis[i].uid == ACPI_ALL_CPUS)) {
            *level = acpi.nmis[i].level;
            *active_low = acpi.nmis[i].active_low;
            return true;
        }
    return !acpi.nr_nmis && lint == 1;
}

static void use_local_apic_address(struct acpi_info *a, const u8 *e) { a->local_apic = read_number(e + 4, 8); }

/* The entries that are used (ACPI 6.4, 5.2.12), with their lengths. */
static const struct {
    u8 type, length;
    void (*use)(struct acpi_info *a, const u8 *e);
} madt_entries[] = {
    { 0, 8, use_local_apic },          { 1, 12, use_io_apic }, { 2, 10, use_override },    { 4, 6, use_local_apic_nmi },
    { 5, 12, use_local_apic_address }, { 9, 16, use_x2apic },  { 10, 12, use_x2apic_nmi },
};

static void use_entry(struct acpi_info *a, const u8 *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(madt_entries); i++) {
        if (madt_entries[i].type != e[0])
            continue;
        if (e[1] >= madt_entries[i].length)
            madt_entries[i].use(a, e);
        else
            left_out(a, LOG_WARN "ACPI: MADT: an entry of type %u has only %u bytes: it is left out\n", e[0], e[1]);
    }
}

int acpi_parse_madt(struct acpi_info *a, const void *table, u32 length)
{
    const u8 *t = table;
    u32 off = 44;

    if (length < 44)
        return -EINVAL;
    a->local_apic = read_u32(t + 36);
    for (; off < length; off += t[off + 1]) {
        if (off + 2 > length || t[off + 1] < 2 || t[off + 1] > length - off) {
            printk(LOG_WARN "ACPI: MADT: the entry at offset %u has no sound length: the table is used up to there\n", off);
            break;
        }
        use_entry(a, t + off);
    }
    if (a->nr_left_out > LEFT_OUT_LINES)
        printk(LOG_WARN "ACPI: MADT: %u entries were left out in all\n", a->nr_left_out);
    return 0;
}

/* ---- BGRT (ACPI 6.4, 5.2.23): status, and the address of a picture ---- */

#define BGRT_STATUS 38
#define BGRT_IMAGE 40

bool acpi_bgrt_image(const void *table, u32 length, paddr_t *image)
{
    if (length < BGRT_IMAGE + 8)
        return false;
    *image = read_number((const u8 *)table + BGRT_IMAGE, 8);
    return true;
}

void acpi_bgrt_forget_image(void *table, u32 length)
{
    u8 *t = table;

    t[BGRT_STATUS] &= (u8)~1;
    memset(t + BGRT_IMAGE, 0, 8);
    t[9] = (u8)(t[9] - sum_of(t, length));
}

/* ---- FADT (offsets: ACPI 6.4, table 5.9) ---- */

#define FADT_CENTURY 108
#define FADT_FLAGS 112
#define FADT_RESET 116
#define FADT_RESET_VALUE 128
#define FLAG_RESET (1u << 10)
#define FLAG_HARDWARE_REDUCED (1u << 20)

enum { SPACE_MEMORY, SPACE_IO, SPACE_PCI };

static const struct {
    const char *name;
    u8 at, x_at, bytes; /* offsets of the 32-bit address and of the generic one; what is used of the block */
    size_t port;        /* in struct acpi_info */
} fadt_blocks[] = {
    { "PM1a_CNT_BLK", 64, 172, 2, offsetof(struct acpi_info, pm1a_control) },
    { "PM1b_CNT_BLK", 68, 184, 2, offsetof(struct acpi_info, pm1b_control) },
    { "PM_TMR_BLK", 76, 208, 4, offsetof(struct acpi_info, pm_timer) },
};

static bool is_port(u64 address, u32 bytes) { return address && address <= 0x10000 - bytes; }

#define FIRST_BLOCK_PORT 0x100 /* below are the mainboard's own devices, which reading disturbs */

static bool is_block(u64 address, u32 bytes) { return address >= FIRST_BLOCK_PORT && is_port(address, bytes); }

/* The generic address counts where there is one (ACPI 6.4, 5.2.9), if it can be used. 0: no such block. */
static u16 block_port(const u8 *t, u32 length, size_t i)
{
    u32 x_at = fadt_blocks[i].x_at, bytes = fadt_blocks[i].bytes;
    u64 x = length >= x_at + 12 ? read_number(t + x_at + 4, 8) : 0, old = read_u32(t + fadt_blocks[i].at);

    if (is_block(x, bytes) && t[x_at] == SPACE_IO)
        return (u16)x;
    if (x)
        printk(LOG_WARN "ACPI: FADT: X_%s, %lx in address space %u, is no I/O port for it and is not used\n", fadt_blocks[i].name, x,
               t[x_at]);
    if (old && !is_block(old, bytes))
        printk(LOG_WARN "ACPI: FADT: %s, %lx, is no I/O port for it and is not used\n", fadt_blocks[i].name, old);
    return is_block(old, bytes) ? (u16)old : 0;
}

/* A reset register is a byte at a port, in device memory, or in a function's configuration space on bus 0 (ACPI 6.4, 4.8.3.6). */
static bool reset_register_ok(const struct acpi_gas *r)
{
    switch (r->space) {
    case SPACE_IO: return is_port(r->address, 1);
    case SPACE_MEMORY:
        return r->address >= MiB(1) && !(r->address >> cpu.phys_bits) && boot_info_memory_type(&boot_info, r->address) != E820_RAM;
    case SPACE_PCI: /* device, function, offset: 16 bits each */
        return r->address >> 32 < 32 && (r->address >> 16 & 0xffff) < 8 && (r->address & 0xffff) < 256;
    default: return false;
    }
}

static void use_reset_register(struct acpi_info *a, const u8 *t)
{
    memcpy(&a->reset_register, t + FADT_RESET, sizeof(a->reset_register));
    a->reset_value = t[FADT_RESET_VALUE];
    a->have_reset = reset_register_ok(&a->reset_register);
    if (!a->have_reset)
        printk(LOG_WARN "ACPI: FADT: the reset register, %lx in address space %u, makes no sense and is not used\n",
               a->reset_register.address, a->reset_register.space);
}

/* HPET specification 1.0a, 3.2.4 */
#define HPET_ADDRESS 40 /* a generic address */

bool acpi_hpet_address(const void *table, u32 length, paddr_t *address)
{
    struct acpi_gas gas;

    if (length < HPET_ADDRESS + sizeof(gas))
        return false;
    memcpy(&gas, (const u8 *)table + HPET_ADDRESS, sizeof(gas));
    *address = gas.address;
    return gas.space == SPACE_MEMORY && gas.address && !(gas.address & 7) && !(gas.address >> cpu.phys_bits) &&
           boot_info_memory_type(&boot_info, gas.address) != E820_RAM;
}

int acpi_parse_fadt(struct acpi_info *a, const void *table, u32 length)
{
    const u8 *t = table;

    if (length < FADT_RESET)
        return -EINVAL;
    a->rtc_century = t[FADT_CENTURY];
    u32 flags = read_u32(t + FADT_FLAGS);

    /* Hardware-reduced machines have none of the blocks, whatever stands there. */
    for (size_t i = 0; i < ARRAY_SIZE(fadt_blocks) && !(flags & FLAG_HARDWARE_REDUCED); i++)
        *(u16 *)((u8 *)a + fadt_blocks[i].port) = block_port(t, length, i);
    if (length > FADT_RESET_VALUE && (flags & FLAG_RESET))
        use_reset_register(a, t);
    return 0;
}
