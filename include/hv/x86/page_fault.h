/* SPDX-License-Identifier: MIT */
/* #PF in the hypervisor: arch/x86/trap/page_fault.c. Any context, no lock. */
#pragma once

#include <hv/x86/regs.h>

/* True if a touch of the early direct map was answered with a mapping. */
bool page_fault_early(const struct cpu_user_regs *regs);
/* Prints the page-table entries that lead to va from the table at cr3; memory that cannot be read is named, not read. loglvl: LOG_* or "". */
void page_walk_print(u64 cr3, u64 va, const char *loglvl);
