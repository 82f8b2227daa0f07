/* SPDX-License-Identifier: MIT */
/* iret to user mode without a user page table. */
#include "guest.h"

void test_main(void)
{
    mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    user_run(0x1000, 0x1000, 0x200);
    print("survived\n");
}
