/* SPDX-License-Identifier: MIT */
/*
 * The little of UEFI that boot needs (UEFI 2.9, chapter 7): take the memory map and end boot
 * services. This runs on the firmware's page tables at the physical address: no pointer
 * constants, no calls out of this file.
 */
#include <hv/efi.h>
#include <hv/lib.h>

#define EFIAPI __attribute__((ms_abi))
#define BOOT_SERVICES_OFFSET 96  /* in the system table */
#define GET_MEMORY_MAP_OFFSET 56 /* in boot services */
#define EXIT_BOOT_SERVICES_OFFSET 232

typedef u64(EFIAPI *get_memory_map_t)(u64 *size, void *map, u64 *key, u64 *desc_size, u32 *desc_version);
typedef u64(EFIAPI *exit_boot_services_t)(void *image, u64 key);

/* A tag with so many bytes of contents at least. There is no console yet: what makes no sense ends the search. */
static const u32 *find_tag(const u8 *mbi, u32 wanted, u32 bytes)
{
    u32 total = *(const u32 *)mbi;

    for (u32 off = 8; total >= 8 && total <= MBI_MAX_SIZE && off <= total - 8;) {
        const u32 *tag = (const u32 *)(mbi + off);

        if (tag[0] == 0 || tag[1] < 8 || tag[1] > total - off)
            break;
        if (tag[0] == wanted && tag[1] - 8 >= bytes)
            return tag;
        off += (tag[1] + 7) & ~7u;
    }
    return NULL;
}

void __init efi_exit_boot_services(paddr_t mbi)
{
    struct efi_boot_data *d = &efi_boot_data;
    const u32 *st_tag = find_tag((const u8 *)mbi, 12, 8), *ih_tag = find_tag((const u8 *)mbi, 20, 8);

    if (!st_tag || !ih_tag) {
        d->status = EFI_NOT_FOUND;
        return;
    }
    /* "EFI boot services not terminated": after their end there is nobody to call (Multiboot2, 3.6.15). */
    if (!find_tag((const u8 *)mbi, 18, 0)) {
        d->status = EFI_NOT_STARTED;
        return;
    }
    d->system_table = *(const u64 *)(st_tag + 2);
    const u8 *bs = *(u8 *const *)(d->system_table + BOOT_SERVICES_OFFSET);
    get_memory_map_t get_map = *(const get_memory_map_t *)(bs + GET_MEMORY_MAP_OFFSET);
    exit_boot_services_t exit_bs = *(const exit_boot_services_t *)(bs + EXIT_BOOT_SERVICES_OFFSET);

    /* The firmware may change the map under us: the specification says to try again. */
    for (int tries = 0; tries < 8; tries++) {
        u64 size = sizeof(d->map), key = 0, desc_size = 0;
        u32 version = 0;

        d->status = get_map(&size, d->map, &key, &desc_size, &version);
        if (d->status)
            return;
        d->status = exit_bs((void *)*(const u64 *)(ih_tag + 2), key);
        if (!d->status) {
            d->map_size = size;
            d->desc_size = desc_size;
            return;
        }
    }
}

paddr_t efi_find_rsdp(const void *system_table, void *(*map)(paddr_t))
{
    /* EFI_ACPI_20_TABLE_GUID, EFI_ACPI_TABLE_GUID; UEFI 2.9, 4.6 */
    static const u8 acpi2[16] = { 0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11, 0xbc, 0x22, 0, 0x80, 0xc7, 0x3c, 0x88, 0x81 };
    static const u8 acpi1[16] = { 0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0, 0x90, 0x27, 0x3f, 0xc1, 0x4d };
    u64 count = read_number((const u8 *)system_table + 104, 8), tables = read_number((const u8 *)system_table + 112, 8);
    paddr_t found = 0;

    for (u64 i = 0; i < MIN(count, 256UL); i++) {
        const u8 *entry = map(tables + i * 24);
        u64 address = read_number(entry + 16, 8);

        if (!memcmp(entry, acpi2, 16))
            return address;
        if (!memcmp(entry, acpi1, 16))
            found = address;
    }
    return found;
}

static u32 e820_type(const struct efi_memory *m)
{
    switch (m->type) {
    case 1:
    case 2: /* loader code and data */
    case 3:
    case 4: /* boot services: free since they ended */
    case 7: /* conventional memory; with the attribute SP it is reserved for one purpose, such as a device */
        return (m->attributes & EFI_MEMORY_WB) && !(m->attributes & EFI_MEMORY_SP) ? E820_RAM : E820_RESERVED;
    case 8: return E820_UNUSABLE;
    case 9: return E820_ACPI;
    case 10: return E820_NVS;
    default: return E820_RESERVED;
    }
}

void efi_add_memory_map(struct boot_info *bi)
{
    struct efi_memory m;
    u64 start = 0, end = 0;
    u32 type = 0;

    for (u32 i = 0; efi_memory_map_entry(i, &m); i++) {
        u32 t = e820_type(&m);

        /* EFI maps are long: join neighbours as they come. */
        if (m.start == end && t == type) {
            end += m.size;
            continue;
        }
        boot_info_add_memory(bi, start, end, type);
        start = m.start;
        end = start + m.size;
        type = t;
    }
    boot_info_add_memory(bi, start, end, type);
}
