/* SPDX-License-Identifier: MIT */
/* The firmware's runtime services (UEFI 2.9, chapter 8), for dom0. */
#pragma once

#include <hv/types.h>

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
