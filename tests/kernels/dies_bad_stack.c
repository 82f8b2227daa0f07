/* SPDX-License-Identifier: MIT */
/* A trap whose frame cannot be written: the stack pointer leads into the hypervisor (XSA-215). */
#include "guest.h"

void test_main(void)
{
    __asm__ volatile("mov %0, %%rsp; ud2" ::"r"(0xffff830000001000UL));
    print("survived\n");
}
