/* SPDX-License-Identifier: MIT */
/* What is known and not offered: each answer, and the log has a line for each, once (tests/guestabi looks at it). */
#include "guest.h"

#define HVM_OP 34

void test_main(void)
{
    struct multicall_entry batch = { .op = HVM_OP };

    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(HYPERCALL2(HVM_OP, 0, 0), -38);
        CHECK_EQ(HYPERCALL2(27, 0, 0), -38);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_kexec_op, 4, 0), -95);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, 23, 0), -38);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, 28, 0), -38); /* a stock dom0 asks for it */
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_grant_table_op, 4, 0, 0), -38);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, &batch, 1), 0);
        CHECK_EQ(batch.result, -38);
    }
    CHECK_EQ(HYPERCALL2(45, 7, 0), -38);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, 99, 0), -38);
    CHECK_EQ(HYPERCALL2(1UL << 40, 0, 0), -38);
}
