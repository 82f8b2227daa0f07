/* SPDX-License-Identifier: MIT */
/* domctl: operations of the toolstack on domains. What is here is what the hypervisor answers. */
#pragma once

#include <public/xen.h>

#define XEN_DOMCTL_INTERFACE_VERSION 0x00000015      /* Xen 4.17 */
#define XEN_DOMCTL_INTERFACE_VERSION_4_20 0x00000017 /* since Xen 4.19 */

#define XEN_DOMCTL_createdomain 1
#define XEN_DOMCTL_destroydomain 2
#define XEN_DOMCTL_pausedomain 3
#define XEN_DOMCTL_unpausedomain 4
#define XEN_DOMCTL_getdomaininfo 5
#define XEN_DOMCTL_setvcpuaffinity 9
#define XEN_DOMCTL_shadow_op 10
#define XEN_DOMCTL_max_mem 11
#define XEN_DOMCTL_setvcpucontext 12
#define XEN_DOMCTL_getvcpucontext 13
#define XEN_DOMCTL_getvcpuinfo 14
#define XEN_DOMCTL_max_vcpus 15
#define XEN_DOMCTL_scheduler_op 16
#define XEN_DOMCTL_setdomainhandle 17
#define XEN_DOMCTL_setdebugging 18
#define XEN_DOMCTL_irq_permission 19
#define XEN_DOMCTL_iomem_permission 20
#define XEN_DOMCTL_ioport_permission 21
#define XEN_DOMCTL_hypercall_init 22
#define XEN_DOMCTL_settimeoffset 24
#define XEN_DOMCTL_getvcpuaffinity 25
#define XEN_DOMCTL_resumedomain 27
#define XEN_DOMCTL_sendtrigger 28
#define XEN_DOMCTL_set_address_size 35
#define XEN_DOMCTL_get_address_size 36
#define XEN_DOMCTL_set_ext_vcpucontext 42
#define XEN_DOMCTL_get_ext_vcpucontext 43
#define XEN_DOMCTL_gettscinfo 59
#define XEN_DOMCTL_settscinfo 60
#define XEN_DOMCTL_getpageframeinfo3 61
#define XEN_DOMCTL_setvcpuextstate 62
#define XEN_DOMCTL_getvcpuextstate 63
#define XEN_DOMCTL_set_virq_handler 66
#define XEN_DOMCTL_setnodeaffinity 68
#define XEN_DOMCTL_getnodeaffinity 69
#define XEN_DOMCTL_get_vcpu_msrs 72
#define XEN_DOMCTL_set_vcpu_msrs 73
#define XEN_DOMCTL_get_cpu_policy 82
#define XEN_DOMCTL_set_cpu_policy 83

/* What becomes of a frame number: the type of the table that it is, and whether it is pinned. */
#define XEN_DOMCTL_PFINFO_LTAB_SHIFT 28
#define XEN_DOMCTL_PFINFO_LPINTAB (1u << 31)
#define XEN_DOMCTL_PFINFO_BROKEN (0xdu << 28)
#define XEN_DOMCTL_PFINFO_XTAB (0xfu << 28) /* no frame of the domain's */
struct xen_domctl_getpageframeinfo3 {
    uint64_t num;
    XEN_GUEST_HANDLE_64(uint64_t) array;
};

struct xen_arch_domainconfig {
    uint32_t emulation_flags, misc_flags;
};

#define XEN_DOMCTL_CDF_oos_off 8 /* of shadow page tables: nothing here */
#define XEN_DOMCTL_CDF_xs_domain 16
#define XEN_DOMCTL_GRANT_version(opts) ((opts)&0xf)
struct xen_domctl_createdomain {
    uint32_t ssidref;
    uint8_t handle[16];
    uint32_t flags, iommu_opts, max_vcpus, max_evtchn_port;
    int32_t max_grant_frames, max_maptrack_frames; /* below 0: as many as there may be */
    uint32_t grant_opts, vmtrace_size, cpupool_id;
    struct xen_arch_domainconfig arch;
};
struct xen_domctl_createdomain_4_20 {
    uint32_t ssidref;
    uint8_t handle[16];
    uint32_t flags, iommu_opts, max_vcpus, max_evtchn_port;
    int32_t max_grant_frames, max_maptrack_frames;
    uint32_t grant_opts, altp2m_opts, vmtrace_size, cpupool_id;
    struct xen_arch_domainconfig arch;
};

