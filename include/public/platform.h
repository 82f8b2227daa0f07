/* platform_op */
#ifndef PUBLIC_PLATFORM_H
#define PUBLIC_PLATFORM_H

#include "xen.h"

#define XENPF_INTERFACE_VERSION 0x03000001
#define XENPF_settime32 17
#define XENPF_read_memtype 33
#define XENPF_firmware_info 50
#define XENPF_enter_acpi_sleep 51
#define XENPF_set_processor_pminfo 54
#define XENPF_get_cpuinfo 55
#define XENPF_cpu_online 56
#define XENPF_cpu_offline 57
#define XENPF_settime64 62

#define XEN_FW_DISK_INFO 1
#define XEN_FW_EFI_INFO 4
#define XEN_FW_KBD_SHIFT_FLAGS 5

struct xenpf_settime {
    uint32_t secs, nsecs;
    uint64_t system_time;
};
struct xenpf_settime64 {
    uint64_t secs;
    uint32_t nsecs, mbz;
    uint64_t system_time;
};
struct xenpf_firmware_info {
    uint32_t type, index;
    union {
        uint8_t kbd_shift_flags;
        uint8_t raw[56];
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
        struct xenpf_firmware_info firmware_info;
        struct xenpf_enter_acpi_sleep enter_acpi_sleep;
        struct xenpf_pcpuinfo pcpu_info;
        struct xenpf_cpu_ol cpu_ol;
        uint8_t pad[128];
        uint64_t align;
    } u;
};

#endif
