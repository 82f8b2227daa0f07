/* SPDX-License-Identifier: MIT */
/* vcpu_op, sched_op */
#pragma once

#include "xen.h"

#define VCPUOP_initialise 0
#define VCPUOP_up 1
#define VCPUOP_down 2
#define VCPUOP_is_up 3
#define VCPUOP_get_runstate_info 4
#define VCPUOP_register_runstate_memory_area 5
#define VCPUOP_set_periodic_timer 6
#define VCPUOP_stop_periodic_timer 7
#define VCPUOP_set_singleshot_timer 8
#define VCPUOP_stop_singleshot_timer 9
#define VCPUOP_register_vcpu_info 10
#define VCPUOP_send_nmi 11
#define VCPUOP_get_physid 12
#define VCPUOP_register_vcpu_time_memory_area 13

#define RUNSTATE_running 0
#define RUNSTATE_runnable 1
#define RUNSTATE_blocked 2
#define RUNSTATE_offline 3
#define XEN_RUNSTATE_UPDATE (1ULL << 63)

struct vcpu_runstate_info {
    int state;
    uint64_t state_entry_time;
    uint64_t time[4];
};
struct vcpu_register_runstate_memory_area {
    union {
        XEN_GUEST_HANDLE(void) h;
        uint64_t p;
    } addr;
};
struct vcpu_set_periodic_timer {
    uint64_t period_ns;
};
struct vcpu_set_singleshot_timer {
    uint64_t timeout_abs_ns;
    uint32_t flags;
};
#define VCPU_SSHOTTMR_future 1
struct vcpu_register_vcpu_info {
    uint64_t mfn;
    uint32_t offset, rsvd;
};
struct vcpu_get_physid {
    uint64_t phys_id; /* APIC id, ACPI id << 32 */
};
struct vcpu_register_time_memory_area {
    union {
        XEN_GUEST_HANDLE(void) h;
        uint64_t p;
    } addr;
};

#define SCHEDOP_yield 0
#define SCHEDOP_block 1
#define SCHEDOP_shutdown 2
#define SCHEDOP_poll 3
#define SCHEDOP_remote_shutdown 4
#define SCHEDOP_shutdown_code 5
#define SCHEDOP_watchdog 6
#define SCHEDOP_pin_override 7

struct sched_shutdown {
    unsigned int reason;
};
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_reboot 1
#define SHUTDOWN_suspend 2
#define SHUTDOWN_crash 3
#define SHUTDOWN_watchdog 4
#define SHUTDOWN_soft_reset 5

struct sched_remote_shutdown {
    uint16_t domain_id;
    unsigned int reason;
};
struct sched_watchdog {
    uint32_t id, timeout; /* seconds */
};
struct sched_pin_override {
    int32_t pcpu;
};

struct sched_poll {
    XEN_GUEST_HANDLE(uint32_t) ports;
    unsigned int nr_ports;
    uint64_t timeout;
};
