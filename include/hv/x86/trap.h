/* SPDX-License-Identifier: MIT */
/*
 * Traps. arch/x86/trap/matrix.tbl gives each (vector, phase, context) its one outcome; policy.c
 * holds that table, dispatch.c acts on it. docs/traps.md explains.
 */
#ifndef HV_X86_TRAP_H
#define HV_X86_TRAP_H

#include <hv/system_state.h>
#include <hv/x86/percpu.h>
#include <hv/x86/vectors.h>

struct vector_info {
    const char *mnemonic, *what;
    bool has_error_code;
};
extern const struct vector_info vector_infos[32];

/* policy.c: indices are the enums of the generated trap_matrix.h. */
#define VECTOR_ROW_IRQ 32 /* the row of all interrupt vectors */
u32 trap_outcome(u32 vector, u32 phase, u32 context);
u32 trap_outcome_now(u32 vector, const struct cpu_user_regs *regs); /* of a trap that this CPU has taken */
/* This CPU's phase and context as the table sees them, and their names for reports. */
u32 trap_phase(void);
u32 trap_context(const struct cpu_user_regs *regs); /* NULL: no guest was running */
const char *trap_phase_name(u32 phase);
const char *trap_context_name(u32 context);

void trap_from_guest(struct cpu_user_regs *regs);
/* NULL: return by IRETQ. Else the frame to pop, made where NMIs are blocked and must stay so. */
void *trap_from_hypervisor(struct cpu_user_regs *regs);

/* extable.c: true and regs->rip moved if the faulting instruction has a fixup. */
bool extable_fixup(struct cpu_user_regs *regs);

/* page_fault.c: true if a touch of the early direct map was answered. */
bool page_fault_early(const struct cpu_user_regs *regs);
void nmi_handle(struct cpu_user_regs *regs);
/* NMIs are blocked until the next IRETQ, and a return by SYSRET would leave them so. */
void nmi_unblock(void);
void debug_trap_from_hypervisor(struct cpu_user_regs *regs);
void nmi_init(void);

/* machine_check.c */
void machine_check_init(void);     /* the first CPU's banks, before phase boot */
void machine_check_init_cpu(void); /* the same on each other CPU */
void machine_check_poll(void);     /* makes events of what is logged but not signalled */
void machine_check_handle(struct cpu_user_regs *regs);

/* Prints the entries that lead to va in the tables at cr3; all accesses are checked. */
void page_walk_print(u64 cr3, u64 va, const char *level);
void registers_print(const struct cpu_user_regs *regs, const char *level);

/* fatal.c: the machine address that the report to come is about. */
void fatal_note_address(u64 address);
/* The end of a CPU that is not the one that reports. */
void cpu_stop_if_panicking(void);

#endif
