/* SPDX-License-Identifier: MIT */
/* vCPUs: creation and end, their timers, and what stops, wakes and interrupts them. */
#include <hv/arch.h>
#include <hv/evtchn.h>
#include <hv/x86/cpu.h>
#include <hv/x86/vectors.h>

#define VCPU_TIMERS 4 /* periodic, singleshot, poll, slice */

static void singleshot_fired(void *data)
{
    struct vcpu *v = data;

    evtchn_send_virq(v->domain, v, VIRQ_TIMER);
}

static void periodic_fired(void *data)
{
    struct vcpu *v = data;
    u64 now = system_time_ns(), period = READ_ONCE(v->period_ns);

    if (period == VCPU_NO_PERIOD)
        return; /* stopped meanwhile, on another CPU */
    evtchn_send_virq(v->domain, v, VIRQ_TIMER);
    /* A guest that was away gets one tick, not all it missed. */
    v->period_last += period * MAX(1ULL, (now - v->period_last) / period);
    timer_set(&v->periodic_timer, v->period_last + period);
}

static void poll_fired(void *data) { vcpu_pause_flag_clear(data, PAUSE_POLL); }

static struct vcpu_info *first_info(const struct vcpu *v)
{
    return v->id < XEN_LEGACY_MAX_VCPUS ? &v->domain->shared_info->vcpu_info[v->id] : NULL;
}

struct vcpu *vcpu_create(struct domain *d, u32 id)
{
    struct vcpu *v = hv_alloc(sizeof(*v));

    if (!v || timers_reserve(VCPU_TIMERS)) {
        hv_free(v);
        return NULL;
    }
    v->domain = d;
    v->id = id;
    v->pause_flags = PAUSE_DOWN;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = system_time_ns();
    v->info = first_info(v);
    v->tsc_offset = TIME_UNPUBLISHED;
    timer_init(&v->singleshot_timer, singleshot_fired, v);
    timer_init(&v->periodic_timer, periodic_fired, v);
    timer_init(&v->poll_timer, poll_fired, v);
    v->stack_block = stack_block_alloc();
    if (v->stack_block && !arch_vcpu_create(v)) {
        sched_vcpu_init(v);
        if (domain_add_vcpu(v))
            return v;
    }
    vcpu_free(v);
    return NULL;
}

void vcpu_free(struct vcpu *v)
{
    if (!v)
        return;
    arch_vcpu_free(v);
    stack_block_free(v->stack_block);
    timers_release(VCPU_TIMERS);
    hv_free(v);
}

void vcpu_stop_for_good(struct vcpu *v)
{
    sched_vcpu_remove(v);
    timer_kill(&v->singleshot_timer);
    timer_kill(&v->periodic_timer);
    timer_kill(&v->poll_timer);
    spin_lock(&v->domain->event_lock);
    struct page_info *info_page = v->info_page;
    v->info = first_info(v);
    v->info_page = NULL;
    spin_unlock(&v->domain->event_lock);
    if (info_page)
        page_put_and_type(info_page);
}

/* The ABI: a vCPU starts with a 10 ms tick, until it says otherwise. */
#define DEFAULT_PERIOD_NS 10000000

void vcpu_start(struct vcpu *v)
{
    if (!(v->pause_flags & PAUSE_DOWN))
        return;
    if (!v->period_ns)
        vcpu_set_period(v, DEFAULT_PERIOD_NS);
    vcpu_pause_flag_clear(v, PAUSE_DOWN);
}

void vcpu_set_period(struct vcpu *v, u64 period_ns)
{
    WRITE_ONCE(v->period_ns, period_ns);
    if (period_ns == VCPU_NO_PERIOD) {
        timer_stop(&v->periodic_timer);
        return;
    }
    v->period_last = system_time_ns();
    timer_set(&v->periodic_timer, v->period_last + period_ns);
}

void vcpu_pause_flag_set(struct vcpu *v, u32 flag)
{
    u32 old = __atomic_fetch_or(&v->pause_flags, flag, __ATOMIC_SEQ_CST);

    if (flag & ~old & PAUSE_POLL)
        __atomic_fetch_add(&v->domain->polling, 1, __ATOMIC_SEQ_CST);
    if (vcpu_is_running(v))
        softirq_raise_on(READ_ONCE(v->cpu), SOFTIRQ_PAUSE);
}

void vcpu_pause_flag_clear(struct vcpu *v, u32 flag)
{
    u32 old = __atomic_fetch_and(&v->pause_flags, ~flag, __ATOMIC_SEQ_CST);

    if (flag & old & PAUSE_POLL)
        __atomic_fetch_sub(&v->domain->polling, 1, __ATOMIC_SEQ_CST);
    if (old & flag)
        vcpu_wake(v); /* wakes it if no other flag holds it */
}

/* Behind the store of what v is to see: schedule_tail() is the other side. */
void vcpu_kick(struct vcpu *v)
{
    vcpu_pause_flag_clear(v, PAUSE_BLOCKED | PAUSE_POLL); /* a vCPU that polls for one port takes events of others, too */
    if (v != current && vcpu_is_running(v))
        softirq_raise_on(READ_ONCE(v->cpu), SOFTIRQ_EVENT);
}

/*
 * #MC has a handler where one is raised (vmce_inject()); an NMI waits until the guest has one. An event counts also where the guest has no
 * callback for it: as the ABI has it, SCHEDOP_block returns when one is pending.
 */
bool vcpu_has_pending(const struct vcpu *v)
{
    const struct vcpu_info *info = v->info;

    return READ_ONCE(v->pv.vmce.pending) || (READ_ONCE(v->nmi_pending) && !v->nmi_masked && v->pv.traps[VEC_NMI].address) ||
           (info && READ_ONCE(info->evtchn_upcall_pending) && !READ_ONCE(info->evtchn_upcall_mask));
}

void vcpu_add_nmis(struct vcpu *v, u32 n)
{
    u32 old = READ_ONCE(v->nmi_pending), now;

    do
        now = vcpu_nmis_after(old, n, READ_ONCE(v->nmi_masked));
    while (!__atomic_compare_exchange_n(&v->nmi_pending, &old, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    vcpu_kick(v);
}
