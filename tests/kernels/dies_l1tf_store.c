/* SPDX-License-Identifier: MIT */
/* As dies_l1tf_entry, but by stores to the table (writable_pagetables): whole, and a byte at a time. */
#include "guest.h"

#define INVERTED 0x000ffffffff02000ULL /* as Linux writes such an address */

void test_main(void)
{
    void *page = page_new();
    volatile u64 *slot = pte_of(page, 1);
    u64 entry = *slot;

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    *slot = 0;
    *slot = INVERTED | 2;
    *slot = entry;
    print("empty and inverted entries are in order\n");
    __asm__ volatile("lock andb $0xfe, %0" : "+m"(*(volatile u8 *)slot)); /* clears the present bit */
    print("survived: the entry is 0x%lx\n", *slot);
}
