/* SPDX-License-Identifier: MIT */
/* The page behind the AP trampoline, shared by ap_trampoline.S and ap_bringup.c. */
#pragma once

#define AP_STAGE_SENT 0
#define AP_STAGE_REAL 1
#define AP_STAGE_32 2
#define AP_STAGE_64 3
#define AP_NO_VECTOR 0xffffffff

#define AP_MAILBOX_STAGE 0
#define AP_MAILBOX_VECTOR 4
#define AP_MAILBOX_CR3 8
#define AP_MAILBOX_STACK 16
#define AP_MAILBOX_ENTRY 24
#define AP_MAILBOX_PERCPU 32
#define AP_MAILBOX_IVT_POINTER 40
#define AP_MAILBOX_IDT32_POINTER 56
#define AP_MAILBOX_GDT_POINTER 72
#define AP_MAILBOX_IDT64_POINTER 88
#define AP_MAILBOX_GDT64_POINTER 104
#define AP_MAILBOX_IVT 128
#define AP_MAILBOX_IDT32 256
#define AP_MAILBOX_GDT 512

#ifndef __ASSEMBLER__
#include <hv/x86/percpu.h>

struct table_pointer {
    u16 limit;
    u64 base; /* 32 bits of it in real and 32-bit mode */
} __packed;

struct ap_mailbox {
    u32 stage, vector; /* how far the CPU came; AP_NO_VECTOR, or the exception that stopped it */
    u64 cr3, stack, entry, percpu;
    struct table_pointer ivt_pointer;
    u8 pad0[6];
    struct table_pointer idt32_pointer;
    u8 pad1[6];
    struct table_pointer gdt_pointer;
    u8 pad2[6];
    struct table_pointer idt64_pointer;
    u8 pad3[6];
    struct table_pointer gdt64_pointer;
    u8 pad4[14];
    struct {
        u16 offset, segment;
    } ivt[32];
    u64 idt32[32];
    u64 gdt[16]; /* the processor's own descriptors until it loads them from their page */
    /* The end of a stack block, like all stacks: a trap before the CPU is on its own finds its data. */
    u8 stack_area[4096 - 512 - 128 - sizeof(struct stack_top)];
    struct stack_top stack_top;
};
CHECK_OFFSET(struct ap_mailbox, cr3, AP_MAILBOX_CR3);
CHECK_OFFSET(struct ap_mailbox, percpu, AP_MAILBOX_PERCPU);
CHECK_OFFSET(struct ap_mailbox, ivt_pointer, AP_MAILBOX_IVT_POINTER);
CHECK_OFFSET(struct ap_mailbox, idt32_pointer, AP_MAILBOX_IDT32_POINTER);
CHECK_OFFSET(struct ap_mailbox, gdt_pointer, AP_MAILBOX_GDT_POINTER);
CHECK_OFFSET(struct ap_mailbox, idt64_pointer, AP_MAILBOX_IDT64_POINTER);
CHECK_OFFSET(struct ap_mailbox, gdt64_pointer, AP_MAILBOX_GDT64_POINTER);
CHECK_OFFSET(struct ap_mailbox, ivt, AP_MAILBOX_IVT);
CHECK_OFFSET(struct ap_mailbox, idt32, AP_MAILBOX_IDT32);
CHECK_OFFSET(struct ap_mailbox, gdt, AP_MAILBOX_GDT);
CHECK_SIZE(struct ap_mailbox, 4096);
#endif
