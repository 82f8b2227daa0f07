/* SPDX-License-Identifier: MIT */
/* A page fault in user mode at an address whose tables exist down to the last level. */
#include "guest.h"

void test_main(void)
{
    static const u8 load[] = { 0x48, 0x8b, 0x07 }; /* mov (%rdi), %rax: %rdi is the page below */
    u8 *page = page_new();
    u64 code, stack;

    user_mode_setup();
    code = user_text_page(load, sizeof(load));
    stack = user_stack();
    remap(page, 0);
    HYPERCALL1(__HYPERVISOR_set_trap_table, 0);
    struct iret_context f = { .rip = code, .cs = FLAT_CS64 | 3, .rflags = 0x202, .rsp = stack, .ss = FLAT_SS | 3 };

    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall" ::"r"(&f), "D"(page));
    print("survived\n");
}
