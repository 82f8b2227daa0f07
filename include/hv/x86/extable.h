/* SPDX-License-Identifier: MIT */
/* Instructions that may fault, and where they continue: arch/x86/trap/extable.c. hv/x86/processor.h makes the entries. */
#ifndef HV_X86_EXTABLE_H
#define HV_X86_EXTABLE_H

#include <hv/x86/regs.h>

/* True, and regs->rip moved, if the faulting instruction has a fixup. Any context, no lock. */
bool extable_fixup(struct cpu_user_regs *regs);

#endif
