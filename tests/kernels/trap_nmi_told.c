/* SPDX-License-Identifier: MIT */
/* Says each NMI that it is told of: tests/trap/report_tests.py presses the machine's button. */
#include "guest.h"

static volatile u32 nmis;

static void on_nmi(struct frame *f)
{
    (void)f;
    nmis++;
}

void test_main(void)
{
    u32 seen = 0;

    trap_handlers[2] = on_nmi;
    print("waiting for an NMI\n");
    for (;;) {
        for (volatile u32 i = 0; i < 1000000; i++)
            ;
        if (nmis != seen)
            print("told of NMIs: %u, reason %lu\n", nmis, shared_info->arch.nmi_reason);
        seen = nmis;
    }
}
