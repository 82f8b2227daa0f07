/* SPDX-License-Identifier: MIT */
/*
 * From the RSDP to the tables, through the direct map. Checksums in the field are wrong now and then: tables that the machine
 * cannot do without are used all the same, with a warning, when there is no better one.
 */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/printk.h>
#include <hv/x86/cpu.h>
#include <hv/x86/apic.h>
#include <hv/x86/page_table.h>

#define RSDP_LENGTH 36 /* from revision 2 on */
#define HEADER_LENGTH 36
#define MAX_TABLE_LENGTH MiB(1)

/* The XSDT, or the RSDT where there is none that can be used; the RSDT also for what the XSDT lacks. */
static struct root {
    const u8 *table;
    u32 length, step; /* bytes; of an entry */
} roots[2];
static u32 nr_roots;

static const void *acpi_map_table(paddr_t pa, u32 length)
{
    if (!pa || pa + length < pa || (pa + length - 1) >> cpu.phys_bits || direct_map_add(pa, length))
        return NULL;
    return phys_to_virt(pa);
}

/* A table mapped whole; NULL: its length makes no sense. */
static const u8 *map_table(paddr_t pa, u32 *length)
{
    const u8 *t = acpi_map_table(pa, HEADER_LENGTH);

    if (!t)
        return NULL;
    *length = read_u32(t + 4);
    return *length >= HEADER_LENGTH && *length <= MAX_TABLE_LENGTH ? acpi_map_table(pa, *length) : NULL;
}

/* ---- the root ---- */

static paddr_t acpi_scan_rsdp(paddr_t start, u64 size)
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
    paddr_t ebda = read_number(phys_to_virt(0x40e), 2) << 4, found = ebda ? acpi_scan_rsdp(ebda, 1024) : 0;

    return found ? found : acpi_scan_rsdp(0xe0000, 0x20000);
}

/* The one that the loader names, if it is one; else, and where its checksum is wrong, one that the BIOS left. 0: none. */
static paddr_t choose_rsdp(paddr_t named)
{
    const u8 *r = acpi_map_table(named, 20);
    bool is_one = r && !memcmp(r, "RSD PTR ", 8);

    if (is_one && acpi_checksum_ok(r, 20))
        return named;
    if (named)
        printk(LOG_WARN "ACPI: the RSDP at %lx %s\n", named, is_one ? "has a wrong checksum" : "is none");
    paddr_t found = boot_info.platform == PLATFORM_EFI ? 0 : find_rsdp_bios();
    return found || !is_one ? found : named;
}

static bool use_root(paddr_t pa, const char *signature, u32 step, bool any_sum)
{
    struct root *r = &roots[nr_roots];

    r->step = step;
    r->table = map_table(pa, &r->length);
    if (!r->table || memcmp(r->table, signature, 4)) {
        if (!nr_roots && pa && !any_sum)
            printk(LOG_WARN "ACPI: there is no %s at %lx\n", signature, pa);
        return false;
    }
    bool sound = acpi_checksum_ok(r->table, r->length);
    if (!sound && !nr_roots)
        printk(LOG_WARN "ACPI: the %s at %lx has a wrong checksum%s\n", signature, pa, any_sum ? " and is used all the same" : "");
    nr_roots += sound || any_sum;
    return sound || any_sum;
}

static bool find_roots(paddr_t rsdp)
{
    const u8 *r = acpi_map_table(rsdp, 20);
    u64 xsdt = 0, rsdt = read_u32(r + 16);

    if (r[15] >= 2 && acpi_map_table(rsdp, RSDP_LENGTH)) {
        xsdt = read_number(r + 24, 8);
        if (!xsdt)
            printk(LOG_WARN "ACPI: the RSDP at %lx names no XSDT: its RSDT is used\n", rsdp);
        else if (!acpi_checksum_ok(r, RSDP_LENGTH)) /* the XSDT has a checksum of its own, which decides */
            printk(LOG_WARN "ACPI: the RSDP at %lx has a wrong extended checksum\n", rsdp);
    }
    nr_roots = 0;
    for (int any_sum = 0; any_sum < 2 && !nr_roots; any_sum++) {
        use_root(xsdt, "XSDT", 8, any_sum);
        use_root(rsdt, "RSDT", 4, any_sum);
    }
    return nr_roots;
}

