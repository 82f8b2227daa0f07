/* SPDX-License-Identifier: MIT */
/*
 * Control-flow enforcement for the hypervisor (CET: Intel SDM vol. 1, chapter 17).
 *
 * Shadow stacks: the processor keeps a second copy of every return address and of every interrupted place, and
 * raises #CP where a return does not agree with it. Each stack block's guard page is its shadow stack: read-only and
 * dirty, so that nothing but calls, returns and WRSS write it. Its last word is the token by which the processor takes and
 * leaves it.
 *
 * Indirect branch tracking: an indirect jump or call that does not lead to ENDBR64 raises #CP.
 */
#pragma once

#include <hv/x86/layout.h>

#define MSR_U_CET 0x6a0
#define MSR_S_CET 0x6a2
#define S_CET_SHSTK_EN 0x1
#define S_CET_WR_SHSTK_EN 0x2
#define S_CET_ENDBR_EN 0x4
#define MSR_PL0_SSP 0x6a4
#define MSR_INTERRUPT_SSP_TABLE 0x6a8

#define SHADOW_STACK_TOKEN (2 * 4096 - 8) /* in a stack block */

#ifndef __ASSEMBLER__
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/speculation.h>

static inline bool shadow_stacks_in_use(void) { return spec.what & SPEC_SHADOW_STACKS; }

/* Fills a new vCPU's shadow stack so that switch_stack() goes on at first_code. The SSP that it pops; 0 without shadow stacks. */
u64 shadow_stack_first(void *block, u64 first_code);
/* A trap of the hypervisor's frame returns elsewhere than it came from. */
void shadow_stack_redirect(u64 from, u64 to);
void shadow_stack_init_cpu(struct percpu *c, void *block); /* MSRs of this CPU, which is c; block: whose stack it is on */

static inline u64 shadow_stack_token(const void *address_in_block)
{
    return ((u64)address_in_block & ~(STACK_BLOCK_SIZE - 1UL)) + SHADOW_STACK_TOKEN;
}

/* From here on this CPU uses its shadow stack, which knows nothing of the callers so far: for functions that never return. */
static force_inline void shadow_stack_start(struct percpu *c, void *block)
{
    if (!shadow_stacks_in_use())
        return;
    shadow_stack_init_cpu(c, block);
    __asm__ volatile("wrmsr; setssbsy" ::"c"(MSR_S_CET), "a"(S_CET_SHSTK_EN | S_CET_WR_SHSTK_EN), "d"(0) : "memory");
}

/* On this CPU. Not while boot's libraries may be called, which have no ENDBR64. */
void branch_tracking_start(void);
void branch_tracking_stop(void);

/* Around code that is not ours: what to give to cet_resume(), in the same function. */
static inline u64 cet_suspend(void)
{
    u64 was = read_cr4() & CR4_CET ? rdmsr(MSR_S_CET) : 0;

    if (was)
        wrmsr(MSR_S_CET, 0);
    return was;
}

static inline void cet_resume(u64 was)
{
    if (was)
        wrmsr(MSR_S_CET, was);
}
#endif
