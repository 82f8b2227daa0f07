/* SPDX-License-Identifier: MIT */
/* The writable-page-table assist: stores of a guest kernel to its own L1 tables. */
#include "guest.h"

#define KFLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

void test_main(void)
{
    void *page = page_new(), *other = page_new();
    volatile u64 *slot = pte_of(page, 1);
    u64 old = *slot, fresh = va_to_mfn(other) << 12 | KFLAGS;

    /* Without the assist a store faults. */
    CHECK(TRAPS(14, *slot = 0));
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    CHECK(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 63) < 0);
    CHECK(HYPERCALL2(__HYPERVISOR_vm_assist, 7, 0) < 0);

    /* mov */
    *slot = fresh;
    mmuext(MMUEXT_INVLPG_LOCAL, (u64)page, 0);
    *(volatile u64 *)page = 77;
    CHECK_EQ(*(volatile u64 *)other, 77);
    /* xchg, as ptep_get_and_clear does */
    u64 v = 0;

    __asm__ volatile("xchg %0, %1" : "+r"(v), "+m"(*slot));
    CHECK_EQ(v & ~(PTE_A | PTE_D), fresh & ~(PTE_A | PTE_D));
    CHECK_EQ(*slot, 0);
    *slot = old;
    /* lock and, byte: as ptep_set_wrprotect does */
    __asm__ volatile("lock andb $0xfd, %0" : "+m"(*(volatile u8 *)slot));
    CHECK_EQ(*slot & PTE_W, 0);
    __asm__ volatile("lock orb $2, %0" : "+m"(*(volatile u8 *)slot));
    CHECK_EQ(*slot & PTE_W, PTE_W);
    /* bit operations, with the carry flag */
    bool carry;

    __asm__ volatile("lock btrq $1, %0" : "+m"(*slot), "=@ccc"(carry));
    CHECK(carry);
    CHECK_EQ(*slot & PTE_W, 0);
    __asm__ volatile("lock btsq %2, %0" : "+m"(*slot), "=@ccc"(carry) : "r"(1UL));
    CHECK(!carry);
    CHECK_EQ(*slot & PTE_W, PTE_W);
    /* cmpxchg, failing and succeeding */
    u64 expected = 0x1234;
    bool zero;

    __asm__ volatile("lock cmpxchg %3, %0" : "+m"(*slot), "+a"(expected), "=@ccz"(zero) : "r"(0UL));
    CHECK(!zero);
    CHECK_EQ(expected, *slot);
    __asm__ volatile("lock cmpxchg %3, %0" : "+m"(*slot), "+a"(expected), "=@ccz"(zero) : "r"(0UL));
    CHECK(zero);
    CHECK_EQ(*slot, 0);
    *slot = old;
    /* mov immediate, 32 bits of an entry at a time */
    ((volatile u32 *)slot)[1] = (u32)(old >> 32);
    CHECK_EQ(*slot, old);

    /* What may not stand in a table faults, and the table is as it was. */
    u64 table_pte = va_to_mfn((void *)start_info->pt_base) << 12 | KFLAGS;

    CHECK(TRAPS(14, *slot = table_pte));
    CHECK(TRAPS(14, *slot = 0x200000 | KFLAGS));
    CHECK(TRAPS(14, *slot = 0xfee00000 | KFLAGS));
    CHECK(TRAPS(14, *slot = 0x000ff00000000000 | KFLAGS));
    CHECK_EQ(*slot, old);
    /* Nor do flags change then; a bit's number counts inside the operand. */
    *slot = table_pte & ~PTE_W;
    CHECK(TRAPS(14, __asm__ volatile("stc\n lock btsq $1, %0" : "+m"(*slot))));
    CHECK_EQ(last_trap.rflags & 1, 1);
    *slot = old;
    __asm__ volatile("lock btrl $33, %0" : "+m"(*(volatile u32 *)slot), "=@ccc"(carry));
    CHECK(carry);
    CHECK_EQ(*slot, old & ~PTE_W);
    *slot = old;
    /* Stores across two entries, and instructions that are not on the list. */
    CHECK(TRAPS(14, *(volatile u64 *)((u64)slot + 4) = 0));
    CHECK(TRAPS(14, __asm__ volatile("movups %%xmm0, %0" : "=m"(*slot))));
    /* Only L1 tables. */
    CHECK(TRAPS(14, *(volatile u64 *)pte_of(page, 2) = 0));
    CHECK(TRAPS(14, *(volatile u64 *)start_info->pt_base = 0));
    *(volatile u64 *)page = 1;
    /* References came out even: the page can still become a table and back. */
    memory_set(page, 0, 8);
    CHECK_EQ(make_ro(page), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0), 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(page), 0), 0);
    CHECK_EQ(make_rw(page), 0);
}
