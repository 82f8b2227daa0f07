/*
 * The two C entries, by origin. Interrupts are off in both; the hypervisor turns them on only
 * in the idle loop and at explicit points, so an interrupt "from the hypervisor" is one of those.
 */
#include <hv/irq.h>
#include <hv/panic.h>
#include <hv/pv.h>
#include <hv/softirq.h>
#include <hv/x86/trap.h>

void trap_from_hypervisor(struct cpu_user_regs *regs)
{
    u32 vector = regs->entry_vector & 0xff;

    if (vector >= VECTOR_FIRST_EXTERNAL) {
        irq_dispatch(vector);
        return;
    }
    switch (vector_policies[vector].hypervisor) {
    case POLICY_EXTABLE:
        if (!extable_fixup(regs))
            fatal_trap(regs, vector_policies[vector].what);
        return;
    case POLICY_PAGE_FAULT:
        page_fault_from_hypervisor(regs);
        return;
    case POLICY_CONTINUE:
        debug_trap_from_hypervisor(regs);
        return;
    case POLICY_MACHINE:
        if (vector == VEC_NMI)
            nmi_handle(regs);
        else
            machine_check_handle(regs);
        return;
    case POLICY_FATAL:
        break;
    }
    if (vector == VEC_DF)
        double_fault_handle(regs);
    fatal_trap(regs, vector_policies[vector].what);
}

void trap_from_guest(struct cpu_user_regs *regs)
{
    u32 vector = regs->entry_vector & 0xff;

    if (vector >= VECTOR_FIRST_EXTERNAL) {
        irq_dispatch(vector);
        return;
    }
    ASSERT(booted_past(PHASE_ACTIVE)); /* no guest runs before */
    if (vector == VEC_NMI)
        nmi_handle(regs);
    else if (vector == VEC_MC)
        machine_check_handle(regs);
    else if (vector_policies[vector].guest_delivery)
        pv_guest_exception(regs, vector);
    else
        /* Not raised by software: INT n to these gates is #GP (DPL 0). */
        fatal_trap(regs, vector_policies[vector].what);
}
