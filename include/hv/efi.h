/* SPDX-License-Identifier: MIT */
/* UEFI: the end of its boot services, and its runtime services (UEFI 2.9, chapters 7 and 8), for dom0. */
#pragma once

#include <hv/boot_info.h>

/* Offsets into EFI_RUNTIME_SERVICES. */
enum efi_service {
    EFI_GET_TIME = 24,
    EFI_SET_TIME = 32,
    EFI_GET_WAKEUP_TIME = 40,
    EFI_SET_WAKEUP_TIME = 48,
    EFI_GET_VARIABLE = 72,
    EFI_GET_NEXT_VARIABLE_NAME = 80,
    EFI_SET_VARIABLE = 88,
    EFI_GET_NEXT_HIGH_MONOTONIC_COUNT = 96,
    EFI_QUERY_VARIABLE_INFO = 128,
};

#define EFI_DEVICE_ERROR 0x8000000000000007ULL

/* Attributes of memory (UEFI 2.9, 7.2). */
#define EFI_MEMORY_WB 8ULL
#define EFI_MEMORY_SP (1ULL << 18)
#define EFI_MEMORY_RUNTIME (1ULL << 63)

/* What the system table says; all 0 where the machine was not started through UEFI. */
struct efi_info {
    u32 revision, vendor_revision;
    paddr_t config_tables;
    u32 nr_config_tables;
    u16 vendor[64];        /* UCS-2, ends with 0 */
    u32 services_revision; /* 0: there are no runtime services (efi=no-rs, or the firmware's fault) */
};
extern struct efi_info efi_info;

void efi_runtime_init(void); /* boot, on the first CPU alone */

/* One descriptor of the firmware's memory map. */
struct efi_memory {
    paddr_t start;
    u64 size, attributes; /* bytes */
    u32 type;
};
bool efi_memory_map_entry(u32 n, struct efi_memory *m); /* the n-th; false: there are not so many */
/* The descriptor that holds the address; false: none does. */
bool efi_find_memory(paddr_t at, struct efi_memory *m);

/*
 * Calls a service on behalf of `current`, one at a time; pointers are the hypervisor's. The EFI status, or -ENOSYS where there
 * are no runtime services. A firmware that faults has returned EFI_DEVICE_ERROR, and is not called again.
 */
long efi_call(enum efi_service service, u64 *status, const u64 args[5]) __may_preempt __must_check;

/* call.S: fn with its arguments in the firmware's convention; efi_abort is where it ends if it faults. */
u64 efi_enter(u64 fn, const u64 args[5]);
extern const char efi_abort[];

/* ---- boot/efi_services.c: what the EFI entry kept of the firmware before it ended boot services ---- */
/* UEFI 2.9, appendix D and 7.2. */
#define EFI_BUFFER_TOO_SMALL 0x8000000000000005ULL
#define EFI_NOT_FOUND 0x800000000000000eULL
#define EFI_NOT_STARTED 0x8000000000000013ULL

struct efi_boot_data {
    u64 status; /* EFI status of GetMemoryMap or ExitBootServices; EFI_NOT_FOUND: no tags of the loader; EFI_NOT_STARTED: boot services were over */
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
