/* SPDX-License-Identifier: MIT */
/* Instructions that may fault, and where they continue. */
#include <hv/efi.h>
#include <hv/x86/cet.h>
#include <hv/x86/trap.h>

extern const struct exception_table_entry __ex_table_start[], __ex_table_end[];

void continue_at(struct cpu_user_regs *regs, u64 rip)
{
    shadow_stack_redirect(regs->rip, rip);
    regs->rip = rip;
}

bool extable_fixup(struct cpu_user_regs *regs)
{
    /* Linear: the table has a few dozen entries, and a fault here is rare. */
    for (const struct exception_table_entry *e = __ex_table_start; e < __ex_table_end; e++)
        if ((u64)&e->insn + (u64)(s64)e->insn == regs->rip) {
            continue_at(regs, (u64)&e->fixup + (u64)(s64)e->fixup);
            return true;
        }
    /* The firmware's fault, not one of a handler that has interrupted it. */
    if ((this_cpu()->inside & (INSIDE_FIRMWARE | INSIDE_NMI | INSIDE_MC)) == INSIDE_FIRMWARE) {
        this_cpu()->firmware_faulted = true;
        this_cpu()->firmware_fault = regs->rip;
        continue_at(regs, (u64)efi_abort);
        return true;
    }
    return false;
}
