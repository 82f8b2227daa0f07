/* SPDX-License-Identifier: MIT */
/* A thousand guests, one after the other: each runs, with two vCPUs, and is destroyed. Nothing of them is left. */
#include "domu.h"
#include "smp.h"

#define CYCLES 1000
#define FIRST 50 /* in which page tables and the small heap grow for good */

static struct domu g;

static void second(u32 id)
{
    domu_box.words[1] = 2;
    smp_stop(id);
}

static void lives(u64 arg)
{
    smp_start(1, second);
    while (((volatile u64 *)domu_box.words)[1] != 2)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    domu_box.words[0] = arg;
}

void test_main(void)
{
    domid_t last = 0;
    u64 before = 0;

    for (u32 n = 0; n < CYCLES; n++) {
        if (n == FIRST)
            before = free_frames();
        domu_new(&g, 2, lives, n + 1);
        CHECK(g.id > last);
        last = g.id;
        CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
        CHECK_EQ(g.box->words[0], n + 1);
        domu_destroy(&g);
    }
    CHECK_EQ(free_frames(), before);
}