#define XEN_DOMINF_dying 1
#define XEN_DOMINF_shutdown 4
#define XEN_DOMINF_paused 8
#define XEN_DOMINF_blocked 16
#define XEN_DOMINF_running 32
#define XEN_DOMINF_debugged 64
#define XEN_DOMINF_xs_domain 128
#define XEN_DOMINF_shutdownshift 16
#define XEN_INVALID_MAX_VCPU_ID 0xffffffffu
struct xen_domctl_getdomaininfo {
    domid_t domain;
    uint16_t pad1;
    uint32_t flags;
    uint64_t tot_pages, max_pages, outstanding_pages, shr_pages, paged_pages, shared_info_frame;
    uint64_t cpu_time; /* ns */
    uint32_t nr_online_vcpus, max_vcpu_id, ssidref;
    uint8_t handle[16];
    uint32_t cpupool;
    uint8_t gpaddr_bits, pad2[7];
    struct xen_arch_domainconfig arch_config;
};

struct xen_domctl_max_mem {
    uint64_t max_memkb;
};
struct xen_domctl_max_vcpus {
    uint32_t max;
};

#define XEN_VCPUAFFINITY_HARD 1
#define XEN_VCPUAFFINITY_SOFT 2
#define XEN_VCPUAFFINITY_FORCE 4 /* set: the vCPU's own SCHEDOP_pin_override ends first */
struct xen_domctl_vcpuaffinity {
    uint32_t vcpu, flags;
    struct xenctl_bitmap cpumap_hard, cpumap_soft; /* in and out */
};

#define XEN_SCHEDULER_CREDIT2 6
#define XEN_DOMCTL_SCHEDOP_putinfo 0
#define XEN_DOMCTL_SCHEDOP_getinfo 1
struct xen_domctl_sched_credit2 {
    uint16_t weight, cap; /* cap: percent of one CPU, 0: none */
};
struct xen_domctl_scheduler_op {
    uint32_t sched_id, cmd;
    union {
        struct xen_domctl_sched_credit2 credit2;
        uint64_t align[2];
    } u;
};

struct xen_domctl_irq_permission {
    uint32_t pirq;
    uint8_t allow_access, pad[3]; /* allow_access 0: taken away, here and below */
};
struct xen_domctl_iomem_permission {
    uint64_t first_mfn, nr_mfns;
    uint8_t allow_access;
};
struct xen_domctl_ioport_permission {
    uint32_t first_port, nr_ports;
    uint8_t allow_access;
};

struct xen_domctl_vcpucontext {
    uint32_t vcpu;
    XEN_GUEST_HANDLE_64(struct vcpu_guest_context) ctxt; /* in, or out */
};

struct xen_domctl_getvcpuinfo {
    uint32_t vcpu; /* in; the rest is out */
    uint8_t online, blocked, running;
    uint64_t cpu_time; /* ns */
    uint32_t cpu;      /* where it runs or ran */
};
struct xen_domctl_vcpuextstate {
    uint32_t vcpu;
    uint64_t xfeature_mask, size;         /* bits of XCR0, and bytes of the buffer; get without a buffer: what they would be */
    XEN_GUEST_HANDLE_64(uint64_t) buffer; /* XCR0, all bits that it has had, an XSAVE area in standard form */
};
struct xen_domctl_nodeaffinity {
    struct xenctl_bitmap nodemap;
};

