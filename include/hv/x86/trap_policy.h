/* SPDX-License-Identifier: MIT */
/* The trap matrix as code asks it, and where this CPU stands in it: arch/x86/trap/policy.c. Any context, no lock. */
#pragma once

#include <hv/x86/regs.h>
#include <hv/x86/vectors.h>

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
