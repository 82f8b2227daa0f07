/* SPDX-License-Identifier: MIT */
/*
 * Traps. arch/x86/trap/matrix.tbl gives each (vector, phase, context) its one outcome; policy.c
 * holds that table (hv/x86/trap_policy.h), dispatch.c acts on it. docs/traps.md explains.
 */
#pragma once

#include <hv/x86/regs.h>

/* Called by trap/entry.S alone, interrupts off. */
void trap_from_guest(struct cpu_user_regs *regs);
/* NULL: return by IRETQ. Else the frame to pop, made where NMIs are blocked and must stay so. */
void *trap_from_hypervisor(struct cpu_user_regs *regs);

/* ---- extable.c: instructions that may fault, and where they continue. hv/x86/processor.h makes the entries. ---- */
/* True, and regs->rip moved, if the faulting instruction has a fixup. Any context, no lock. */
bool extable_fixup(struct cpu_user_regs *regs);

/* ---- nmi.c ---- */
void nmi_init(void); /* boot */
/* In the handler: no lock, no `current`. */
void nmi_handle(struct cpu_user_regs *regs);
/* entry.S. NMIs are blocked until the next IRETQ, and a return by SYSRET would leave them so. */
void nmi_unblock(void);
