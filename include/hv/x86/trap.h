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
