/* SPDX-License-Identifier: MIT */
/*
 * Ends the machine while one CPU hears no NMI and another is stopped with the console's lock held (of test builds,
 * whose hypercall puts CPUs there). What must be said then: tests/trap/report_tests.py.
 */
#include "smp.h"

#define DEAF 0x100
#define IN_CONSOLE 0x101
#define STUCK 0x102

static volatile u64 turn;

static void stick(u32 id)
{
    while (turn != id)
        __asm__ volatile("pause");
    HYPERCALL1(__HYPERVISOR_arch_7, id == 1 ? DEAF : IN_CONSOLE);
}

void test_main(void)
{
    for (u32 i = 0; i < 3; i++)
        CHECK_EQ(smp_pin(i, 1 << i), 0);
    smp_start(1, stick);
    smp_start(2, stick);
    for (u32 i = 1; i < 3; i++) {
        turn = i;
        while (HYPERCALL1(__HYPERVISOR_arch_7, STUCK) != (long)i)
            __asm__ volatile("pause");
    }
    HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &(u32){ SHUTDOWN_reboot });
}
