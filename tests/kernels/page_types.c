/* SPDX-License-Identifier: MIT */
/* Attacks on the page-type rules, each refused with an error, the domain going on unharmed. */
#include "guest.h"

#define KFLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

static u64 pte(const void *page, u64 flags) { return va_to_mfn(page) << 12 | flags; }
static u64 l4_mfn(void) { return va_to_mfn((void *)start_info->pt_base); }

static void tables_stay_read_only(void)
{
    u64 *l1 = pte_of(page_new(), 1);
    void *table = (void *)((u64)l1 & ~4095UL);

    /* A live table cannot be mapped writable, by either call. */
    CHECK(make_rw(table) < 0);
    CHECK(mmu_update_one(pte_machine_address(table, 1), *pte_of(table, 1) | PTE_W) < 0);
    /* And a store to it faults. */
    CHECK(TRAPS(14, *(volatile u64 *)l1 = 0));
    CHECK_EQ(last_trap.error, 3);
}

/* update_va_mapping_otherdomain: the frame's owner is named. */
static void mapping_by_owner(void)
{
    u64 *page = page_new(), mfn = va_to_mfn(page), rw = mfn << 12 | KFLAGS;
    u64 va = (u64)page, flush = UVMF_INVLPG;

#define MAP_OF(pte, domid) HYPERCALL4(__HYPERVISOR_update_va_mapping_otherdomain, va, pte, flush, domid)
    CHECK_EQ(MAP_OF(rw & ~PTE_W, DOMID_SELF), 0);
    CHECK(TRAPS(14, *(volatile u64 *)page = 1));
    CHECK_EQ(MAP_OF(rw, 0), 0);
    *(volatile u64 *)page = 2;
    CHECK_EQ(MAP_OF(rw, 77), -3); /* ESRCH */
    CHECK(MAP_OF(va_to_mfn((void *)start_info->pt_base) << 12 | KFLAGS, DOMID_SELF) < 0);
    CHECK_EQ(*(volatile u64 *)page, 2);
}

static void writable_pages_are_no_tables(void)
{
    void *page = page_new();

    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0); /* still mapped writable */
    CHECK_EQ(make_ro(page), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0);     /* pinned already */
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE + 1, va_to_mfn(page), 0) < 0); /* of another level */
    CHECK(make_rw(page) < 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(page), 0), 0);
    CHECK(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(page), 0) < 0);
    CHECK_EQ(make_rw(page), 0); /* at once, as Linux relies on */
    *(volatile u64 *)page = 1;
}

static void contents_are_validated(void)
{
    u64 *page = page_new(), *data = page_new(), *other = page_new();

    /* An L1 that maps a live table writable. */
    page[5] = pte((void *)start_info->pt_base, KFLAGS);
    CHECK_EQ(make_ro(page), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0);
    CHECK_EQ(make_rw(page), 0);
    /* An L1 that maps itself writable. */
    page[5] = pte(page, KFLAGS);
    CHECK_EQ(make_ro(page), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0);
    CHECK_EQ(make_rw(page), 0);
    /* A failed validation gives back what it took: data can become a table afterwards. */
    page[0] = pte(data, KFLAGS);
    CHECK_EQ(make_ro(page), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0);
    CHECK_EQ(make_ro(data), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(data), 0), 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(data), 0), 0);
    CHECK_EQ(make_rw(page), 0);
    /* An L2 with a large page (XSA-148), or linking a page that is writable. */
    other[0] = pte(data, KFLAGS | PTE_PSE);
    CHECK_EQ(make_ro(other), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE + 1, va_to_mfn(other), 0) < 0);
    CHECK_EQ(make_rw(other), 0);
    other[0] = pte(page, KFLAGS);
    CHECK_EQ(make_ro(other), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE + 1, va_to_mfn(other), 0) < 0);
    CHECK_EQ(make_rw(other), 0);
    /* Addresses beyond the processor's width, and frames that are not ours. */
    page[5] = 0;
    page[0] = 0x000ff00000000000UL | KFLAGS;
    CHECK_EQ(make_ro(page), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0);
    CHECK_EQ(make_rw(page), 0);
    page[0] = 0;
}

