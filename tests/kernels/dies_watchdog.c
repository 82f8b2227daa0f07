/* SPDX-License-Identifier: MIT */
/* A watchdog that is set anew for a while, then no more. */
#include "smp.h"

void test_main(void)
{
    struct sched_watchdog w = { 0, 2 };

    w.id = (u32)HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_watchdog, &w);
    CHECK_EQ(w.id, 1);
    for (u32 i = 0; i < 5; i++) {
        smp_sleep_until(0, smp_time(0) + 500000000UL);
        w.timeout = 60;
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_watchdog, &w), 0);
    }
    print("set anew\n");
    w.timeout = 1;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_watchdog, &w), 0);
    smp_sleep_until(0, ~0UL);
}
