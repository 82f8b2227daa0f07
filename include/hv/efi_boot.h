/* SPDX-License-Identifier: MIT */
/* What the EFI entry kept of the firmware before it ended boot services. */
#pragma once

#include <hv/boot_info.h>

/* UEFI 2.9, appendix D and 7.2. */
#define EFI_BUFFER_TOO_SMALL 0x8000000000000005ULL
#define EFI_NOT_FOUND 0x800000000000000eULL
#define EFI_NOT_STARTED 0x8000000000000013ULL

struct efi_boot_data {
    u64 status; /* EFI status of GetMemoryMap or ExitBootServices, 0: success; EFI_NOT_FOUND: the loader's tags are not there; EFI_NOT_STARTED: it has ended boot services */
    u64 map_size; /* bytes; 0: not started through EFI */
    u64 desc_size;
    u64 system_table;
    u8 map[131072];
};
extern struct efi_boot_data efi_boot_data;

/* Runs at the physical address on the firmware's page tables; mbi is the Multiboot2 information. */
void efi_exit_boot_services(paddr_t mbi);
/* Address of the ACPI root pointer in the firmware's configuration tables, 0: none. */
paddr_t efi_find_rsdp(const void *system_table, void *(*map)(paddr_t));
/* Adds the final EFI memory map to bi. */
void efi_add_memory_map(struct boot_info *bi);
