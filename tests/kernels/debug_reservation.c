/* SPDX-License-Identifier: MIT */
/* Started with dom0_mem=64M,max:80M: what dom0 may have is told and holds. */
#include "guest.h"

#define MIB 256

static long memory_op(u64 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg); }

void test_main(void)
{
    domid_t self = DOMID_SELF;
    long before = memory_op(XENMEM_current_reservation, &self);
    u64 *frames = page_new(), taken = 0;

    CHECK_EQ(before, 64 * MIB);
    CHECK_EQ(memory_op(XENMEM_maximum_reservation, &self), 80 * MIB);
    for (long got = 512; got == 512;) {
        struct xen_memory_reservation r = { frames, 512, 0, 0, DOMID_SELF };

        for (u32 i = 0; i < 512; i++)
            frames[i] = 64 * MIB + taken + i;
        got = memory_op(XENMEM_populate_physmap, &r);
        taken += (u64)got;
        if (taken > 32 * MIB)
            break;
    }
    CHECK_EQ(taken, 16 * MIB);
    CHECK_EQ(memory_op(XENMEM_current_reservation, &self), 80 * MIB);
}
