/* SPDX-License-Identifier: MIT */
/* Preemption points inside softirqs: the vCPU stays in the middle of its operation until the outermost one is over. */
#include "fakes.h"

#include <hv/softirq.h>

static u32 depth, pauses;

void local_apic_send(u32 apic_id, u32 command)
{
    (void)apic_id;
    (void)command;
}

static void pause(void) { pauses++; }

/* schedule() comes back to this vCPU; on its way it writes to the guest's memory, and waits for the frame. */
static void run_others(void)
{
    assert_true(current->mid_operation);
    if (depth++)
        return;
    softirq_raise(SOFTIRQ_SCHEDULE);
    preempt_point();
    assert_true(current->mid_operation);
}

static void nested(void **state)
{
    struct vcpu *v;

    (void)state;
    fake_memory_init();
    v = fake_domain(0, true)->vcpu[0];
    softirq_register(SOFTIRQ_SCHEDULE, run_others);
    softirq_register(SOFTIRQ_PAUSE, pause);
    softirq_raise(SOFTIRQ_SCHEDULE);
    softirq_raise(SOFTIRQ_PAUSE);
    preempt_point();
    assert_int_equal(depth, 2);
    assert_int_equal(pauses, 0); /* held until the exit to the guest */
    assert_false(v->mid_operation);
    softirq_process();
    assert_int_equal(pauses, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nested) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
