/* SPDX-License-Identifier: MIT */
/* What reports are made of: arch/x86/trap/fatal.c, page_walk.c. They begin with panic() and fatal_trap() (hv/panic.h). Any context, no lock. */
#pragma once

#include <hv/x86/regs.h>

void registers_print(const struct cpu_user_regs *regs, const char *loglvl); /* LOG_* or "" */
/* Prints the page-table entries that lead to va from the table at cr3; memory that cannot be read is named, not read. loglvl: LOG_* or "". */
void page_walk_print(u64 cr3, u64 va, const char *loglvl);
/* The machine address that the report to come is about; 0: none. */
void fatal_note_address(u64 address);
/* Does not return on a CPU that is not the one that reports. */
void cpu_stop_if_panicking(void);
