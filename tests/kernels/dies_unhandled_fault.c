/* SPDX-License-Identifier: MIT */
/* A page fault that the guest has no handler for. The test reads the hypervisor's report. */
#include "guest.h"

void test_main(void)
{
    HYPERCALL1(__HYPERVISOR_set_trap_table, 0);
    *(volatile u64 *)0x123456789000 = 0xd00d;
    print("survived\n");
}
