/* SPDX-License-Identifier: MIT */
/* Two vCPUs make up machine-check values at once: eight fit, and never more. */
#include "smp.h"
#include <public/mca.h>

#define ROUNDS 3000
#define ROOM 8

static volatile u64 go, done;
static volatile long other_rc;

static long inject(u32 n)
{
    struct xen_mc op = { .cmd = XEN_MC_msrinject, .interface_version = XEN_MCA_INTERFACE_VERSION };

    op.u.mc_msrinject.mcinj_count = 1;
    op.u.mc_msrinject.mcinj_flags = MC_MSRINJ_F_INTERPOSE;
    op.u.mc_msrinject.mcinj_msr[0].reg = 0x402 + 4 * (n / 2) + n % 2; /* ADDR, MISC: they make no record */
    return HYPERCALL1(__HYPERVISOR_mca, &op);
}

static void second(u32 id)
{
    (void)id;
    for (u64 n = 1;; n++) {
        while (go < n)
            ;
        other_rc = inject(ROOM);
        __atomic_store_n(&done, n, __ATOMIC_SEQ_CST);
    }
}

void test_main(void)
{
    struct xen_mc mce = { .cmd = XEN_MC_mceinject, .interface_version = XEN_MCA_INTERFACE_VERSION };
    struct xen_mc wide = { .cmd = XEN_MC_msrinject, .interface_version = XEN_MCA_INTERFACE_VERSION };

    wide.u.mc_msrinject.mcinj_count = 1;
    wide.u.mc_msrinject.mcinj_msr[0].reg = 1UL << 32 | 0x402;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_mca, &wide), -22); /* EINVAL: no MSR has such a number */
    smp_start(1, second);
    for (u64 n = 1; n < ROUNDS; n++) {
        CHECK_EQ(HYPERCALL1(__HYPERVISOR_mca, &mce), 0); /* takes what was there */
        for (u32 i = 0; i < ROOM - 1; i++)
            CHECK_EQ(inject(i), 0);
        __atomic_store_n(&go, n, __ATOMIC_SEQ_CST);
        long rc = inject(ROOM - 1);

        while (done < n)
            ;
        CHECK_EQ((rc == 0) + (other_rc == 0), 1);
        CHECK_EQ(inject(ROOM + 1), -28); /* ENOSPC */
    }
}
