/* SPDX-License-Identifier: MIT */
/* This processor: features, control registers, descriptor tables, stacks. */
#pragma once

#include <hv/x86/processor.h>
#include <hv/x86/percpu.h>

struct cpu_features {
    char vendor[13], model[49];
    bool intel, amd, tcg; /* tcg: QEMU's own emulation, with its limits */
    bool fast_strings;    /* not turned off by the firmware */
    bool smep, smap, umip, shadow_stacks, branch_tracking, fsgsbase, xsave, xsaveopt, tsc_deadline, invariant_tsc, page1gb, rdtscp,
        lfence_serialises;
    bool x87_pointers_stay; /* FXSAVE, XSAVE and their reverse leave them alone unless an exception is pending */
    u32 max_leaf, max_ext_leaf, phys_bits;
    u64 xcr0_mask;       /* components the hardware and we support */
    u32 xsave_size;      /* bytes for xcr0_mask */
    u32 mxcsr_mask;      /* bits that MXCSR has: others raise #GP */
    u64 cr4;             /* what every CPU runs with, but for a guest's own bits */
    u32 cpuid_fault_msr; /* whose bit makes CPUID raise #GP in ring 3; 0: nothing does */
    u64 cpuid_fault_bit;
    u32 thread_bits, socket_bits; /* the lowest ones of APIC ids: a thread's number in its core, and in its socket */
};
extern struct cpu_features cpu;

/* Where a CPU sits: its socket, and its core there. */
struct cpu_place {
    u32 core, socket;
};
/* topology.c */
void cpu_find_topology(void);
struct cpu_place cpu_place(u32 apic_id);

void cpu_identify(void);        /* early: CPUID only */
void cpu_enable_features(void); /* decides, for all CPUs; then loads */
void cpu_fault_cpuid(bool on);  /* in ring 3, on this CPU, where it can be made to */
void cpu_load_pat(void);        /* before the first mapping that the reset value does not know: HV_WC */
void cpu_load_features(void);   /* control registers and PAT of this CPU */
/* Descriptor tables of a CPU: TSS with IST stacks. */
void cpu_init_descriptors(struct percpu *c);
void cpu_set_stack(struct percpu *c, void *block); /* where entries from the guest arrive from now on. c is this CPU; interrupts off */
/* A stack block in vmap space with its guard page or shadow stack; NULL: out of memory. */
void *stack_block_alloc(void) __must_check;
void stack_block_free(void *block); /* no CPU is on it */
void *ist_block_alloc(void) __must_check;
/* The same for the boot CPU's statically allocated blocks. */
void stack_guard_boot_blocks(void);
static inline struct stack_top *stack_block_top(void *block) { return (struct stack_top *)((char *)block + STACK_BLOCK_SIZE) - 1; }
void cpu_write_cr4(u64 cr4); /* of this CPU, noted in percpu.cr4 */
bool smap_breaks_iret(void); /* boot CPU, before guests and shadow stacks */

static inline bool cpu_on_ist_stack(const struct percpu *c, unsigned ist, u64 rsp)
{
    u64 top = c->tss.ist[ist - 1] | (STACK_BLOCK_SIZE - 1);

    return top - rsp < STACK_BLOCK_SIZE;
}

extern char boot_stack_block[], boot_ist_stacks[];
