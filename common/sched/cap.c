/* SPDX-License-Identifier: MIT */
/* Weights and caps. A capped domain's vCPUs share a budget for each period; without one they are parked. */
#include "runqueue.h"

#define PERIOD_NS 10000000ULL
#define CAP_SLICE_MIN_NS 500000ULL

static s64 cap_allowance(const struct domain *d) { return (s64)(PERIOD_NS * d->sched.cap / 100); }

void sched_cap_park(struct vcpu *v)
{
    struct domain *d = v->domain;

    if (likely(!d->sched.cap) || __atomic_load_n(&d->sched.budget, __ATOMIC_RELAXED) > 0)
        return;
    __atomic_fetch_or(&v->pause_flags, PAUSE_CAP, __ATOMIC_SEQ_CST);
    /*
     * CPU A, here: parks v, then looks at the cap again. CPU B: takes the cap away, then unparks all (sched_set_params()). One sees the
     * other; if A did not look, v could be parked when B is through, and no period would ever end for it.
     */
    if (!READ_ONCE(d->sched.cap))
        __atomic_fetch_and(&v->pause_flags, ~PAUSE_CAP, __ATOMIC_SEQ_CST);
}

u64 sched_cap_slice(const struct domain *d, u64 slice)
{
    s64 left = READ_ONCE(d->sched.budget);

    return d->sched.cap ? MIN(slice, MAX((u64)MAX(left, 0), CAP_SLICE_MIN_NS)) : slice;
}

static void cap_unpark_vcpus(struct domain *d)
{
    for_each_vcpu(d, v)
        vcpu_pause_flag_clear(v, PAUSE_CAP);
}

static void cap_replenish_budget(void *data)
{
    struct domain *d = data;
    s64 period = cap_allowance(d), left = __atomic_load_n(&d->sched.budget, __ATOMIC_RELAXED), want;
    u64 due = READ_ONCE(d->sched.cap_timer.expires), now = system_time_ns(), periods = 1 + (now - MIN(now, due)) / PERIOD_NS;

    if (!d->sched.cap)
        return;
    /* Time used beyond the budget is subtracted from the next one; time not used is lost. */
    do
        want = MIN(left + (s64)periods * period, period);
    while (!__atomic_compare_exchange_n(&d->sched.budget, &left, want, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    if (want > 0)
        cap_unpark_vcpus(d);
    /* From when it was due, not from now: a timer that is late would shorten every budget. */
    timer_set(&d->sched.cap_timer, due + periods * PERIOD_NS);
}

void sched_domain_init(struct domain *d)
{
    d->sched.weight = SCHED_WEIGHT_DEFAULT;
    timer_init(&d->sched.cap_timer, cap_replenish_budget, d);
}

int sched_set_params(struct domain *d, u32 weight, u32 cap)
{
    if (!weight || weight > SCHED_WEIGHT_MAX || cap > 100 * d->max_vcpus)
        return -EINVAL;
    d->sched.weight = weight;
    WRITE_ONCE(d->sched.cap, cap);
    if (cap) {
        __atomic_store_n(&d->sched.budget, cap_allowance(d), __ATOMIC_RELAXED);
        timer_set(&d->sched.cap_timer, system_time_ns() + PERIOD_NS);
    }
    cap_unpark_vcpus(d);
    return 0;
}
