/* SPDX-License-Identifier: MIT */
/* Every exception a guest can raise reaches its handler, with the frame the ABI describes. */
#include "guest.h"

static void check_kernel_frame(u32 vector, u64 error)
{
    CHECK_EQ(last_trap.vector, vector);
    CHECK_EQ(last_trap.error, error);
    CHECK_EQ(last_trap.cs & 0xffff, KERNEL_CS_IN_FRAME);
    CHECK_EQ(last_trap.ss, FLAT_SS);
    CHECK_EQ((last_trap.cs >> 32) & 0xff, shared_info->vcpu_info[0].evtchn_upcall_mask);
    CHECK_EQ(!!(last_trap.rflags & 0x200), !shared_info->vcpu_info[0].evtchn_upcall_mask);
    /* The frame lies below the interrupted stack, aligned. */
    CHECK_EQ((last_trap.stack_at_entry + (vector_has_error[vector] ? 64 : 56)) & 15, 0);
    CHECK(last_trap.stack_at_entry < last_trap.rsp);
}

static void divide(void) { __asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; div %%ecx" ::: "rax", "rcx", "rdx"); }
static void load_ds(u16 sel) { __asm__ volatile("mov %0, %%ds" ::"r"(sel)); }
static void load_ss(u16 sel) { __asm__ volatile("mov %0, %%ss" ::"r"(sel)); }

static void faults(void)
{
    CHECK(TRAPS(0, divide()));
    check_kernel_frame(0, 0);
    CHECK(TRAPS(6, __asm__ volatile("ud2")));
    check_kernel_frame(6, 0);
    CHECK(TRAPS(13, load_ds(0x5550)));
    check_kernel_frame(13, 0x5550);
    CHECK(TRAPS(13, __asm__ volatile("hlt")));
    check_kernel_frame(13, 0);
    /* A null SS is allowed in 64-bit ring 3 only with a RPL other than 3: #GP. */
    CHECK(TRAPS(13, load_ss(3)));
    CHECK(TRAPS(14, *(volatile u64 *)0x1230 = 1));
    check_kernel_frame(14, 2);
    CHECK_EQ(shared_info->vcpu_info[0].arch.cr2, 0x1230);
    CHECK(TRAPS(14, (void)*(volatile u64 *)0x5000));
    check_kernel_frame(14, 0);
    /* Non-canonical address */
    CHECK(TRAPS(13, (void)*(volatile u64 *)0x8000000000000000));
    check_kernel_frame(13, 0);
}

static void software_interrupts(void) { __asm__ volatile("int3"); }

static void ints(void)
{
    u32 before;

    expect_trap(3);
    before = trap_count[3];
    software_interrupts();
    CHECK_EQ(trap_count[3], before + 1);
    check_kernel_frame(3, 0);

    expect_trap(0x80);
    before = trap_count[0x80];
    __asm__ volatile("int $0x80");
    CHECK_EQ(trap_count[0x80], before + 1);

    expect_trap(0x81);
    before = trap_count[0x81];
    __asm__ volatile("int $0x81");
    CHECK_EQ(trap_count[0x81], before + 1);

    /* All of them, by code that is made as needed; vectors with an error code have none here. */
    u8 *code = page_new();

    for (u32 n = 0; n < 256; n++) {
        if (n < 32 && vector_has_error[n])
            continue;
        code[0] = 0xcd;
        code[1] = (u8)n;
        code[2] = 0xc3;
        expect_trap(n);
        before = trap_count[n];
        ((void (*)(void))code)();
        CHECK_EQ(trap_count[n], before + 1);
        CHECK_EQ(last_trap.rip, (u64)code + 2);
    }

    /* Prefixes make it longer. */
    static const char prefixed[] = "\x66\x2e\xf3\x48\xcd\x81\xc3";

    memory_copy(code, prefixed, sizeof(prefixed));
    expect_trap(0x81);
    ((void (*)(void))code)();
    CHECK_EQ(last_trap.rip, (u64)code + 6);
    /* At the end of a page behind which there is none. */
    u8 *last = page_new();

    map_at(0x400000, last);
    memory_copy(last + 4093, prefixed + 3, 3);
    CHECK(TRAPS(0x81, __asm__ volatile("jmp *%0" ::"r"(0x400ffdUL) : "rax")));
    CHECK_EQ(last_trap.rip, 0x401000);

    /* DPL 0 gates belong to the guest's kernel too */
    expect_trap(0x21);
    before = trap_count[0x21];
    __asm__ volatile("int $0x21");
    CHECK_EQ(trap_count[0x21], before + 1);
}

static void single_step(struct frame *f) { f->rflags &= ~0x100UL; }

static void debug(void)
{
    u32 before = trap_count[1];

    trap_handlers[1] = single_step;
    __asm__ volatile("pushf; orq $0x100, (%%rsp); popf; nop" ::: "cc", "memory");
    CHECK_EQ(trap_count[1], before + 1);
    CHECK_EQ(last_trap.vector, 1);
    CHECK(HYPERCALL1(__HYPERVISOR_get_debugreg, 6) & 0x4000);
    trap_handlers[1] = 0;
}

static void numeric(void)
{
    u16 cw = 0x37f & ~4; /* x87 divide by zero unmasked */
    u32 before = trap_count[7];

    CHECK(TRAPS(16, __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"(cw))));
    check_kernel_frame(16, 0);
    __asm__ volatile("fninit");
    /* #NM through the task-switched flag, which the trap clears */
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_fpu_taskswitch, 1), 0);
    expect_trap(7);
    __asm__ volatile("fninit");
    CHECK_EQ(trap_count[7], before + 1);
}

/* Two that QEMU's emulator never raises; bochs_tests.py wants to see them. */
static void left_out_by_some(void)
{
    static const u32 all_unmasked = 0, defaults = 0x1f80;
    static u64 words[2];

    if (TRAPS(17, __asm__ volatile("pushf; orl $0x40000, (%%rsp); popf; mov 1(%0), %%eax" ::"r"(words) : "rax", "cc"))) {
        check_kernel_frame(17, 0);
        CHECK(last_trap.rflags & 0x40000);
        print("#AC was raised\n");
    }
    __asm__ volatile("pushf; andl $~0x40000, (%%rsp); popf" ::: "cc", "memory");
    if (TRAPS(19, __asm__ volatile(
                      "ldmxcsr %0; pcmpeqd %%xmm0, %%xmm0; xorps %%xmm1, %%xmm1; cvtdq2ps %%xmm0, %%xmm0; divps %%xmm1, %%xmm0" ::"m"(
                          all_unmasked)))) {
        check_kernel_frame(19, 0);
        print("#XM was raised\n");
    }
    __asm__ volatile("ldmxcsr %0" ::"m"(defaults));
}

void test_main(void)
{
    faults();
    ints();
    debug();
    numeric();
    left_out_by_some();
    /* With events unmasked the frame says so */
    events_unmask();
    CHECK(TRAPS(6, __asm__ volatile("ud2")));
    check_kernel_frame(6, 0);
}
