/* SPDX-License-Identifier: MIT */
/* The trap matrix as the code asks it, and where this CPU stands in it. */
#include <hv/domain.h>
#include <hv/system_state.h>
#include <hv/x86/trap.h>
#include "trap_matrix.h"

const struct vector_info vector_infos[32] = {
#define X(v, name, dpl, ist, err, text) [v] = { "#" #name, text, err },
    VECTOR_LIST(X)
#undef X
};

static const u8 matrix[TRAP_PHASE_COUNT][TRAP_CONTEXT_COUNT][VECTOR_ROW_IRQ + 1] = TRAP_MATRIX;
static const char *const phase_names[] = TRAP_PHASE_NAMES;
static const char *const context_names[] = TRAP_CONTEXT_NAMES;

u32 trap_outcome(u32 vector, u32 phase, u32 context) { return matrix[phase][context][MIN(vector, (u32)VECTOR_ROW_IRQ)]; }

u32 trap_phase(void)
{
    static const u8 of_system[PHASE_COUNT] = {
        [PHASE_EARLY_BOOT] = TRAP_PHASE_EARLY_BOOT, [PHASE_BOOT] = TRAP_PHASE_BOOT,         [PHASE_SMP_BOOT] = TRAP_PHASE_SMP_BOOT,
        [PHASE_ACTIVE] = TRAP_PHASE_ACTIVE,         [PHASE_SHUTDOWN] = TRAP_PHASE_SHUTDOWN,
    };

    if (unlikely(panic_in_progress()))
        return TRAP_PHASE_PANIC;
    return unlikely(this_cpu()->state == CPU_STARTING) ? TRAP_PHASE_AP_64 : of_system[system_phase()];
}

/* The mode of the guest that was interrupted. Before guests run the answer does not matter: the matrix refuses both. */
static bool in_user_mode(void)
{
    const struct percpu *c = this_cpu();
    const struct vcpu *v = c->curr == CURRENT_POISON ? c->hidden_curr : c->curr;

    return booted_past(PHASE_ACTIVE) && v && !v->pv.guest_kernel_mode;
}

u32 trap_context(const struct cpu_user_regs *regs)
{
    u32 inside = this_cpu()->inside;

    if (panic_in_progress())
        return TRAP_CONTEXT_HYPERVISOR;
    if (regs && regs_from_guest(regs))
        return in_user_mode() ? TRAP_CONTEXT_GUEST_USER : TRAP_CONTEXT_GUEST_KERNEL;
    return inside & INSIDE_MC      ? TRAP_CONTEXT_MC :
           inside & INSIDE_NMI     ? TRAP_CONTEXT_NMI :
           inside & INSIDE_CONSOLE ? TRAP_CONTEXT_CONSOLE :
                                     TRAP_CONTEXT_HYPERVISOR;
}

u32 trap_outcome_now(u32 vector, const struct cpu_user_regs *regs) { return trap_outcome(vector, trap_phase(), trap_context(regs)); }

const char *trap_phase_name(u32 phase) { return phase_names[phase]; }

const char *trap_context_name(u32 context) { return context_names[context]; }
