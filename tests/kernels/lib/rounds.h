/* SPDX-License-Identifier: MIT */
/*
 * One turn through every way from a guest into the hypervisor and back, with every register
 * checked on the way: for kernels that are disturbed meanwhile.
 */
#include "guest.h"

static u32 wrong;

/* ---- registers across each way in; the functions return how many differ ---- */

#define P(n) "0x" #n #n #n #n #n #n #n #n #n #n #n #n #n #n #n #n
/* clang-format off */
__asm__(".macro load_patterns\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "movabs $" P(1) ", %rbx; movabs $" P(2) ", %rbp; movabs $" P(3) ", %r12; movabs $" P(4) ", %r13\n"
        "movabs $" P(5) ", %r14; movabs $" P(6) ", %r15; movabs $" P(7) ", %rsi; movabs $" P(8) ", %rdx\n"
        "movabs $" P(9) ", %r8; movabs $" P(a) ", %r9; movabs $" P(b) ", %r10\n"
        ".endm\n"
        ".macro same reg, value\n"
        "movabs $\\value, %rcx; cmp %rcx, %\\reg; setne %cl; movzbl %cl, %ecx; add %ecx, %eax\n"
        ".endm\n"
        ".macro compare_patterns\n"
        "xor %eax, %eax\n"
        "same rbx, " P(1) "; same rbp, " P(2) "; same r12, " P(3) "; same r13, " P(4) "; same r14, " P(5) "; same r15, " P(6) "\n"
        "same rsi, " P(7) "; same rdx, " P(8) "; same r8, " P(9) "; same r9, " P(a) "; same r10, " P(b) "\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
        ".endm\n"
        "across_hypercall: load_patterns; xor %edi, %edi; mov $17, %eax; syscall; compare_patterns\n"
        "across_trap: load_patterns; int3; compare_patterns\n"
        "across_nothing: load_patterns; mov $300, %ecx; 1: dec %ecx; jnz 1b; compare_patterns\n"
        "across_fault: load_patterns; xor %eax, %eax; mov %cr0, %rax; compare_patterns\n");
/* clang-format on */
u32 across_hypercall(void), across_trap(void), across_nothing(void), across_fault(void);

static u64 user_text, user_sp;

/* Registers on entry are the code's own: it sets some, and the SYSCALL frame shows them. */
static u32 across_user(void)
{
    u64 ended = user_run(user_text, user_sp, 0x200);

    return ended != 257 || last_trap.rbx != 0x77 || last_trap.r15 != 0x1234 || last_trap.rdx != 99 ||
           last_trap.cs != (FLAT_CS64 | 3 | ((last_trap.cs >> 32) << 32));
}

static u32 across_upcall(void)
{
    u32 before = upcalls;

    shared_info->vcpu_info[0].evtchn_upcall_pending = 1;
    events_unmask();
    events_mask();
    return upcalls != before + 1;
}

static void rounds(u32 n)
{
    for (u32 i = 0; i < n; i++) {
        wrong += across_hypercall();
        expect_trap(3);
        wrong += across_trap();
        wrong += across_nothing();
        wrong += across_fault();
        wrong += across_user();
        wrong += across_upcall();
    }
}

static void rounds_setup(void)
{
    static const u8 code[] = { 0x48, 0xc7, 0xc3, 0x77, 0,    0, 0, /* mov $0x77, %rbx */
                               0x49, 0xc7, 0xc7, 0x34, 0x12, 0, 0, /* mov $0x1234, %r15 */
                               0x48, 0xc7, 0xc2, 99,   0,    0, 0, /* mov $99, %rdx */
                               0x0f, 0x05 };

    user_mode_setup();
    user_text = user_text_page(code, sizeof(code));
    user_sp = user_stack();
}