static void live_entries(void)
{
    void *page = page_new();
    u64 l1e = pte_machine_address(page, 1), l2e = pte_machine_address(page, 2), l4 = l4_mfn() << 12;

    /* Flags that only look harmless (XSA-182): a large page bit through the update path. */
    CHECK(mmu_update_one(l2e, *pte_of(page, 2) | PTE_PSE) < 0);
    CHECK(mmu_update_one(l2e, *pte_of(page, 2) | 0x100) < 0);
    /* An L2 entry to a data page, to an L2, to itself. */
    CHECK(mmu_update_one(l2e, pte(page, KFLAGS)) < 0);
    CHECK(mmu_update_one(l2e, pte(pte_of(page, 2), KFLAGS)) < 0);
    /* Linear page table: an L4 entry to the L4, even read-only. */
    CHECK(mmu_update_one(l4 + 8 * 5, l4 | PTE_P | PTE_U) < 0);
    /* The hypervisor's slots, whatever the value. */
    for (u64 slot = 256; slot < 272; slot++) {
        CHECK(mmu_update_one(l4 + 8 * slot, 0) < 0);
        CHECK(mmu_update_one(l4 + 8 * slot, pte(page, KFLAGS)) < 0);
    }
    /* Unaligned, outside memory, not ours. */
    CHECK(mmu_update_one(0x7ffffffff0000UL, 0) < 0);
    CHECK(mmu_update_one(0xb8000, 0) < 0);
    /* The MSI window, the local APIC, the I/O APIC. */
    CHECK(mmu_update_one(l1e, 0xfee00000 | KFLAGS) < 0);
    CHECK(mmu_update_one(l1e, 0xfee01000 | KFLAGS) < 0);
    CHECK(mmu_update_one(l1e, 0xfec00000 | KFLAGS) < 0);
    /* The hypervisor's own image and the M2P's frames: RAM that nobody gave us. */
    CHECK(mmu_update_one(l1e, 0x200000 | KFLAGS) < 0);
    CHECK(mmu_update_one(l1e, 0x204000 | PTE_P | PTE_U) < 0);
    /* Still the page that it was. */
    *(volatile u64 *)page = 42;
    CHECK_EQ(*(volatile u64 *)page, 42);
    /* dom0 may see the VGA memory and the BIOS. */
    void *window = page_new();

    CHECK_EQ(remap(window, 0xf0000 | PTE_P | PTE_U), 0);
    CHECK_EQ(remap(window, 0xb8000 | PTE_P | PTE_W | PTE_U), 0);
}

static void hypervisor_addresses(void)
{
    static const u64 addresses[] = { 0xffff800000000000, 0xffff808000000000, 0xffff810000000000, 0xffff82d040004000,
                                     0xffff830000000000, 0xffff87fffffff000, 0xffff7ffffffff000, 0x0000800000000000 };

    for (u32 i = 0; i < sizeof(addresses) / 8; i++) {
        u64 a = addresses[i];

        /* As hypercall arguments: copies to and from there fail. */
        CHECK(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_extraversion, a) < 0);
        CHECK(HYPERCALL4(__HYPERVISOR_mmu_update, a, 1, 0, DOMID_SELF) < 0);
        CHECK(HYPERCALL2(__HYPERVISOR_multicall, a, 1) < 0);
        CHECK(HYPERCALL3(__HYPERVISOR_update_va_mapping, a, 0, 0) < 0);
        if (a >> 47 == 0x1ffff)
            CHECK(TRAPS(14, *(volatile u8 *)a = 0));
    }
    /* A range that starts in the guest's part and runs into the hypervisor's. */
    CHECK(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_extraversion, 0xffff7ffffffffff8) < 0);
    /* The M2P can be read, not written. */
    u64 mfn = l4_mfn();

    CHECK_EQ(0xffffffff80000000UL + (((u64 *)0xffff800000000000)[mfn] << 12), start_info->pt_base);
    CHECK(TRAPS(14, *(volatile u64 *)(0xffff800000000000 + 8 * mfn) = 0));
}

static void base_pointers(void)
{
    void *page = page_new();
    u64 *l4 = page_new();

    CHECK(mmuext(MMUEXT_NEW_BASEPTR, va_to_mfn(page), 0) < 0);
    CHECK(mmuext(MMUEXT_NEW_BASEPTR, ~0UL, 0) < 0);
    CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    CHECK(mmuext(MMUEXT_NEW_USER_BASEPTR, va_to_mfn(page), 0) < 0);
    /* A second L4 with the same kernel half. */
    memory_copy(l4, (void *)start_info->pt_base, 4096);
    CHECK_EQ(make_ro(l4), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L4_TABLE, va_to_mfn(l4), 0), 0);
    CHECK_EQ(mmuext(MMUEXT_NEW_BASEPTR, va_to_mfn(l4), 0), 0);
    /* Unpinned while loaded: it stays a table as long as it is in use. */
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(l4), 0), 0);
    CHECK(make_rw(l4) < 0);
    CHECK_EQ(mmuext(MMUEXT_NEW_BASEPTR, l4_mfn(), 0), 0);
    CHECK_EQ(make_rw(l4), 0);
    /* The hypervisor's slots were filled in, not taken from us. */
    CHECK(l4[256] & PTE_P);
}

static void page_operations(void)
{
    u64 *a = page_new(), *b = page_new();

    a[7] = 7;
    CHECK_EQ(mmuext(MMUEXT_COPY_PAGE, va_to_mfn(b), va_to_mfn(a)), 0);
    CHECK_EQ(b[7], 7);
    CHECK_EQ(mmuext(MMUEXT_CLEAR_PAGE, va_to_mfn(b), 0), 0);
    CHECK_EQ(b[7], 0);
    CHECK(mmuext(MMUEXT_CLEAR_PAGE, l4_mfn(), 0) < 0);
    CHECK(mmuext(MMUEXT_COPY_PAGE, l4_mfn(), va_to_mfn(a)) < 0);
    CHECK(mmuext(MMUEXT_CLEAR_PAGE, 0x200, 0) < 0);
    CHECK(mmuext(99, 0, 0) < 0);
}

void test_main(void)
{
    mapping_by_owner();
    tables_stay_read_only();
    writable_pages_are_no_tables();
    contents_are_validated();
    live_entries();
    hypervisor_addresses();
    base_pointers();
    page_operations();
}
