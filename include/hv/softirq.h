/* SPDX-License-Identifier: MIT */
/* Deferred work, run on this CPU's way back to a guest or in its idle loop, with no lock held. */
#pragma once

#include <hv/panic.h>
#include <hv/x86/percpu.h>

enum softirq {
    SOFTIRQ_TIMER,
    SOFTIRQ_EVENT, /* nothing to run: the way out to a guest looks at its events */
    SOFTIRQ_NMI_DOM0,
    SOFTIRQ_NMI_REASON, /* held until this CPU is idle */
    SOFTIRQ_MACHINE_CHECK,
    SOFTIRQ_MACHINE_CHECK_POLL,
    SOFTIRQ_DOMAIN_END,
    SOFTIRQ_CONSOLE_RX,
    SOFTIRQ_MESSAGES,  /* the toolstack has messages to read */
    SOFTIRQ_SELECTORS, /* pages of the LDT are mapped, then selectors loaded: held until the vCPU leaves the hypervisor */
    SOFTIRQ_PAUSE,     /* the vCPU that runs here may have been paused: held until it leaves the hypervisor */
    SOFTIRQ_SCHEDULE,  /* these two last: they may leave this vCPU for a while */
    SOFTIRQ_COUNT,
};

void softirq_register(enum softirq nr, void (*fn)(void)); /* boot; fn runs with interrupts off and no lock held */
void softirq_raise(enum softirq nr);                      /* on this CPU; any context, NMI and #MC included */
void softirq_raise_on(struct percpu *c, enum softirq nr); /* interrupts it if it is another CPU */
void softirq_process(void) __may_preempt;                 /* runs what is pending on this CPU. No lock held */
bool softirq_pending(void);                               /* something that this context may run */
/*
 * For long operations in hypercalls: takes pending interrupts and may run other vCPUs before
 * it returns. No lock may be held. The calling vCPU keeps its stack: nothing is restarted, and a
 * pause of it takes effect only when its operation is over (docs/locking.md, Pausing).
 *
 * But the caller's own events wait as long: it gets no upcall before its hypercall ends, and so does whoever pauses it. Where one call may take
 * milliseconds and the ABI keeps the progress (in its arguments, or, for destroydomain, in the domain), domain_work_point() (domain.h) stands
 * instead, and the call is left with -ERESTART while the caller is to stop or an event that it wants is pending: it goes back to its SYSCALL, takes
 * the event, and calls again (domctl.c). So it is for all lists of operations: a guest's word alone makes them last for hours.
 */
void preempt_point(void) __may_preempt;
/* One turn of a loop that waits for another vCPU, which may need this CPU to go on. *turns: 0 at first. */
void preempt_wait(u32 *turns) __may_preempt;

/* Also on the runs of a function that come to no preempt_point(): a caller that holds a lock is found the first time. */
static inline void assert_may_preempt(void) { ASSERT(this_cpu()->locks_held == 0); }
