/* SPDX-License-Identifier: MIT */
/* Non-maskable interrupts: arch/x86/trap/nmi.c. */
#pragma once

#include <hv/x86/regs.h>

void nmi_init(void); /* boot */
/* In the handler: no lock, no `current`. */
void nmi_handle(struct cpu_user_regs *regs);
/* entry.S. NMIs are blocked until the next IRETQ, and a return by SYSRET would leave them so. */
void nmi_unblock(void);
