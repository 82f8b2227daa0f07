#include <hv/irq.h>
#include <hv/panic.h>
#include <hv/softirq.h>
#include <hv/lib.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>

static void (*handlers[SOFTIRQ_COUNT])(void);

void softirq_register(enum softirq nr, void (*fn)(void))
{
    handlers[nr] = fn;
}

void softirq_raise(enum softirq nr)
{
    __atomic_fetch_or(&this_cpu()->softirq_pending, 1u << nr, __ATOMIC_RELAXED);
}

void softirq_raise_on(struct percpu *c, enum softirq nr)
{
    u32 bit = 1u << nr;

    /* Whoever set the bit before has interrupted it: it looks once more before it leaves or sleeps. */
    if (!(__atomic_fetch_or(&c->softirq_pending, bit, __ATOMIC_SEQ_CST) & bit) && c != this_cpu())
        local_apic_send(c->apic_id, VECTOR_KICK);
}

/* Work that may cost time again and again waits until nobody else wants the CPU. */
#define IDLE_ONLY (1u << SOFTIRQ_NMI_REASON)

static u32 due(const struct percpu *cpu)
{
    u32 pending = READ_ONCE(cpu->softirq_pending);

    return likely(!(pending & IDLE_ONLY)) || cpu->curr == cpu->idle ? pending : pending & ~IDLE_ONLY;
}

bool softirq_pending(void)
{
    return due(this_cpu()) != 0;
}

void softirq_process(void)
{
    for (;;) {
        /* this_cpu() anew each time: SOFTIRQ_SCHEDULE may return on another CPU. */
        struct percpu *cpu = this_cpu();
        u32 pending = due(cpu);

        if (!pending)
            return;
        ASSERT(cpu->locks_held == 0);
        unsigned nr = bit_first(pending);

        __atomic_fetch_and(&cpu->softirq_pending, ~(1u << nr), __ATOMIC_RELAXED);
        handlers[nr]();
    }
}

void preempt_point(void)
{
    ASSERT(this_cpu()->locks_held == 0);
    irq_enable();
    __asm__ volatile("nop"); /* STI takes effect after the next instruction */
    irq_disable();
    if (READ_ONCE(this_cpu()->softirq_pending))
        softirq_process();
}
