/* From the RSDP to the tables, through the direct map. */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/lib.h>
#include <hv/printk.h>
#include <hv/x86/page_table.h>

#define MAX_TABLE_LENGTH MiB(1)

/* A table mapped whole, or NULL with the reason printed. */
static const u8 *map_table(paddr_t pa, u32 *length)
{
    if (!pa || direct_map_add(pa, 36))
        return NULL;
    const u8 *t = phys_to_virt(pa);
    u32 len;

    memcpy(&len, t + 4, 4);
    if (len < 36 || len > MAX_TABLE_LENGTH || direct_map_add(pa, len)) {
        printk(LOG_WARN "ACPI: table at %lx has an absurd length\n", pa);
        return NULL;
    }
    if (!acpi_checksum_ok(t, len)) {
        printk(LOG_WARN "ACPI: table %.4s at %lx has a wrong checksum and is not used\n", t, pa);
        return NULL;
    }
    *length = len;
    return t;
}

/* The firmware's logo lies in memory that was the boot services': it is dom0's by now, and holds something else. */
static int use_bgrt(u8 *t, u32 len)
{
    paddr_t image;

    if (!acpi_bgrt_image(t, len, &image))
        return -EINVAL;
    if (boot_info_memory_type(&boot_info, image) == E820_RAM)
        acpi_bgrt_forget_image(t, len);
    return 0;
}

static void use_table(paddr_t pa)
{
    u32 len;
    const u8 *t = map_table(pa, &len);
    int rc = 0;

    if (!t)
        return;
    if (!memcmp(t, "APIC", 4))
        rc = acpi_parse_madt(&acpi, t, len);
    else if (!memcmp(t, "FACP", 4))
        rc = acpi_parse_fadt(&acpi, t, len);
    else if (!memcmp(t, "BGRT", 4))
        rc = use_bgrt((u8 *)t, len);
    if (rc)
        printk(LOG_WARN "ACPI: table %.4s is malformed\n", t);
}

static paddr_t scan(paddr_t start, u64 size)
{
    for (paddr_t pa = start; pa < start + size; pa += 16) {
        const char *p = phys_to_virt(pa);

        if (!memcmp(p, "RSD PTR ", 8) && acpi_checksum_ok(p, 20))
            return pa;
    }
    return 0;
}

/* ACPI 6.4, 5.2.5.1: the first KiB of the EBDA, then E0000h to FFFFFh. */
static paddr_t find_rsdp_bios(void)
{
    u16 ebda;

    memcpy(&ebda, phys_to_virt(0x40e), 2);
    paddr_t found = ebda ? scan((paddr_t)ebda << 4, 1024) : 0;

    return found ? found : scan(0xe0000, 0x20000);
}

void acpi_init(paddr_t rsdp)
{
    u32 len;

    if (!rsdp)
        rsdp = find_rsdp_bios();
    if (!rsdp || direct_map_add(rsdp, 36)) {
        printk(LOG_WARN "ACPI: no tables found. Interrupts and power-off will not work.\n");
        return;
    }
    const u8 *r = phys_to_virt(rsdp);
    u64 root = 0;
    bool xsdt = r[15] >= 2;

    memcpy(&root, r + (xsdt ? 24 : 16), xsdt ? 8 : 4);
    const u8 *t = map_table(root, &len);

    if (!t)
        return;
    acpi.present = true;
    acpi.rsdp = rsdp;
    for (u32 off = 36; off + (xsdt ? 8 : 4) <= len; off += xsdt ? 8 : 4) {
        u64 pa = 0;

        memcpy(&pa, t + off, xsdt ? 8 : 4);
        use_table(pa);
    }
    printk(LOG_INFO "ACPI: %u processors, %u I/O APICs, %u overrides\n", acpi.nr_cpus, acpi.nr_io_apics,
           acpi.nr_overrides);
}
