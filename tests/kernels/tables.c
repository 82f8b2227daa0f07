/* SPDX-License-Identifier: MIT */
/* mmu_update, mmuext_op and update_va_mapping with arguments that are wrong, and flushes of every kind: nothing changes, each error is told. */
#include "guest.h"

#define ERR_SRCH (-3)
#define ERR_FAULT (-14)
#define ERR_INVAL (-22)
#define ERR_NOSYS (-38)
#define NOBODY 77
#define NO_FRAME 0xffffffffUL /* above all memory */
#define UNCANONICAL 0x0000800000000000UL

static void *const hypervisors = (void *)0xffff830000000000; /* not the guest's to name */
static u8 page[4096] __attribute__((aligned(4096)));

static long update(u64 ptr, u64 val)
{
    struct mmu_update u = { ptr, val };
    u32 done = NOBODY;
    long rc = HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, &done, DOMID_SELF);

    CHECK_EQ(done, !rc);
    return rc;
}

static void updates(void)
{
    u64 own = va_to_mfn(page) << 12, table = pte_machine_address(page, 1), entry = *pte_of(page, 1), top = pte_machine_address(page, 4);

    for (u64 type = 0; type < 4; type++) {
        CHECK_EQ(update(NO_FRAME << 12 | type, 0), ERR_INVAL);
        CHECK(update(2UL << 20 | type, 0) < 0); /* the hypervisor's own */
    }
    CHECK_EQ(update(own + 8, 0x1234), 0); /* no table: a store like any other */
    CHECK_EQ(*(u64 *)(page + 8), 0x1234);
    for (u64 type = MMU_NORMAL_PT_UPDATE; type < 4; type += MMU_PT_UPDATE_PRESERVE_AD) {
        CHECK_EQ(update(table | type, entry), 0);
        CHECK(update(table | type, NO_FRAME << 12 | PTE_P) < 0);
        CHECK(update(table | type, (table & ~4095UL) | PTE_P | PTE_W) < 0); /* a table, writable */
        CHECK(update(top | type, (own & ~4095UL) | PTE_P | PTE_W | PTE_PSE) < 0);
    }
    CHECK_EQ(update(table, entry), 0);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, hypervisors, 1, 0, DOMID_SELF), ERR_FAULT);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, 0, 0, hypervisors, DOMID_SELF), ERR_FAULT);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, 0, 0, 0, NOBODY), ERR_SRCH);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, 0, 0, 0, (NOBODY + 1) << 16 | DOMID_SELF), ERR_SRCH);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, 0, 0, 0, 1 << 16 | DOMID_SELF), 0); /* of domain 0, by its number */
}

static void mappings(void)
{
    static const u64 flushes[] = { 0, UVMF_TLB_FLUSH, UVMF_INVLPG, UVMF_TLB_FLUSH | UVMF_ALL, UVMF_INVLPG | UVMF_ALL, 3, 3 | UVMF_ALL };
    static const u64 nowhere[] = { 0x500000000000, UNCANONICAL, 0xffff830000000000, 0xffffffffffffffff };
    static u64 all __attribute__((aligned(8))) = ~0UL;
    u64 entry = *pte_of(page, 1);

    for (u32 i = 0; i < sizeof(flushes) / sizeof(flushes[0]); i++)
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, page, entry, flushes[i]), 0);
    for (u64 type = UVMF_TLB_FLUSH; type <= UVMF_INVLPG; type++) {
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, page, entry, (u64)&all | type), 0);
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, page, entry, (u64)hypervisors | type), ERR_FAULT);
    }
    for (u32 i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, nowhere[i], entry, UVMF_INVLPG), ERR_INVAL);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_update_va_mapping_otherdomain, page, entry, 0, NOBODY), ERR_SRCH);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_update_va_mapping_otherdomain, page, entry, 0, DOMID_SELF), 0);
}

static long ext(u32 cmd, u64 first, u64 second)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = first, .arg2.src_mfn = second };
    u32 done = NOBODY;
    long rc = HYPERCALL4(__HYPERVISOR_mmuext_op, &op, 1, &done, DOMID_SELF);

    CHECK_EQ(done, !rc);
    return rc;
}

static void operations(void)
{
    static const u32 of_frames[] = {
        0, 1, 2, 3, MMUEXT_UNPIN_TABLE, MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR, MMUEXT_CLEAR_PAGE, MMUEXT_COPY_PAGE
    };
    static const u64 addresses[] = { 0, UNCANONICAL, 0xffffffffffffffff };
    static u64 all __attribute__((aligned(8))) = ~0UL;
    u64 own = va_to_mfn(page), table = pte_machine_address(page, 1) >> 12;
    struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };

    for (u32 i = 0; i < sizeof(of_frames) / sizeof(of_frames[0]); i++) {
        CHECK(ext(of_frames[i], NO_FRAME, own) < 0);
        if (of_frames[i] > 3)
            CHECK(ext(of_frames[i], 0x200, own) < 0); /* the hypervisor's */
    }
    CHECK(ext(MMUEXT_UNPIN_TABLE, own, 0) < 0);    /* not pinned */
    CHECK(ext(MMUEXT_PIN_L4_TABLE, table, 0) < 0); /* of another level */
    CHECK(ext(MMUEXT_CLEAR_PAGE, table, 0) < 0);
    CHECK(ext(MMUEXT_COPY_PAGE, own, NO_FRAME) < 0);
    CHECK_EQ(ext(MMUEXT_COPY_PAGE, own, table), 0);
    CHECK_EQ(ext(MMUEXT_CLEAR_PAGE, own, 0), 0);
    CHECK_EQ(*(u64 *)page, 0);
    CHECK_EQ(ext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
    CHECK_EQ(ext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
    CHECK_EQ(ext(MMUEXT_TLB_FLUSH_MULTI, 0, 0), ERR_INVAL);
    CHECK_EQ(ext(MMUEXT_TLB_FLUSH_MULTI, 0, (u64)hypervisors), ERR_FAULT);
    CHECK_EQ(ext(MMUEXT_TLB_FLUSH_MULTI, 0, (u64)&all), 0);
    for (u32 i = 0; i < 3; i++) {
        CHECK_EQ(ext(MMUEXT_INVLPG_LOCAL, addresses[i], 0), 0);
        CHECK_EQ(ext(MMUEXT_INVLPG_ALL, addresses[i], 0), 0);
        CHECK_EQ(ext(MMUEXT_INVLPG_MULTI, addresses[i], 0), ERR_INVAL);
        CHECK_EQ(ext(MMUEXT_INVLPG_MULTI, addresses[i], (u64)&all), 0);
    }
    CHECK_EQ(ext(MMUEXT_SET_LDT, 0, 8193), ERR_INVAL);
    CHECK_EQ(ext(MMUEXT_SET_LDT, (u64)page + 8, 1), ERR_INVAL);
    CHECK_EQ(ext(MMUEXT_SET_LDT, (u64)hypervisors, 1), ERR_INVAL);
    CHECK_EQ(ext(MMUEXT_SET_LDT, 0, 0), 0);
    CHECK_EQ(ext(NOBODY, 0, 0), ERR_NOSYS);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmuext_op, hypervisors, 1, 0, DOMID_SELF), ERR_FAULT);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmuext_op, &op, 1, hypervisors, DOMID_SELF), ERR_FAULT);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmuext_op, &op, 1, 0, NOBODY), ERR_SRCH);
}

void test_main(void)
{
    updates();
    mappings();
    operations();
}
