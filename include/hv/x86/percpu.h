/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU data and how it is found. Each stack block (one per vCPU, one per IST stack of a
 * CPU) ends in a struct stack_top, so the stack pointer alone leads to this CPU's data. GS
 * always belongs to the guest: there is no SWAPGS window.
 */
#pragma once

#include <hv/cpuset.h>
#include <hv/spinlock.h>
#include <hv/x86/layout.h>
#include <hv/x86/regs.h>

#define MAX_LOCKS_HELD 8

struct tss64 { /* Intel SDM vol. 3, 8.7 */
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_map_base;
} __packed;
CHECK_SIZE(struct tss64, 104);

/* What a CPU is in the middle of: bits of percpu.inside, written by that CPU alone. */
#define INSIDE_NMI 1u
#define INSIDE_MC 2u
#define INSIDE_CONSOLE 4u   /* the console lock is held here */
#define INSIDE_NO_LOCKS 8u  /* a handler that may not take locks */
#define INSIDE_FIRMWARE 16u /* a runtime service of UEFI */

enum cpu_state { CPU_ABSENT, CPU_STARTING, CPU_ONLINE, CPU_LEAVING, CPU_PARKED, CPU_RETURNING };

/* An exception that the exception table took care of. */
struct mended {
    u32 vector, error;
    u64 address; /* CR2, of a page fault */
};

struct percpu {
    struct vcpu *curr;        /* poison until this CPU's idle vCPU runs, and in handlers that may not follow it */
    struct vcpu *hidden_curr; /* what it was before such a handler */
    u32 id, apic_id;
    u32 state; /* enum cpu_state */
    u32 inside;
    struct mended mended; /* the last one; not those in NMI and #MC handlers */
    u32 softirq_pending;  /* bits of enum softirq; set by this CPU and by others */
    u32 locks_held;       /* spinlocks held by this CPU: must be 0 to schedule */
    struct vcpu *idle;
    struct vcpu *
        curr_vcpu; /* whose segments and FPU state the CPU holds, if its state_cpu is this one; while idle, of who ran last (Xen: the same) */
    struct domain *loaded_dom; /* whose address space CR3 holds (Linux: loaded_mm; Xen: dirty_cpumask); NULL: the hypervisor's own */
    u64 cr4, xcr0;             /* cached */
    bool cpuid_faults;         /* the same: cpu_fault_cpuid() */
    u64 guest_cr3, full_cr3;   /* XPTI: what the last exit to a guest loaded, and what it replaced */
    u64 xpti_image, xpti_area; /* this CPU's part of guests' tables under XPTI: entries for the image's slot and for its areas */
    u32 tlb_flush_time;        /* what the TLB clock said at the last full flush */
    u32 flush_what;            /* tlb.c: requests of other CPUs, which count them */
    u64 flush_asked, flush_done;
    u64 flush_address;
    const struct page_info *updating; /* a table whose entry is being changed (pt_update.c) */
    bool firmware_faulted;            /* a runtime service raised an exception, */
    u64 firmware_fault;               /* here */
    s64 tsc_offset;                   /* to the boot CPU's TSC */
    u64 nmi_count, irq_count;
    u32 nmis_for_dom0; /* counted by the NMI handler, taken by its softirq */
    void *boot_stack;  /* other CPUs than the first: the stack block they start and park on */
    u64 *gdt;          /* the page of hypervisor descriptors, GDT offset 0xe000 */
    u64 ist_ssp[8];    /* INTERRUPT_SSP_TABLE: shadow stacks by number of the IST stack; word 0 is not used */
    struct tss64 tss __aligned_to(16);
#ifdef DEBUG
    spinlock_t *held[MAX_LOCKS_HELD];
#endif
} __aligned_to(64);

/* At the top of every stack block. guest_regs.es must be 16-byte aligned: it is RSP0. */
struct stack_top {
    struct cpu_user_regs guest_regs;
    struct percpu *cpu;
    struct vcpu *vcpu; /* whose stack it is; NULL: an IST stack, a boot stack */
};
_Static_assert((sizeof(struct stack_top) - offsetof(struct stack_top, guest_regs.es)) % 16 == 0, "RSP0 must be 16-byte aligned");

static inline struct stack_top *this_stack_top(void)
{
    u64 rsp;

    __asm__("mov %%rsp, %0" : "=r"(rsp));
    return (struct stack_top *)((rsp | (STACK_BLOCK_SIZE - 1)) + 1) - 1;
}

static inline struct percpu *this_cpu(void) { return this_stack_top()->cpu; }

/* The vCPU that this CPU runs. Poison until the boot CPU's idle vCPU exists (at the end of phase early_boot). */
#define current (this_cpu()->curr)
#define guest_cpu_user_regs() (&this_stack_top()->guest_regs)

/* Non-canonical, so that a use of `current` before it is valid faults. */
#define CURRENT_POISON ((struct vcpu *)0xdead000000000000UL)

extern struct percpu boot_percpu;
extern struct percpu *cpu_table[MAX_CPUS]; /* by number; NULL: no such CPU */
extern cpuset_t cpus_online;               /* CPUs that answer interrupts of other CPUs */

static inline bool cpu_is_online(const struct percpu *c) { return cpuset_test(cpuset_read(&cpus_online), c->id); }