/* ---- tables ---- */

/* The first sound one of the root; else *unsound becomes the first with a wrong checksum. Entries that point nowhere are nobody's. */
static const u8 *find_in(const struct root *r, const char *signature, u32 *length, const u8 **unsound)
{
    for (u32 off = HEADER_LENGTH; off + r->step <= r->length; off += r->step) {
        u64 pa = read_number(r->table + off, r->step);
        u32 len = 0;
        const u8 *head = acpi_map_table(pa, HEADER_LENGTH);

        if (!head || memcmp(head, signature, 4))
            continue;
        const u8 *t = map_table(pa, &len);
        if (!t && r == roots) /* the other root names the same */
            printk(LOG_WARN "ACPI: table %s at %lx has an absurd length and is not used\n", signature, pa);
        if (!t || (*unsound && !acpi_checksum_ok(t, len)))
            continue;
        *length = len;
        if (acpi_checksum_ok(t, len))
            return t;
        *unsound = t;
    }
    return NULL;
}

const void *acpi_find_table(const char *signature, bool any_sum, u32 *length)
{
    const u8 *unsound = NULL;

    for (u32 i = 0; i < nr_roots && !unsound; i++) {
        const u8 *t = find_in(&roots[i], signature, length, &unsound);

        if (t)
            return t;
    }
    if (unsound)
        printk(LOG_WARN "ACPI: table %s has a wrong checksum and is %s\n", signature, any_sum ? "used all the same" : "not used");
    return any_sum ? unsound : NULL;
}

/* The firmware's logo lies in memory that was the boot services': it is dom0's by now, and holds something else. */
static int use_bgrt(const u8 *t, u32 len)
{
    paddr_t image;

    if (!acpi_bgrt_image(t, len, &image))
        return -EINVAL;
    if (boot_info_memory_type(&boot_info, image) == E820_RAM)
        acpi_bgrt_forget_image((u8 *)(u64)t, len);
    return 0;
}

static int use_madt(const u8 *t, u32 len) { return acpi_parse_madt(&acpi, t, len); }

static int use_fadt(const u8 *t, u32 len)
{
    int rc = acpi_parse_fadt(&acpi, t, len);

    if (acpi.have_reset && acpi.reset_register.space == 0) {
        acpi.reset_memory = hv_ioremap(acpi.reset_register.address, 1);
        acpi.have_reset = acpi.reset_memory;
    }
    return rc;
}

/* Intel VT-d, 8.1: flags of the DMA remapping reporting structure; bit 1 is X2APIC_OPT_OUT. */
static int use_dmar(const u8 *t, u32 len)
{
    if (len < 38)
        return -EINVAL;
    acpi.no_x2apic = t[37] & 2;
    return 0;
}

static const struct {
    const char *signature;
    bool needed; /* also with a wrong checksum, and missed if it is not there */
    int (*use)(const u8 *t, u32 len);
} kinds[] = {
    { "APIC", true, use_madt },
    { "FACP", true, use_fadt },
    { "BGRT", false, use_bgrt },
    { "DMAR", false, use_dmar },
};

void acpi_init(paddr_t rsdp)
{
    acpi.local_apic = LOCAL_APIC_DEFAULT; /* unless the MADT says otherwise */
    acpi.rsdp = choose_rsdp(rsdp);
    acpi.present = acpi.rsdp && find_roots(acpi.rsdp);
    if (!acpi.present) {
        printk(LOG_WARN "ACPI: no tables found. Interrupts and power-off will not work.\n");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        u32 len;
        const u8 *t = acpi_find_table(kinds[i].signature, kinds[i].needed, &len);

        if (!t && kinds[i].needed)
            printk(LOG_WARN "ACPI: there is no table %s\n", kinds[i].signature);
        if (t && kinds[i].use(t, len))
            printk(LOG_WARN "ACPI: table %s is malformed\n", kinds[i].signature);
    }
    printk(LOG_INFO "ACPI: %u processors, %u I/O APICs, %u overrides\n", acpi.nr_cpus, acpi.nr_io_apics, acpi.nr_overrides);
}
BOOT_STEP(acpi_init, NEEDS(consoles, page_allocator), GIVES(acpi_tables), EVERYWHERE);
