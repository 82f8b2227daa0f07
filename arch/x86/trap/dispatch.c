/* SPDX-License-Identifier: MIT */
/*
 * The two C entries, by origin: each looks its trap up in the matrix and does what that says. Most page faults and
 * breakpoints of guests never come here: pv/fast_paths.S delivers them.
 *
 * Interrupts are off in both; the hypervisor turns them on only in the idle loop and at explicit
 * points. percpu.inside says what this CPU is in the middle of.
 */
#include <hv/pirq.h>
#include <hv/trap_test.h>
#include <hv/x86/cpu.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/page_table.h>
#include <hv/x86/pv/log_dirty.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/trap.h>
#include "trap_matrix.h"

static const char *trap_describe(u32 vector) { return vector < 32 ? vector_infos[vector].what : "interrupt where none can be"; }

static void trap_report(struct cpu_user_regs *regs, u32 vector)
{
    if (vector == VEC_DF)
        fatal_trap(regs, PANIC_TRAP(vector), "double fault (a stack overflow if RSP is in a guard page)");
    fatal_trap(regs, PANIC_TRAP(vector), "%s", trap_describe(vector));
}

static void trap_fixup(struct cpu_user_regs *regs, u32 vector)
{
    struct percpu *c = this_cpu();

    if (!extable_fixup(regs))
        trap_report(regs, vector);
    if (c->inside & (INSIDE_NMI | INSIDE_MC))
        return;
    c->mended.vector = vector;
    c->mended.error = regs->error_code;
    if (vector == VEC_PF)
        c->mended.address = read_cr2();
}

/* An instruction that may fault touched a guest's page that only its copy of the table refuses (log_dirty.c): it is tried again. */
static void guest_touch(struct cpu_user_regs *regs, u32 vector)
{
    struct percpu *c = this_cpu();
    u64 rip = regs->rip;

    trap_fixup(regs, vector); /* so it has a continuation */
    if (!(c->inside & INSIDE_FIRMWARE) && log_dirty_fault(current, c->mended.address, &c->mended.error))
        continue_at(regs, rip);
}

/* A touch of the early direct map is answered with a mapping. */
static void early_fault(struct cpu_user_regs *regs, u32 vector)
{
    if (regs->error_code & PFEC_PRESENT || !direct_map_fault(read_cr2()))
        trap_fixup(regs, vector);
}

static void mc_early(struct cpu_user_regs *regs, __unused u32 vector)
{
    fatal_trap(regs, PANIC_MC_EARLY, "machine check before this CPU's error banks are set up");
}

static void trap_nested(struct cpu_user_regs *regs, u32 vector) { panic_nested(regs, trap_describe(vector)); }

static void nmi_panic(__unused struct cpu_user_regs *regs, __unused u32 vector) { cpu_stop_if_panicking(); }

/*
 * A guest can cause it: a data breakpoint or single-step that it has set may fire on the first instructions of an entry (XSA-260). So it is
 * never fatal. Breakpoint state belongs to the guest, which sees its own #DB when it runs into it itself.
 */
static void trap_debug(struct cpu_user_regs *regs, __unused u32 vector)
{
    u64 dr6_clear = DR6_RESERVED_1;

    regs->rflags &= ~RFLAGS_TF;
    __asm__ volatile("mov %0, %%dr6" ::"r"(dr6_clear));
}

static void trap_nmi(struct cpu_user_regs *regs, __unused u32 vector)
{
    this_cpu()->inside |= INSIDE_NMI;
    nmi_handle(regs);
    trap_test_inside();
}

static void trap_machine_check(struct cpu_user_regs *regs, __unused u32 vector)
{
    this_cpu()->inside |= INSIDE_MC;
    machine_check_handle(regs);
    trap_test_inside();
}

static void trap_interrupt(__unused struct cpu_user_regs *regs, u32 vector) { irq_dispatch(vector); }

