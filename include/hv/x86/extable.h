/* SPDX-License-Identifier: MIT */
/* Instructions that may fault, and where they continue: arch/x86/trap/extable.c. hv/x86/processor.h makes the entries. */
#pragma once

#include <hv/x86/regs.h>

/* True, and regs->rip moved, if the faulting instruction has a fixup. Any context, no lock. */
bool extable_fixup(struct cpu_user_regs *regs);
