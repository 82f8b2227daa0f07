/* SPDX-License-Identifier: MIT */
/* Rounds that last: tests/trap/sweep.py disturbs them from outside. */
#include "rounds.h"

static volatile u32 nmis;
static void on_nmi(struct frame *f)
{
    (void)f;
    nmis++;
}

void test_main(void)
{
    struct vcpu_set_singleshot_timer t = { 0, 0 };

    trap_handlers[2] = on_nmi;
    rounds_setup();
    for (u32 i = 0; i < 400; i++) {
        rounds(1);
        /* Idle for a moment: the switch to the idle vCPU and back. */
        t.timeout_abs_ns = shared_info->vcpu_info[0].time.system_time + 100000;
        if (i % 16 == 0) {
            HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, &t);
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
            print("round 0x%x\n", i);
        }
    }
    CHECK_EQ(wrong, 0);
    print("rounds: 0x%x NMIs seen\n", nmis);
}
