/* Finding tables and reading MADT and FADT. Lengths and checksums are checked before use. */
#include <hv/acpi.h>
#include <hv/lib.h>
#include <hv/printk.h>

struct acpi_info acpi = { .local_apic = 0xfee00000 };

static u64 get(const u8 *p, unsigned bytes)
{
    u64 v = 0;

    memcpy(&v, p, bytes);
    return v;
}

static u8 sum_of(const void *p, u32 length)
{
    u8 sum = 0;

    for (u32 i = 0; i < length; i++)
        sum = (u8)(sum + ((const u8 *)p)[i]);
    return sum;
}

bool acpi_checksum_ok(const void *p, u32 length)
{
    return sum_of(p, length) == 0;
}

static void madt_override(struct acpi_info *a, const u8 *e)
{
    u16 flags = (u16)get(e + 8, 2);

    if (a->nr_overrides == ACPI_MAX_OVERRIDES || e[2] != 0)
        return;
    a->overrides[a->nr_overrides].isa_irq = e[3];
    a->overrides[a->nr_overrides].gsi = (u32)get(e + 4, 4);
    a->overrides[a->nr_overrides].active_low = (flags & 3) == 3;
    a->overrides[a->nr_overrides].level = (flags >> 2 & 3) == 3;
    a->nr_overrides++;
}

static void madt_cpu(struct acpi_info *a, u32 apic_id, u32 acpi_id, u32 flags)
{
    if (a->nr_cpus == ACPI_MAX_CPUS || !(flags & 3))
        return;
    a->cpus[a->nr_cpus].apic_id = apic_id;
    a->cpus[a->nr_cpus].acpi_id = acpi_id;
    a->cpus[a->nr_cpus].enabled = flags & 1;
    a->nr_cpus++;
}

int acpi_parse_madt(struct acpi_info *a, const void *table, u32 length)
{
    const u8 *t = table;

    if (length < 44)
        return -EINVAL;
    a->local_apic = get(t + 36, 4);
    for (u32 off = 44; off + 2 <= length;) {
        const u8 *e = t + off;
        u8 size = e[1];

        if (size < 2 || size > length - off)
            return -EINVAL;
        if (e[0] == 0 && size >= 8)
            madt_cpu(a, e[3], e[2], (u32)get(e + 4, 4));
        else if (e[0] == 9 && size >= 16)
            madt_cpu(a, (u32)get(e + 4, 4), (u32)get(e + 12, 4), (u32)get(e + 8, 4));
        else if (e[0] == 1 && size >= 12 && a->nr_io_apics < ACPI_MAX_IO_APICS) {
            a->io_apics[a->nr_io_apics].address = get(e + 4, 4);
            a->io_apics[a->nr_io_apics++].gsi_base = (u32)get(e + 8, 4);
        } else if (e[0] == 2 && size >= 10)
            madt_override(a, e);
        else if (e[0] == 5 && size >= 12)
            a->local_apic = get(e + 4, 8);
        off += size;
    }
    return 0;
}

/* ACPI 6.4, 5.2.23: status, and the address of a picture. */
#define BGRT_STATUS 38
#define BGRT_IMAGE 40

bool acpi_bgrt_image(const void *table, u32 length, paddr_t *image)
{
    if (length < BGRT_IMAGE + 8)
        return false;
    *image = get((const u8 *)table + BGRT_IMAGE, 8);
    return true;
}

void acpi_bgrt_forget_image(void *table, u32 length)
{
    u8 *t = table;

    t[BGRT_STATUS] &= (u8)~1;
    memset(t + BGRT_IMAGE, 0, 8);
    t[9] = (u8)(t[9] - sum_of(t, length));
}

/* Offsets: ACPI 6.4, table 5.9. */
int acpi_parse_fadt(struct acpi_info *a, const void *table, u32 length)
{
    const u8 *t = table;

    if (length < 116)
        return -EINVAL;
    a->pm1a_control = (u16)get(t + 64, 4);
    a->pm1b_control = (u16)get(t + 68, 4);
    a->pm_timer = (u16)get(t + 76, 4);
    if (length >= 129 && (get(t + 112, 4) & (1 << 10))) {
        memcpy(&a->reset_register, t + 116, sizeof(a->reset_register));
        a->reset_value = t[128];
        a->have_reset = true;
    }
    /* The 64-bit blocks count where the 32-bit ones are absent (hardware-reduced firmware). */
    if (!a->pm1a_control && length >= 184 && t[172] == 1)
        a->pm1a_control = (u16)get(t + 176, 8);
    return 0;
}
