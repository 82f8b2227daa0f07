/* SPDX-License-Identifier: MIT */
/* The firmware's memory map, as it was when boot services ended. */
#include <hv/efi.h>
#include <hv/lib.h>

struct efi_boot_data efi_boot_data __ro_after_init; /* the loader has cleared .bss before efi_services.c runs */

/* UEFI 2.9, 7.2; newer firmwares may append to it. */
struct efi_memory_descriptor {
    u32 type, pad;
    u64 physical_start, virtual_start, number_of_pages, attribute;
};

bool efi_memory_map_entry(u32 n, struct efi_memory *m)
{
    const struct efi_boot_data *d = &efi_boot_data;
    u64 desc_size = MAX(d->desc_size, (u64)sizeof(struct efi_memory_descriptor));
    u64 off = n * desc_size;
    struct efi_memory_descriptor e;

    if (desc_size > sizeof(d->map) || off + sizeof(e) > d->map_size)
        return false;
    memcpy(&e, d->map + off, sizeof(e));
    u64 most = ~e.physical_start >> PAGE_SHIFT; /* pages up to the end of the addresses */
    *m = (struct efi_memory){ e.physical_start, MIN(e.number_of_pages, most) << PAGE_SHIFT, e.attribute, e.type };
    return true;
}

bool efi_find_memory(paddr_t at, struct efi_memory *m)
{
    for (u32 i = 0; efi_memory_map_entry(i, m); i++)
        if (at - m->start < m->size)
            return true;
    return false;
}
