/* SPDX-License-Identifier: MIT */
/*
 * vCPUs are taken down, brought up and held by others in the middle of pins and unpins. None keeps a table
 * that others wait for: whoever is paused finishes its hypercall first, so every hypercall here returns.
 */
#include "smp.h"

#define ROUNDS 10000
#define FREE_ROUNDS 100
#define PINNER 1
#define RIVAL 2
#define HOLDER 3
#define PIN_L2 (MMUEXT_PIN_L1_TABLE + 1)

static u64 l2_mfn;
static volatile u64 pins[MAX_VCPUS], holds, stop, stopped;

static void pin_and_unpin(u32 id)
{
    if (!mmuext(PIN_L2, l2_mfn, 0))
        pins[id]++;
    mmuext(MMUEXT_UNPIN_TABLE, l2_mfn, 0);
}

static void pinner(u32 id)
{
    while (!stop)
        pin_and_unpin(id);
    smp_atomic_add(&stopped, 1);
    smp_stop(id);
}

/* A domctl that needs the other vCPU outside the hypervisor: what it reads is nobody's business here. */
static void hold(u32 vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_vcpu_msrs, .interface_version = XEN_DOMCTL_INTERFACE_VERSION, .domain = DOMID_SELF };
    struct xen_domctl_vcpu_msr room[8];

    op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ vcpu, 8, (u64)room };

    CHECK_EQ(HYPERCALL1(__HYPERVISOR_domctl, &op), 0); /* also where somebody wants the caller stopped at the same time */
    smp_atomic_add(&holds, 1);
}

/* Holds all others, the first among them, which does the same to it. */
static void holder(u32 id)
{
    while (!stop) {
        for (u32 i = 0; i < id; i++)
            hold(i);
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    smp_atomic_add(&stopped, 1);
    smp_stop(id);
}

/* Without PAUSE: an emulator leaves its translated code at each. */
static void wait(u32 turns)
{
    while (turns--)
        __asm__ volatile("");
}

void test_main(void)
{
    u64 *l1 = page_new(), *l2 = page_new(), l1_mfn = va_to_mfn(l1), random = 1;

    l2_mfn = va_to_mfn(l2);
    CHECK_EQ(make_ro(l1), 0);
    for (u32 i = 0; i < 128; i++)
        l2[i] = l1_mfn << 12 | PTE_P | PTE_W | PTE_U | PTE_A;
    CHECK_EQ(make_ro(l2), 0);
    /* Most of the time the first vCPU has a CPU of its own, so that it is fast; then all go where they like. */
    for (u32 i = 0; i <= HOLDER; i++)
        CHECK_EQ(smp_pin(i, i ? 2 : 1), 0);
    smp_start(PINNER, pinner);
    smp_start(RIVAL, pinner);
    smp_start(HOLDER, holder);
    for (u32 i = 0; i < ROUNDS; i++) {
        u32 victim = i & 1 ? PINNER : RIVAL;

        for (u32 j = 0; i == ROUNDS - FREE_ROUNDS && j <= HOLDER; j++)
            CHECK_EQ(smp_pin(j, 3), 0);
        random = random * 6364136223846793005UL + 1442695040888963407UL;
        wait((u32)(random >> 54));
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_down, victim, 0), 0);
        wait((u32)(random >> 44) % 1024);
        if (i % 16 == 0)
            pin_and_unpin(0);
        if (i % 64 == 0)
            hold(HOLDER);
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_up, victim, 0), 0);
    }
    stop = 1;
    while (stopped < 3)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    print("pins %lu %lu %lu, held %lu\n", pins[0], pins[1], pins[2], holds);
    CHECK(pins[0] && pins[PINNER] && pins[RIVAL] && holds);
    /* The table is whole, and nobody's. */
    CHECK_EQ(mmuext(PIN_L2, l2_mfn, 0), 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, l2_mfn, 0), 0);
    CHECK_EQ(make_rw(l2), 0);
    l2[7] = 0;
}
