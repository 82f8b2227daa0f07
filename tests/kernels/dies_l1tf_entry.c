/* SPDX-License-Identifier: MIT */
/* Leaves the address of memory in an entry that is not present (L1TF). */
#include "guest.h"

#define INVERTED 0x000ffffffff02000ULL /* as Linux writes such an address */

void test_main(void)
{
    void *page = page_new();
    u64 address = *pte_of(page, 1) & 0x000ffffffffff000ULL;

    if (!remap(page, 0) && !remap(page, INVERTED | 2))
        print("empty and inverted entries are in order\n");
    remap(page, address | 2);
    print("survived\n");
}
