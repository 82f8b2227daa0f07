/* What the EFI entry kept of the firmware before it ended boot services. */
#ifndef HV_EFI_BOOT_H
#define HV_EFI_BOOT_H

#include <hv/boot_info.h>

struct efi_boot_data {
    u64 status;     /* EFI status of ExitBootServices, 0: success */
    u64 map_size;   /* bytes; 0: not started through EFI */
    u64 desc_size;
    u64 system_table;
    u8 map[65536];
};
extern struct efi_boot_data efi_boot_data;

/* Runs at the physical address on the firmware's page tables; mbi is the Multiboot2 information. */
void efi_exit_boot_services(paddr_t mbi);
/* Address of the ACPI root pointer in the firmware's configuration tables, 0: none. */
paddr_t efi_find_rsdp(const void *system_table, void *(*map)(paddr_t));
/* Adds the final EFI memory map to bi. */
void efi_add_memory_map(struct boot_info *bi);

#endif
