/* SPDX-License-Identifier: MIT */
/* The page behind the AP trampoline, shared by ap_trampoline.S and ap_bringup.c. */
#pragma once

#define AP_STAGE_SENT 0
#define AP_STAGE_REAL 1
#define AP_STAGE_32 2
#define AP_STAGE_64 3
#define AP_NO_VECTOR 0xffffffff

#ifndef __ASSEMBLER__
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>

struct ap_mailbox {
    u32 stage, vector; /* how far the CPU came; AP_NO_VECTOR, or the exception that stopped it */
    u64 cr3, stack, entry, percpu;
    struct table_pointer ivt_pointer;
    struct table_pointer idt32_pointer;
    struct table_pointer gdt_pointer;
    struct table_pointer idt64_pointer;
    struct table_pointer gdt64_pointer;
    struct {
        u16 offset, segment;
    } ivt[32];
    u64 idt32[32];
    u64 gdt[16]; /* the processor's own descriptors until it loads them from their page */
    /* The end of a stack block, like all stacks: a trap before the CPU is on its own finds its data. */
    u8 stack_area[4096 - 512 - 128 - sizeof(struct stack_top)];
    struct stack_top stack_top;
};
CHECK_SIZE(struct ap_mailbox, 4096);
#endif
