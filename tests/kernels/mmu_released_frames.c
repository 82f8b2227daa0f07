/* SPDX-License-Identifier: MIT */
/*
 * The frames of the hypervisor's boot code belong to the allocator later on, and may become page tables of its own. Takes all free
 * memory but for some of these frames, then has the hypervisor map device registers (MSI-X entries) again and again.
 */
#include "guest.h"

#define ROUNDS 20000

static u64 mfns[16384];

static long give_back(u64 *mfn)
{
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

    *(u64 **)&r.extent_start = mfn;
    return HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r);
}

void test_main(void)
{
    struct xen_memory_reservation r = { .nr_extents = sizeof(mfns) / 8, .domid = DOMID_SELF };
    u32 of_the_image = 0, rounds = 0;

    for (u32 i = 0; i < r.nr_extents; i++)
        mfns[i] = 0x100000 + i;
    *(u64 **)&r.extent_start = mfns;
    long n = HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_populate_physmap, &r);

    CHECK(n > 0 && n < (long)r.nr_extents); /* that was all */
    for (long i = 0; i < n; i++)
        if (mfns[i] >= 0x200 && mfns[i] < 0x400) {
            of_the_image++;
            CHECK_EQ(give_back(&mfns[i]), 1);
        }
    CHECK(of_the_image > 8);
    for (; rounds < ROUNDS; rounds++) {
        struct physdev_map_pirq m = { .domid = DOMID_SELF,
                                      .type = MAP_PIRQ_TYPE_MSI,
                                      .index = -1,
                                      .pirq = -1,
                                      .bus = 0,
                                      .devfn = 5 << 3,
                                      .entry_nr = 0,
                                      .table_base = 1 };

        if (HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &m))
            break;
        struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = m.pirq };

        HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq, &u);
    }
    print("mapped 0x%x times\n", rounds);
    CHECK_EQ(rounds, ROUNDS); /* addresses come back, or tables would have run out */
}
