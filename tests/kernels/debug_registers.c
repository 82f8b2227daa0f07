/* SPDX-License-Identifier: MIT */
/*
 * Debug registers under the hypervisor's feet: a guest's data breakpoints on its own stack, where
 * the hypervisor writes frames, fire in the hypervisor; single steps run through every entry.
 */
#include "rounds.h"

static u32 debugs;

static void on_debug(struct frame *f)
{
    (void)f;
    debugs++;
}

static void set_dr(u32 n, u64 v) { CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_debugreg, n, v), 0); }

/* Single-steps through a hypercall and a trap: TF is the guest's, none of it reaches the hypervisor. */
static u64 steps(void)
{
    u32 before = debugs;

    __asm__ volatile("pushf; orq $0x100, (%%rsp); popf\n"
                     "mov $17, %%eax; xor %%edi, %%edi; syscall\n"
                     "int3\n"
                     "pushf; andq $~0x100, (%%rsp); popf\n" ::
                         : "rax", "rcx", "r11", "rdi", "memory", "cc");
    return debugs - before;
}

/* A data breakpoint that MOV SS hits waits for the end of the next instruction: of each way in, in ring 0 (XSA-260). */
static void mov_ss(void)
{
    static u16 selector = FLAT_SS;

    set_dr(0, (u64)&selector);
    set_dr(7, 0x400 | 0x7 << 16 | 1); /* accesses of two bytes */
    __asm__ volatile("mov $17, %%eax; xor %%edi, %%edi; mov %0, %%ss; syscall" ::"m"(selector) : "rax", "rcx", "r11", "rdi", "memory");
    expect_trap(3);
    __asm__ volatile("mov %0, %%ss; int3" ::"m"(selector));
    expect_trap(0x80);
    __asm__ volatile("mov %0, %%ss; int $0x80" ::"m"(selector));
    CHECK(TRAPS(6, __asm__ volatile("mov %0, %%ss; ud2" ::"m"(selector))));
    CHECK(TRAPS(14, __asm__ volatile("mov %0, %%ss; mov %%eax, 0x1230" ::"m"(selector))));
    set_dr(7, 0x400);
}

void test_main(void)
{
    u64 sp;

    trap_handlers[1] = on_debug;
    rounds_setup();
    rounds(1);
    __asm__("mov %%rsp, %0" : "=r"(sp));
    /* Writes (RW 1) and accesses (RW 3) of 8 bytes: LEN 2. */
    for (u64 offset = 8; offset < 1024; offset += 8) {
        set_dr(0, (sp & ~7UL) - offset);
        set_dr(1, (u64)(start_info->pt_base) + offset);
        set_dr(7, 0x400 | 0xb << 20 | 0x9 << 16 | 0xf);
        rounds(1);
    }
    set_dr(7, 0x400);
    CHECK_EQ(wrong, 0);
    CHECK(debugs > 0);
    expect_trap(3);
    CHECK(steps() >= 5);
    mov_ss();
    /* Breakpoints in the hypervisor's range are refused, and on I/O without CR4.DE. */
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_debugreg, 0, 0xffff830000000000), -1);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_debugreg, 7, 0x20001), -1);
}
