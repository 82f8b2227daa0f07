/* SPDX-License-Identifier: MIT */
/* Softirqs: bits of percpu.softirq_pending, set by any CPU and served by their own one; preemption points. */
#include <hv/domain.h>
#include <hv/x86/apic.h>
#include <hv/x86/vectors.h>

static void (*handlers[SOFTIRQ_COUNT])(void);

void softirq_register(enum softirq nr, void (*fn)(void)) { handlers[nr] = fn; }

void softirq_raise(enum softirq nr) { __atomic_fetch_or(&this_cpu()->softirq_pending, 1u << nr, __ATOMIC_RELAXED); }

void softirq_raise_on(struct percpu *c, enum softirq nr)
{
    u32 bit = 1u << nr;

    /*
     *   CPU A (here):                    has stored what there is to do; sets the bit; interrupts B if the bit was clear
     *   CPU B (softirq_process()):       clears the bit; does the work; with interrupts off, looks once more before it enters a guest or halts
     *
     * If B did the work first and cleared the bit after it, A could find the bit set in between and not interrupt B: its work would wait for the
     * next interrupt. One that comes after B's last look is taken right behind the return, or ends the halt.
     */
    if (!(__atomic_fetch_or(&c->softirq_pending, bit, __ATOMIC_SEQ_CST) & bit) && c != this_cpu())
        local_apic_send(c->apic_id, VECTOR_KICK);
}

/* Held until the CPU is idle: a stuck NMI line would raise it again and again, at guests' cost. */
#define IDLE_ONLY (1u << SOFTIRQ_NMI_REASON)
/* Held until the vCPU leaves the hypervisor: in the middle of an operation it may hold frames BUSY that other vCPUs wait for. */
#define EXIT_ONLY (1u << SOFTIRQ_PAUSE | 1u << SOFTIRQ_SELECTORS)

static u32 softirq_due(const struct percpu *c)
{
    u32 pending = READ_ONCE(c->softirq_pending);

    if (likely(!(pending & (IDLE_ONLY | EXIT_ONLY))))
        return pending;
    return pending & ~((c->curr == c->idle ? 0 : IDLE_ONLY) | (c->curr->mid_operation ? EXIT_ONLY : 0));
}

bool softirq_pending(void) { return softirq_due(this_cpu()) != 0; }

void softirq_process(void)
{
    for (;;) {
        /* this_cpu() anew each time: SOFTIRQ_SCHEDULE may return on another CPU. */
        struct percpu *c = this_cpu();
        u32 pending = softirq_due(c);

        if (!pending)
            return;
        ASSERT(c->locks_held == 0);
        unsigned nr = bit_first(pending);
        __atomic_fetch_and(&c->softirq_pending, ~(1u << nr), __ATOMIC_RELAXED);
        handlers[nr]();
    }
}

/* A vCPU that runs on another CPU is waited for about as long; then it may be waiting for this CPU, which goes to others. */
#define TURNS_BEFORE_YIELD 256

void preempt_wait(u32 *turns)
{
    if (++*turns % TURNS_BEFORE_YIELD == 0) {
        current->sched.yields = true;
        softirq_raise(SOFTIRQ_SCHEDULE);
    }
    preempt_point();
    cpu_relax();
}

void preempt_point(void)
{
    ASSERT(this_cpu()->locks_held == 0);
    irq_window();
    if (READ_ONCE(this_cpu()->softirq_pending)) {
        struct vcpu *v = current;
        bool nested = v->mid_operation; /* in schedule_tail(), which writes to the guest's memory and may wait for its frame */

        v->mid_operation = true;
        softirq_process();
        v->mid_operation = nested;
    }
}
