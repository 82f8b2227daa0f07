/* SPDX-License-Identifier: MIT */
/*
 * A balloon: 4096 frames go back, 4096 come. Says what a page costs in ticks of the TSC; other vCPUs, if there are any, run their guest
 * meanwhile, so that their CPUs hold translations. tests/bench counts the interrupts that it sends.
 */
#include "smp.h"

#define PAGES 4096

static u64 mfns[PAGES];
static volatile u64 running;

static void spin(u32 id)
{
    (void)id;
    smp_atomic_add(&running, 1);
    for (;;)
        __asm__ volatile("pause");
}

static void all_pages(u32 op)
{
    struct xen_memory_reservation r = { .nr_extents = PAGES, .domid = DOMID_SELF };

    *(u64 **)&r.extent_start = mfns;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, op, &r), PAGES);
}

static void populate(void)
{
    for (u32 i = 0; i < PAGES; i++)
        mfns[i] = 0x100000 + i;
    all_pages(XENMEM_populate_physmap);
}

void test_main(void)
{
    u64 others = 0;

    for (u32 id = 1; id < 4 && !HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, id, 0); id++) {
        HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, id, 0);
        smp_start(id, spin);
        others++;
    }
    while (running != others)
        ;
    populate();
    all_pages(XENMEM_decrease_reservation);
    populate();
    u64 start = rdtsc();

    all_pages(XENMEM_decrease_reservation);
    u64 giving = rdtsc() - start;

    if (!others) /* idle CPUs clear what was given back, which would be counted as well */
        smp_sleep_until(0, smp_time(0) + 50000000);
    start = rdtsc();
    populate();
    print("balloon: 0x%lx others, 0x%lx to give a page back, 0x%lx to get one\n", others, giving / PAGES, (rdtsc() - start) / PAGES);
}
