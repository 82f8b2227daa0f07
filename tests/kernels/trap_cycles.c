/* SPDX-License-Identifier: MIT */
/* A thousand guests, one after the other and some at a time: each starts, answers, ends. Then the machine has as much free memory as before. */
#include "domu.h"

#define CYCLES 1000
#define WARM 60 /* the first ones grow what serves for good: the small heap, page tables of the hypervisor's addresses */
#define TOGETHER 3

static void adds_one(u64 arg) { domu_box.words[0] = arg + 1; }

static void cycle(u32 n, u32 guests)
{
    static struct domu g[TOGETHER];

    for (u32 i = 0; i < guests; i++) {
        domu_new(&g[i], 1 + n % 2, adds_one, n + i);
        CHECK_EQ(domu_unpause(&g[i]), 0);
    }
    for (u32 i = guests; i--;) {
        if (n % 5) /* else in the middle of whatever it does */
            CHECK_EQ(domu_wait(&g[i], 60000), SHUTDOWN_poweroff);
        CHECK(n % 5 == 0 || g[i].box->words[0] == n + i + 1);
        domu_destroy(&g[i]);
    }
}

void test_main(void)
{
    u64 before = 0;

    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    for (u32 n = 0; n < CYCLES; n += n % 7 ? 1 : TOGETHER) {
        if (n >= WARM && !before)
            before = free_frames();
        cycle(n, n % 7 ? 1 : TOGETHER);
    }
    print("%u frames are free, before it were %u\n", (u32)free_frames(), (u32)before);
    CHECK_EQ(free_frames(), before);
}
