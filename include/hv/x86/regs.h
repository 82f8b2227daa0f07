/* SPDX-License-Identifier: MIT */
/* The saved register frame: the layout of the ABI's cpu_user_regs, so that it can be copied to guests whole. */
#pragma once

#include <hv/types.h>
#include <hv/x86/bits.h>

struct cpu_user_regs {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u32 error_code;
    u32 entry_vector;
    u64 rip;
    u16 cs, cs_pad;
    u8 saved_upcall_mask, mask_pad[3];
    u64 rflags, rsp;
    u16 ss, ss_pad[3];
    u16 es, es_pad[3];
    u16 ds, ds_pad[3];
    u16 fs, fs_pad[3];
    u16 gs, gs_pad[3];
};
CHECK_SIZE(struct cpu_user_regs, 200);
CHECK_OFFSET(struct cpu_user_regs, error_code, 0x78);
CHECK_OFFSET(struct cpu_user_regs, rip, 0x80);
CHECK_OFFSET(struct cpu_user_regs, saved_upcall_mask, 0x8c);
CHECK_OFFSET(struct cpu_user_regs, es, 0xa8);

/* entry_vector of a frame made by SYSCALL; the low byte of others is the vector. */
#define ENTRY_SYSCALL 0x100

static inline bool regs_from_guest(const struct cpu_user_regs *regs) { return (regs->cs & 3) == 3; }
