/* SPDX-License-Identifier: MIT */
/* CPUs that are online: counting and parking them. */
#include <hv/arch.h>
#include <hv/boot_step.h>
#include <hv/evtchn.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/smp.h>
#include <hv/x86/apic.h>
#include <hv/x86/tlb.h>
#include <hv/x86/vectors.h>

static bool changing;

u32 smp_online_count(void) { return cpuset_count(cpuset_read(&cpus_online)); }

void smp_use_others(void)
{
    for_each_cpu(c, cpuset_without(cpuset_read(&cpus_online), this_cpu()->id))
        sched_cpu_use(c);
}
BOOT_STEP(smp_use_others, NEEDS(released_image, hidden_ports, other_cpus, guest_nmis, apic_timer), GIVES(NOTHING), EVERYWHERE);

void smp_park(void)
{
    struct percpu *c = this_cpu();

    irq_drain();
    timers_move_away(&boot_percpu);
    arch_cpu_leave_guests();
    cpuset_clear_atomic(&cpus_online, c->id);
    tlb_serve(); /* a CPU that found this one online may have asked for a flush and wait for it */
    __atomic_store_n(&c->state, CPU_PARKED, __ATOMIC_SEQ_CST);
    while (READ_ONCE(c->state) == CPU_PARKED)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    cpuset_set_atomic(&cpus_online, c->id);
    /* Online first: between a flush and that, another CPU could change tables, not ask this one, and leave it with old translations. */
    tlb_flush_global();
    __atomic_store_n(&c->state, CPU_ONLINE, __ATOMIC_SEQ_CST);
}

/* The caller may be on that CPU: it is moved to another one by the first preempt_point(). */
static void wait_for_state(const struct percpu *c, u32 state)
{
    while (READ_ONCE(c->state) != state) {
        preempt_point();
        cpu_relax();
    }
}

/* The CPU, if it may be changed and no other change is under way; else NULL, and *rc is the error. */
static struct percpu *begin_change(u32 id, int *rc)
{
    struct percpu *c = id < MAX_CPUS ? cpu_table[index_nospec(id, MAX_CPUS)] : NULL;

    assert_may_preempt();
    *rc = -EINVAL;
    if (!c || c == &boot_percpu || c->state == CPU_ABSENT)
        return NULL;
    *rc = -EBUSY;
    return __atomic_exchange_n(&changing, true, __ATOMIC_SEQ_CST) ? NULL : c;
}

static void cpu_state_announce(const struct percpu *c, const char *what)
{
    printk(LOG_INFO "SMP: CPU %u is %s\n", c->id, what);
    evtchn_send_global_virq(VIRQ_PCPU_STATE);
}

static void end_change(void) { __atomic_store_n(&changing, false, __ATOMIC_SEQ_CST); }

int smp_cpu_offline(u32 id)
{
    int rc;
    struct percpu *c = begin_change(id, &rc);

    if (!c)
        return rc;
    rc = c->state == CPU_ONLINE ? irq_leave_cpu(c) : 0;
    if (!rc && c->state == CPU_ONLINE) {
        WRITE_ONCE(c->state, CPU_LEAVING);
        sched_cpu_leave(c);
        wait_for_state(c, CPU_PARKED);
        cpu_state_announce(c, "offline");
    }
    end_change();
    return rc;
}

int smp_cpu_online(u32 id)
{
    int rc;
    struct percpu *c = begin_change(id, &rc);

    if (!c)
        return rc;
    if (c->state == CPU_PARKED) {
        __atomic_store_n(&c->state, CPU_RETURNING, __ATOMIC_SEQ_CST);
        local_apic_send(c->apic_id, VECTOR_KICK);
        wait_for_state(c, CPU_ONLINE);
        irq_return_to_cpu(c);
        sched_cpu_use(c);
        cpu_state_announce(c, "online");
    }
    end_change();
    return 0;
}
