/* SPDX-License-Identifier: MIT */
/* platform_op */
#pragma once

#include "xen.h"

#define XENPF_INTERFACE_VERSION 0x03000001
#define XENPF_settime32 17
#define XENPF_read_memtype 33
#define XENPF_efi_runtime_call 49
#define XENPF_firmware_info 50
#define XENPF_enter_acpi_sleep 51
#define XENPF_get_cpuinfo 55
#define XENPF_cpu_online 56
#define XENPF_cpu_offline 57
#define XENPF_settime64 62

#define XEN_FW_DISK_INFO 1
#define XEN_FW_EFI_INFO 4
#define XEN_FW_KBD_SHIFT_FLAGS 5

#define XEN_FW_EFI_VERSION 0
#define XEN_FW_EFI_CONFIG_TABLE 1
#define XEN_FW_EFI_VENDOR 2
#define XEN_FW_EFI_MEM_INFO 3
#define XEN_FW_EFI_RT_VERSION 4

#define XEN_EFI_get_time 1
#define XEN_EFI_set_time 2
#define XEN_EFI_get_wakeup_time 3
#define XEN_EFI_set_wakeup_time 4
#define XEN_EFI_get_next_high_monotonic_count 5
#define XEN_EFI_get_variable 6
#define XEN_EFI_set_variable 7
#define XEN_EFI_get_next_variable_name 8
#define XEN_EFI_query_variable_info 9

#define XEN_EFI_GET_TIME_SET_CLEARS_NS 1
#define XEN_EFI_GET_WAKEUP_TIME_ENABLED 1
#define XEN_EFI_GET_WAKEUP_TIME_PENDING 2
#define XEN_EFI_SET_WAKEUP_TIME_ENABLE 1
#define XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY 2
#define XEN_EFI_VARINFO_BOOT_SNAPSHOT 1

struct xenpf_settime {
    uint32_t secs, nsecs;
    uint64_t system_time;
};
struct xenpf_settime64 {
    uint64_t secs;
    uint32_t nsecs, mbz;
    uint64_t system_time;
};
struct xenpf_efi_info {
    union {
        uint32_t version;
        struct {
            uint64_t addr; /* machine address of the configuration tables */
            uint32_t nent;
        } cfg;
        struct {
            uint32_t revision, bufsz;           /* bytes */
            XEN_GUEST_HANDLE_64(uint16_t) name; /* UCS-2 */
        } vendor;
        struct {
            uint64_t addr, size, attr;
            uint32_t type;
        } mem;
    } u;
};
struct xenpf_firmware_info {
    uint32_t type, index;
    union {
        struct xenpf_efi_info efi_info;
        uint8_t kbd_shift_flags;
    } u;
};
struct xenpf_efi_time { /* EFI_TIME */
    uint16_t year;
    uint8_t month, day, hour, min, sec;
    uint32_t ns;
    int16_t tz;
    uint8_t daylight;
};
struct xenpf_efi_guid {
    uint32_t data1;
    uint16_t data2, data3;
    uint8_t data4[8];
};
struct xenpf_efi_runtime_call {
    uint32_t function, misc; /* misc: flags in and out */
    uint64_t status;         /* EFI_STATUS */
    union {
        struct {
            struct xenpf_efi_time time;
            uint32_t resolution, accuracy;
        } get_time;
        struct xenpf_efi_time set_time;
        struct xenpf_efi_time wakeup_time; /* get and set */
        struct {
            XEN_GUEST_HANDLE_64(uint16_t) name;
            uint64_t size; /* bytes */
            XEN_GUEST_HANDLE_64(void) data;
            struct xenpf_efi_guid vendor_guid;
        } variable; /* get and set */
        struct {
            uint64_t size;
            XEN_GUEST_HANDLE_64(uint16_t) name;
            struct xenpf_efi_guid vendor_guid;
        } next_name;
        struct {
            uint32_t attr;
            uint64_t max_store_size, remain_store_size, max_size;
        } variable_info;
    } u;
};
struct xenpf_enter_acpi_sleep {
    uint16_t val_a, val_b;
    uint32_t sleep_state;
    uint32_t flags;
};
struct xenpf_pcpuinfo {
    uint32_t xen_cpuid, max_present, flags, apic_id, acpi_id;
};
#define XEN_PCPU_FLAGS_ONLINE 1
#define XEN_PCPU_FLAGS_INVALID 2
struct xenpf_cpu_ol {
    uint32_t cpuid;
};

struct xen_platform_op {
    uint32_t cmd, interface_version;
    union {
        struct xenpf_settime settime32;
        struct xenpf_settime64 settime64;
        struct xenpf_efi_runtime_call efi_runtime_call;
        struct xenpf_firmware_info firmware_info;
        struct xenpf_enter_acpi_sleep enter_acpi_sleep;
        struct xenpf_pcpuinfo pcpu_info;
        struct xenpf_cpu_ol cpu_ol;
        uint8_t pad[128];
        uint64_t align;
    } u;
};