#define XEN_DOMCTL_SHADOW_OP_OFF 0
#define XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY 2
#define XEN_DOMCTL_SHADOW_OP_CLEAN 11
#define XEN_DOMCTL_SHADOW_OP_PEEK 12
struct xen_domctl_shadow_op {
    uint32_t op, mode, mb;
    XEN_GUEST_HANDLE_64(uint8_t) dirty_bitmap;
    uint64_t pages;    /* bits in it: by the guest's frame numbers */
    uint32_t stats[2]; /* faults, which are not counted; dirty pages */
};
struct xen_domctl_setdebugging {
    uint8_t enable;
};
struct xen_domctl_hypercall_init {
    uint64_t gmfn;
};
struct xen_domctl_settimeoffset {
    int64_t time_offset_seconds; /* of the domain's wall clock, to the machine's */
};
#define XEN_DOMCTL_SENDTRIGGER_NMI 0
#define XEN_DOMCTL_SENDTRIGGER_RESET 1
#define XEN_DOMCTL_SENDTRIGGER_INIT 2
#define XEN_DOMCTL_SENDTRIGGER_POWER 3
#define XEN_DOMCTL_SENDTRIGGER_SLEEP 4
struct xen_domctl_sendtrigger {
    uint32_t trigger, vcpu;
};
struct xen_domctl_address_size {
    uint32_t size;
};
#define TSC_MODE_DEFAULT 0
#define TSC_MODE_ALWAYS_EMULATE 1
#define TSC_MODE_NEVER_EMULATE 2
struct xen_domctl_tsc_info {
    uint32_t tsc_mode, gtsc_khz, incarnation, pad; /* gtsc_khz 0: the machine's */
    uint64_t elapsed_nsec;                         /* since the guest's TSC was 0 */
};

struct hvm_vmce_vcpu {
    uint64_t caps, mci_ctl2_bank0, mci_ctl2_bank1, mcg_ext_ctl;
};
struct xen_domctl_ext_vcpucontext {
    uint32_t vcpu, size; /* size: bytes of this structure, in for set, out for get */
    uint64_t syscall32_callback_eip, sysenter_callback_eip;
    uint16_t syscall32_callback_cs, sysenter_callback_cs;
    uint8_t syscall32_disables_events, sysenter_disables_events;
    struct hvm_vmce_vcpu vmce;
};

struct xen_domctl_vcpu_msr {
    uint32_t index, reserved;
    uint64_t value;
};
struct xen_domctl_vcpu_msrs {
    uint32_t vcpu, msr_count;                             /* get: room in, number out */
    XEN_GUEST_HANDLE_64(struct xen_domctl_vcpu_msr) msrs; /* 0: ask for the number */
};

struct xen_domctl_setdomainhandle {
    uint8_t handle[16];
};
struct xen_domctl_set_virq_handler {
    uint32_t virq;
};

struct xen_domctl_cpu_policy {
    uint32_t nr_leaves, nr_msrs; /* room in, number out; set: numbers in */
    XEN_GUEST_HANDLE_64(struct xen_cpuid_leaf) leaves;
    XEN_GUEST_HANDLE_64(struct xen_msr_entry) msrs;
    uint32_t err_leaf, err_subleaf, err_msr; /* out, set: what is wrong; ~0: not that */
};

struct xen_domctl {
    uint32_t cmd, interface_version;
    domid_t domain;
    uint16_t _pad[3];
    union {
        struct xen_domctl_createdomain createdomain;
        struct xen_domctl_createdomain_4_20 createdomain_4_20;
        struct xen_domctl_getdomaininfo getdomaininfo;
        struct xen_domctl_max_mem max_mem;
        struct xen_domctl_getpageframeinfo3 getpageframeinfo3;
        struct xen_domctl_max_vcpus max_vcpus;
        struct xen_domctl_vcpuaffinity vcpuaffinity;
        struct xen_domctl_scheduler_op scheduler_op;
        struct xen_domctl_vcpucontext vcpucontext;
        struct xen_domctl_getvcpuinfo getvcpuinfo;
        struct xen_domctl_vcpuextstate vcpuextstate;
        struct xen_domctl_nodeaffinity nodeaffinity;
        struct xen_domctl_shadow_op shadow_op;
        struct xen_domctl_setdebugging setdebugging;
        struct xen_domctl_hypercall_init hypercall_init;
        struct xen_domctl_settimeoffset settimeoffset;
        struct xen_domctl_sendtrigger sendtrigger;
        struct xen_domctl_address_size address_size;
        struct xen_domctl_tsc_info tsc_info;
        struct xen_domctl_ext_vcpucontext ext_vcpucontext;
        struct xen_domctl_vcpu_msrs vcpu_msrs;
        struct xen_domctl_cpu_policy cpu_policy;
        struct xen_domctl_setdomainhandle setdomainhandle;
        struct xen_domctl_set_virq_handler set_virq_handler;
        struct xen_domctl_irq_permission irq_permission;
        struct xen_domctl_iomem_permission iomem_permission;
        struct xen_domctl_ioport_permission ioport_permission;
        uint8_t pad[128];
    } u;
};
