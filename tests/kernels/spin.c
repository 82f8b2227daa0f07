/* SPDX-License-Identifier: MIT */
/* Computes for ever: something for the machine to interrupt. */
#include "guest.h"

void test_main(void)
{
    for (;;)
        __asm__ volatile("pause");
}
