/* SPDX-License-Identifier: MIT */
/* Timeouts at the ends of u64: a vCPU that has nothing else sleeps on each of them, and whoever owns the CPU's timer gets the next one right. */
#include "smp.h"

#include <public/event_channel.h>

enum way { SINGLESHOT, SET_TIMER, POLL, NR_WAYS };
static const u64 timeouts[] = { ~0ULL,      ~0ULL - 1,        ~0ULL - 15,   ~0ULL - (1ULL << 20), ~0ULL / 2600000 * 1000000,
                                1ULL << 63, (1ULL << 63) - 1, ~0ULL / 4000, 1ULL << 42,           1 };
#define FUTURE(t) ((t) != 1)
static volatile u64 asleep, sent, late, early, fired;
static u32 wake_port, timer_port;

static void set(enum way way, u64 t, struct sched_poll *p)
{
    struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = t };

    p->timeout = way == POLL ? t : 0;
    if (way == SINGLESHOT)
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 1, &s), 0);
    else if (way == SET_TIMER)
        CHECK_EQ(HYPERCALL1(__HYPERVISOR_set_timer_op, t), 0);
}

static void sleeper(u32 id)
{
    struct evtchn_bind_ipi i = { id, 0 };
    struct evtchn_bind_virq v = { VIRQ_TIMER, id, 0 };

    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, id, 0), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &i), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &v), 0);
    timer_port = v.port;
    wake_port = i.port;
    for (u32 n = 0; n < NR_WAYS * sizeof(timeouts) / sizeof(timeouts[0]); n++) {
        u64 t = timeouts[n / NR_WAYS];
        struct sched_poll p = { &wake_port, 1, 0 };

        set(n % NR_WAYS, t, &p);
        asleep = n + 1;
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p);
        if (FUTURE(t) && !sent) /* nobody has woken it */
            smp_atomic_add(&early, 1);
        while (sent != n + 1)
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
        event_take(wake_port);
        fired += event_take(timer_port) && FUTURE(t) && n % NR_WAYS == SINGLESHOT;
        sent = 0;
    }
    asleep = ~0ULL;
    smp_stop(id);
}

void test_main(void)
{
    smp_start(1, sleeper);
    for (u64 n = 1; n <= NR_WAYS * sizeof(timeouts) / sizeof(timeouts[0]); n++) {
        while (asleep != n)
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
        u64 start = smp_time(0);

        smp_sleep_until(0, start + 3000000);
        late += smp_time(0) - start > 60000000000; /* by far: the machine that the emulator runs on may be busy */
        struct evtchn_send s = { wake_port };

        sent = n;
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &s), 0);
        while (sent)
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    while (asleep != ~0ULL)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    CHECK_EQ(early, 0);
    CHECK_EQ(fired, 0);
    CHECK_EQ(late, 0);
}
