/* SPDX-License-Identifier: MIT */
/* A kernel that computes and has no handler for machine checks. */
#include "guest.h"

void test_main(void)
{
    HYPERCALL1(__HYPERVISOR_set_trap_table, 0);
    print("computing\n");
    for (;;)
        ;
}
