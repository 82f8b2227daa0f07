/* SPDX-License-Identifier: MIT */
/* Time never runs backwards: on no vCPU, and from one to the next. More vCPUs than CPUs, so they move. */
#include "smp.h"

#define RUN_NS 2000000000UL
static volatile u64 latest, backwards, own_backwards, done, reads, worst;

static void watch(u32 id)
{
    u64 end = smp_time(id) + RUN_NS, last = 0, n = 0;

    while (last < end) {
        u64 before = __atomic_load_n(&latest, __ATOMIC_SEQ_CST), now = smp_time(id);

        if (now < before) {
            smp_atomic_add(&backwards, 1);
            if (before - now > worst)
                worst = before - now;
        }
        if (now < last)
            smp_atomic_add(&own_backwards, 1);
        last = now;
        while (now > before && !__atomic_compare_exchange_n(&latest, &before, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
        if (!(++n & 0xfff))
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    smp_atomic_add(&reads, n);
    smp_atomic_add(&done, 1);
    if (id)
        smp_stop(id);
}

void test_main(void)
{
    for (u32 i = 1; i < 5; i++)
        smp_start(i, watch);
    watch(0);
    while (done < 5)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    print("time was read 0x%lx times, went back by 0x%lx ns at most\n", reads, worst);
    CHECK_EQ(backwards, 0);
    CHECK_EQ(own_backwards, 0);
}