static void (*const acts[OUTCOME_COUNT])(struct cpu_user_regs *regs, u32 vector) = {
    [OUTCOME_NONE] = trap_report, /* the table says it cannot be */
    [OUTCOME_STUB_REPORT] = trap_report,
    [OUTCOME_MAILBOX] = trap_report,
    [OUTCOME_REPORT] = trap_report,
    [OUTCOME_FIXUP] = trap_fixup,
    [OUTCOME_GUEST_TOUCH] = guest_touch,
    [OUTCOME_EARLY_FAULT] = early_fault,
    [OUTCOME_DEBUG] = trap_debug,
    [OUTCOME_NMI] = trap_nmi,
    [OUTCOME_MC] = trap_machine_check,
    [OUTCOME_MC_EARLY] = mc_early,
    [OUTCOME_INTERRUPT] = trap_interrupt,
    [OUTCOME_DELIVER] = pv_deliver_exception,
    [OUTCOME_EMULATE] = pv_emulate_exception,
    [OUTCOME_NESTED] = trap_nested,
    [OUTCOME_NMI_PANIC] = nmi_panic,
};

/* What each outcome's handler may do. NMI and #MC may do none of it: they interrupt anything. */
static const struct {
    u8 follow_current, lock, allocate;
} may[OUTCOME_COUNT] = OUTCOME_MAY;

/* Runs the handler, with what it may not use put out of its reach: spin_lock() asserts, `current` faults. */
static void trap_act(struct percpu *c, u32 outcome, struct cpu_user_regs *regs, u32 vector)
{
    struct vcpu *curr = c->curr;

    if (may[outcome].follow_current) {
        acts[outcome](regs, vector);
        return;
    }
    if (!may[outcome].lock)
        c->inside |= INSIDE_NO_LOCKS;
    if (curr != CURRENT_POISON)
        c->hidden_curr = curr;
    c->curr = CURRENT_POISON;
    acts[outcome](regs, vector);
    c->curr = curr;
}

/*
 * IRETQ would let the next NMI in while the interrupted handler still uses the NMI stack. So the
 * frame is moved to just below the interrupted stack pointer, in the order that RESTORE_REGS,
 * POPFQ and RET take it. Source and target may overlap.
 */
static void *frame_without_iret(const struct cpu_user_regs *regs)
{
    u64 rip = regs->rip, rflags = regs->rflags, gprs = offsetof(struct cpu_user_regs, error_code);
    char *frame = (char *)regs->rsp - 16 - gprs;

    memmove(frame, regs, gprs);
    ((u64 *)(frame + gprs))[0] = rflags;
    ((u64 *)(frame + gprs))[1] = rip;
    return frame;
}

void *trap_from_hypervisor(struct cpu_user_regs *regs)
{
    struct percpu *c = this_cpu();
    u32 vector = regs->entry_vector & 0xff, before = c->inside;

    /* A trap may interrupt the handler of an NMI or #MC before that has set its bit: the stack that it runs on tells. */
    if (cpu_on_ist_stack(c, IST_NMI, regs->rsp))
        c->inside |= INSIDE_NMI;
    if (cpu_on_ist_stack(c, IST_MC, regs->rsp))
        c->inside |= INSIDE_MC;

    bool nmis_blocked = c->inside & INSIDE_NMI;
    u32 outcome = trap_outcome_now(vector, regs);
    trap_act(c, outcome, regs, vector);
    c->inside = before;
    return nmis_blocked ? frame_without_iret(regs) : NULL;
}

void trap_from_guest(struct cpu_user_regs *regs)
{
    struct percpu *c = this_cpu();

    trap_test_redirect(regs);
    u32 vector = regs->entry_vector & 0xff;
    u32 outcome = trap_outcome_now(vector, regs);
    trap_act(c, outcome, regs, vector);
    if (may[outcome].lock)
        return; /* perhaps on another CPU than before */
    c->inside = 0;
    if (vector == VEC_NMI)
        nmi_unblock();
}
