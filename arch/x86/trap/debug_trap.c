/* SPDX-License-Identifier: MIT */
/*
 * #DB in the hypervisor. A guest can cause it: a data breakpoint or single-step set by the
 * guest may fire on the first instructions of an entry (XSA-260). So it is never fatal.
 */
#include <hv/x86/trap.h>

void debug_trap_from_hypervisor(struct cpu_user_regs *regs)
{
    u64 dr6_clear = DR6_RESERVED_1;

    /* Breakpoint state belongs to the guest; it sees its own #DB when it runs into it itself. */
    regs->rflags &= ~RFLAGS_TF;
    __asm__ volatile("mov %0, %%dr6" ::"r"(dr6_clear));
}
