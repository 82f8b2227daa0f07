/* SPDX-License-Identifier: MIT */
/*
 * Traps. arch/x86/trap/matrix.tbl gives each (vector, phase, context) its one outcome; policy.c
 * holds that table, dispatch.c acts on it. docs/traps.md explains.
 */
#pragma once

#include <hv/x86/regs.h>
#include <hv/x86/vectors.h>

/* Called by trap/entry.S alone, interrupts off. */
void trap_from_guest(struct cpu_user_regs *regs);
/* NULL: return by IRETQ. Else the frame to pop, made where NMIs are blocked and must stay so. */
void *trap_from_hypervisor(struct cpu_user_regs *regs);

/* ---- extable.c: instructions that may fault, and where they continue. hv/x86/processor.h makes the entries. ---- */
/* True, and regs->rip moved, if the faulting instruction has a fixup. Any context, no lock. */
bool extable_fixup(struct cpu_user_regs *regs);
void continue_at(struct cpu_user_regs *regs, u64 rip); /* there, instead of where the trap was */

/* ---- nmi.c ---- */
void nmi_init(void); /* boot */
/* In the handler: no lock, no `current`. */
void nmi_handle(struct cpu_user_regs *regs);
/* entry.S. NMIs are blocked until the next IRETQ, and a return by SYSRET would leave them so. */
void nmi_unblock(void);

/* ---- policy.c: the matrix as code asks it, and where this CPU stands in it. Any context, no lock. ---- */
struct vector_info {
    const char *mnemonic, *what;
    bool has_error_code;
};
extern const struct vector_info vector_infos[32];

/* Outcomes, phases and contexts are the enums of the generated trap_matrix.h. */
#define VECTOR_ROW_IRQ 32 /* the row of all interrupt vectors */
u32 trap_outcome(u32 vector, u32 phase, u32 context);
u32 trap_outcome_now(u32 vector, const struct cpu_user_regs *regs); /* of a trap that this CPU has taken */
u32 trap_phase(void);
u32 trap_context(const struct cpu_user_regs *regs); /* NULL: no guest was running */
const char *trap_phase_name(u32 phase);             /* for reports */
const char *trap_context_name(u32 context);

/* ---- fatal.c, page_walk.c: what reports are made of. They begin with panic() and fatal_trap() (hv/panic.h). Any context, no lock. ---- */
void registers_print(const struct cpu_user_regs *regs, const char *loglvl); /* LOG_* or "" */
/* Prints the page-table entries that lead to va from the table at cr3; memory that cannot be read is named, not read. loglvl: LOG_* or "". */
void page_walk_print(u64 cr3, u64 va, const char *loglvl);
/* The machine address that the report to come is about; 0: none. */
void fatal_note_address(u64 address);
/* Does not return on a CPU that is not the one that reports. */
void cpu_stop_if_panicking(void);
