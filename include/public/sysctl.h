/* SPDX-License-Identifier: MIT */
/* sysctl: operations of the toolstack on the machine as a whole. What is here is what the hypervisor answers. */
#pragma once

#include <public/domctl.h>

#define XEN_SYSCTL_INTERFACE_VERSION 0x00000015

#define XEN_SYSCTL_readconsole 1
#define XEN_SYSCTL_physinfo 3
#define XEN_SYSCTL_sched_id 4
#define XEN_SYSCTL_getdomaininfolist 6
#define XEN_SYSCTL_debug_keys 7
#define XEN_SYSCTL_getcpuinfo 8
#define XEN_SYSCTL_get_pmstat 10
#define XEN_SYSCTL_cpu_hotplug 11
#define XEN_SYSCTL_pm_op 12
#define XEN_SYSCTL_page_offline_op 14
#define XEN_SYSCTL_cputopoinfo 16
#define XEN_SYSCTL_numainfo 17
#define XEN_SYSCTL_cpupool_op 18
#define XEN_SYSCTL_scheduler_op 19
#define XEN_SYSCTL_pcitopoinfo 22
#define XEN_SYSCTL_get_cpu_levelling_caps 25
#define XEN_SYSCTL_get_cpu_featureset 26
#define XEN_SYSCTL_get_cpu_policy 29

struct xen_sysctl_readconsole {
    uint8_t clear, incremental, pad0, pad1; /* incremental: from index on, which goes out behind what was read */
    uint32_t index;
    XEN_GUEST_HANDLE_64(char) buffer;
    uint32_t count; /* room in, bytes out */
};

#define XEN_SYSCTL_PHYSCAP_pv 2
#define XEN_SYSCTL_PHYSCAP_gnttab_v1 256
struct xen_sysctl_physinfo {
    uint32_t threads_per_core, cores_per_socket, nr_cpus, max_cpu_id, nr_nodes, max_node_id, cpu_khz, capabilities, arch_capabilities, pad;
    uint64_t total_pages, free_pages, scrub_pages, outstanding_pages, max_mfn;
    uint32_t hw_cap[8];
};

struct xen_sysctl_sched_id {
    uint32_t sched_id;
};

struct xen_sysctl_getdomaininfolist {
    domid_t first_domain;
    uint32_t max_domains;
    XEN_GUEST_HANDLE_64(struct xen_domctl_getdomaininfo) buffer;
    uint32_t num_domains;
};

struct xen_sysctl_debug_keys {
    XEN_GUEST_HANDLE_64(char) keys;
    uint32_t nr_keys;
};

struct xen_sysctl_cpuinfo {
    uint64_t idletime; /* ns */
};
struct xen_sysctl_getcpuinfo {
    uint32_t max_cpus;
    XEN_GUEST_HANDLE_64(struct xen_sysctl_cpuinfo) info;
    uint32_t nr_cpus;
};

struct xen_sysctl_get_pmstat { /* the head of it: there are no statistics */
    uint32_t type, cpuid;
};
struct xen_sysctl_pm_op { /* the same */
    uint32_t cmd, cpuid;
};

#define XEN_SYSCTL_CPU_HOTPLUG_ONLINE 0
#define XEN_SYSCTL_CPU_HOTPLUG_OFFLINE 1
struct xen_sysctl_cpu_hotplug {
    uint32_t cpu, op;
};

#define sysctl_page_offline 1
#define sysctl_page_online 2
#define sysctl_query_page_offline 3
#define PG_OFFLINE_OFFLINED 2 /* answers to offline and online */
#define PG_OFFLINE_PENDING 4
#define PG_OFFLINE_FAILED 8
#define PG_OFFLINE_XENPAGE 256
#define PG_OFFLINE_NOT_CONV_RAM 2048
#define PG_OFFLINE_OWNED 4096
#define PG_OFFLINE_BROKEN 8192
#define PG_OFFLINE_STATUS_OFFLINED 2 /* to a query */
#define PG_OFFLINE_STATUS_ONLINE 4
#define PG_OFFLINE_STATUS_OFFLINE_PENDING 8
#define PG_OFFLINE_STATUS_BROKEN 16
#define PG_OFFLINE_OWNER_SHIFT 16
struct xen_sysctl_page_offline_op {
    uint32_t cmd, start, end;           /* frames; end is one of them */
    XEN_GUEST_HANDLE_64(uint32) status; /* a u32 for each */
};

