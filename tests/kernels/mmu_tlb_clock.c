/* SPDX-License-Identifier: MIT */
/*
 * One vCPU keeps a writable translation and never loads CR3; another one flushes until the TLB clock has gone far beyond, then makes
 * the frame a page table. Needs two vCPUs and, to take less than hours, a test build with tlb-tick=0x100000.
 */
#include "smp.h"

#define FLUSHES 3000 /* beyond 2^31 ticks, short of 2^32 */

static u64 *table, *window;
static volatile u64 step;

static void second(u32 id)
{
    (void)id;
    *(volatile u64 *)window = 0; /* a writable translation */
    step = 1;
    while (step != 2)
        __asm__ volatile("pause");
    /* Through a mapping that is gone: the page fault, which this vCPU cannot take, ends the domain. */
    *(volatile u64 *)(window + 5) = PTE_P | PTE_U | PTE_A | PTE_D | PTE_W;
    for (;;)
        __asm__ volatile("pause");
}

static long map(void *va, u64 pte, u64 flags) { return HYPERCALL3(__HYPERVISOR_update_va_mapping, va, pte, flags); }

void test_main(void)
{
    static struct mmuext_op ops[100];
    u64 mfn;

    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 1, 0);
    table = page_new();
    window = page_new();
    mfn = va_to_mfn(table);
    CHECK_EQ(map(table, mfn << 12 | PTE_P | PTE_A | PTE_NX, UVMF_TLB_FLUSH | UVMF_ALL), 0);
    CHECK_EQ(map(window, mfn << 12 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX, UVMF_TLB_FLUSH | UVMF_ALL), 0);
    smp_start(1, second);
    while (step != 1)
        ;
    for (u32 i = 0; i < 100; i++)
        ops[i].cmd = MMUEXT_TLB_FLUSH_LOCAL;
    for (u32 i = 0; i < FLUSHES / 100; i++)
        CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmuext_op, ops, 100, 0, DOMID_SELF), 0);
    CHECK_EQ(map(window, 0, 0), 0); /* the last writable mapping goes, no flush asked for */
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
    CHECK_EQ(table[5], 0);
    print("pinned\n");
    step = 2;
    for (u64 end = smp_time(0) + 20000000000; smp_time(0) < end && !table[5];)
        ;
    print("the store reached the table: 0x%lx\n", table[5]);
}
