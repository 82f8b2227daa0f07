/* SPDX-License-Identifier: MIT */
/* What a PV guest's domain and vCPUs have beside what every guest has: parts of struct domain and struct vcpu (domain.h). */
#pragma once

#include <hv/spinlock.h>
#include <hv/time.h>
#include <public/xen.h>

#define MAX_VIRT_CPUS 64
#define VCPUS_PER_L1 16 /* of perdomain_l1[]: 32 entries for each */

/*
 * How a guest gets its TSC: the processor's, or one of a rate of its own, for which RDTSC is trapped (CR4.TSD) and emulated. Written while the
 * domain is paused.
 */
struct emulated_tsc {
    bool emulated;
    u32 mode, khz, incarnation; /* the toolstack's: TSC_MODE_*; khz 0: the machine's */
    u64 start;                  /* the system time at which it was 0; may lie before 0, modulo 2^64 */
    struct tsc_scale scale;
};

/* What a guest writes is logged (log_dirty.c). */
struct log_dirty {
    bool on; /* written while the domain is paused */
    spinlock_t lock;
    u32 first, count, free; /* frames for copies of its page tables: a block, and the first unused one, then by page_info.next; 0: none */
};

/* Page tables of slot 258, which has the descriptor windows of the domain's vCPUs. */
struct pv_domain {
    u64 *perdomain_l3, *perdomain_l2;
    u64 *perdomain_l1[MAX_VIRT_CPUS / VCPUS_PER_L1]; /* as many as its vCPUs need */
    struct emulated_tsc tsc;
    struct log_dirty log;

    /* What CPUID shows, if the toolstack has said so (cpu_policy.c); written before the domain's first run. */
    struct xen_cpuid_leaf *cpuid;
    u32 nr_cpuid;
    u64 xcr0_mask; /* components that it may enable; of the machine, where there is no policy */
};

struct callback {
    u64 address; /* 0: not registered */
    bool mask_events;
};

/* What a guest's machine-check MSRs show; pending: its #MC has not been delivered yet. */
struct vmce {
    u64 mcg_status, status, address, misc;
    bool pending;
};

/* The CPU state of a PV guest that the hardware does not hold for us. */
struct pv_vcpu {
    bool guest_kernel_mode;
    mfn_t base[2];   /* its L4 tables, of kernel and user mode; 0: none loaded */
    mfn_t run_l4[2]; /* what it runs on: the same, or those of log_dirty.c */
    u64 kernel_sp;
    u64 bounce_sp; /* kernel_sp, aligned, if a frame below it cannot reach the hypervisor; else 0 */
    u16 kernel_ss;
    struct trap_info traps[256];
    u64 fault_address; /* where page faults go by the fast path: of traps[], 0: they are looked at in C (pv_traps_changed()) */
    struct callback event_cb, failsafe_cb, syscall_cb, syscall32_cb, sysenter_cb; /* sysenter: CPUID does not show SEP */
    u32 iopl;                                                                     /* virtual; the real one is always 0 */
    u64 frame_iopl;                                                               /* the RFLAGS bits of frames that show it */
    guest_ptr_t iobitmap; /* in the guest kernel's memory: the ports that user mode may use, */
    u32 iobitmap_ports;   /* and how many it tells of */
    u64 cr4;              /* guest-owned bits */
    bool cr0_ts;
    u64 dr[8]; /* dr[4], dr[5] unused */
    u64 xcr0;
    u32 pci_cf8; /* last address written to port cf8h */

    /* Descriptor tables: frames hold a seg_desc type reference each. */
    u32 gdt_entries, gdt_nr_frames;
    mfn_t gdt_frames[16];
    u64 ldt_base;
    u32 ldt_entries;
    mfn_t ldt_frames[16]; /* mapped on demand; 0: not mapped */

    /* Valid while the vCPU's state is not loaded (percpu.curr_vcpu). */
    u16 ds, es, fs, gs;
    bool selectors_lost; /* some could not be loaded again: above is what they were, loaded is null */
    bool selectors_due;  /* loaded they are null as yet: pages of the LDT are to be mapped first */
    u64 fs_base, gs_base, gs_base_shadow;
    void *fpu_area; /* XSAVE format */
    u64 tsc_aux;

    u64 spec_ctrl, spec_ctrl_hw; /* as the guest has it, and the processor for it */

    /* Tables that the guest runs on where it may not see the hypervisor's memory (xpti.c). */
    struct {
        u64 *l4[2], *l3; /* copies of the kernel's and the user L4 */
        paddr_t root[2];
        spinlock_t lock; /* what l4[] is a copy of */
    } xpti;

    struct vmce vmce;
};