#define XEN_INVALID_CORE_ID 0xffffffffu
#define XEN_INVALID_SOCKET_ID 0xffffffffu
#define XEN_INVALID_NODE_ID 0xffffffffu
struct xen_sysctl_cputopo {
    uint32_t core, socket, node;
};
struct xen_sysctl_cputopoinfo {
    uint32_t num_cpus;
    XEN_GUEST_HANDLE_64(struct xen_sysctl_cputopo) cputopo; /* 0: only how many there are */
};

struct xen_sysctl_meminfo {
    uint64_t memsize, memfree; /* bytes */
};
struct xen_sysctl_numainfo {
    uint32_t num_nodes;
    XEN_GUEST_HANDLE_64(struct xen_sysctl_meminfo) meminfo;
    XEN_GUEST_HANDLE_64(uint32) distance; /* u32, between each two nodes */
};

#define XEN_SYSCTL_CPUPOOL_OP_CREATE 1
#define XEN_SYSCTL_CPUPOOL_OP_DESTROY 2
#define XEN_SYSCTL_CPUPOOL_OP_INFO 3
#define XEN_SYSCTL_CPUPOOL_OP_ADDCPU 4
#define XEN_SYSCTL_CPUPOOL_OP_RMCPU 5
#define XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN 6
#define XEN_SYSCTL_CPUPOOL_OP_FREEINFO 7
struct xen_sysctl_cpupool_op {
    uint32_t op, cpupool_id, sched_id, domid, cpu, n_dom;
    struct xenctl_bitmap cpumap;
};

#define XEN_SYSCTL_SCHEDOP_putinfo 0
#define XEN_SYSCTL_SCHEDOP_getinfo 1
#define XEN_SYSCTL_SCHED_RATELIMIT_MIN 100 /* us */
#define XEN_SYSCTL_SCHED_RATELIMIT_MAX 500000
struct xen_sysctl_credit2_schedule {
    uint32_t ratelimit_us;
};
struct xen_sysctl_scheduler_op {
    uint32_t cpupool_id, sched_id, cmd;
    union {
        struct xen_sysctl_credit2_schedule sched_credit2;
        uint64_t align[2];
    } u;
};

#define XEN_INVALID_DEV 0xfffffffeu
struct physdev_pci_device {
    uint16_t seg;
    uint8_t bus, devfn;
};
struct xen_sysctl_pcitopoinfo {
    uint32_t num_devs;
    XEN_GUEST_HANDLE_64(struct physdev_pci_device) devs;
    XEN_GUEST_HANDLE_64(uint32) nodes;
};

#define XEN_SYSCTL_CPU_LEVELCAP_faulting 1
struct xen_sysctl_cpu_levelling_caps {
    uint32_t caps;
};
#define XEN_SYSCTL_cpu_featureset_host 1
#define XEN_SYSCTL_cpu_featureset_pv 2
struct xen_sysctl_cpu_featureset {
    uint32_t index, nr_features;
    XEN_GUEST_HANDLE_64(uint32) features; /* 0: only how many there are */
};
#define XEN_SYSCTL_cpu_policy_raw 0
#define XEN_SYSCTL_cpu_policy_pv_default 4
struct xen_sysctl_cpu_policy {
    uint32_t index, nr_leaves, nr_msrs, _rsvd; /* numbers: room in, how many out */
    XEN_GUEST_HANDLE_64(struct xen_cpuid_leaf) leaves;
    XEN_GUEST_HANDLE_64(struct xen_msr_entry) msrs;
};

struct xen_sysctl {
    uint32_t cmd, interface_version;
    union {
        struct xen_sysctl_readconsole readconsole;
        struct xen_sysctl_physinfo physinfo;
        struct xen_sysctl_sched_id sched_id;
        struct xen_sysctl_getdomaininfolist getdomaininfolist;
        struct xen_sysctl_debug_keys debug_keys;
        struct xen_sysctl_getcpuinfo getcpuinfo;
        struct xen_sysctl_get_pmstat get_pmstat;
        struct xen_sysctl_cpu_hotplug cpu_hotplug;
        struct xen_sysctl_pm_op pm_op;
        struct xen_sysctl_page_offline_op page_offline;
        struct xen_sysctl_cputopoinfo cputopoinfo;
        struct xen_sysctl_numainfo numainfo;
        struct xen_sysctl_cpupool_op cpupool_op;
        struct xen_sysctl_scheduler_op scheduler_op;
        struct xen_sysctl_pcitopoinfo pcitopoinfo;
        struct xen_sysctl_cpu_levelling_caps cpu_levelling_caps;
        struct xen_sysctl_cpu_featureset cpu_featureset;
        struct xen_sysctl_cpu_policy cpu_policy;
        uint8_t pad[128];
    } u;
};
