/* SPDX-License-Identifier: MIT */
/* SYSCALL from user mode, the iret hypercall and its bad frames, privileges of user mode. */
#include "guest.h"

static u64 syscall_code, ud2_code, hlt_code, int80_code, int21_code, in_code, cpuid_code;

static u64 code(const char *bytes, size_t n) { return user_text_page(bytes, n); }

static void check_user_frame(void)
{
    CHECK_EQ(last_trap.cs & 0xffff, 0xe033);
    CHECK_EQ(last_trap.ss & 0xffff, 0xe02b);
}

static void good(void)
{
    u64 sp = user_stack();

    CHECK_EQ(user_run(syscall_code, sp, 0x200), 257);
    check_user_frame();
    CHECK_EQ(last_trap.rip, syscall_code + 2);
    CHECK_EQ(last_trap.rsp, sp);
    CHECK_EQ(last_trap.rcx, syscall_code + 2);
    CHECK_EQ(last_trap.r11 & 0x200, 0x200); /* never with interrupts off (XSA-202) */
    CHECK_EQ(user_run(ud2_code, sp, 0x200), 6);
    check_user_frame();
    CHECK_EQ(user_run(int80_code, sp, 0x200), 0x80);
    CHECK_EQ(last_trap.rip, int80_code + 2);
    /* A page fault of user mode carries the user bit. */
    CHECK_EQ(user_run(0x7000, sp, 0x200), 14);
    CHECK_EQ(last_trap.error & 4, 4);
    CHECK_EQ(user_run(cpuid_code, sp, 0x200), 257);
}

static void privileges(void)
{
    struct physdev_set_iopl iopl = { 1 };
    u64 sp = user_stack();

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    CHECK_EQ(user_run(hlt_code, sp, 0x200), 13);
    CHECK_EQ(user_run(int21_code, sp, 0x200), 13); /* the gate's DPL is 0 */
    CHECK_EQ(last_trap.error, 0x21 * 8 + 2);
    CHECK_EQ(user_run(in_code, sp, 0x200), 13);
    /* IOPL and VM in the frame give nothing. */
    CHECK_EQ(user_run(in_code, sp, 0x23200), 13);
    CHECK_EQ(last_trap.rflags & 0x23000, 0);
    CHECK_EQ(user_run(syscall_code, sp, 0x40200), 257); /* AC does not reach the kernel's context */
}

static void bad_frames(void)
{
    u64 sp = user_stack();

    /* RIP not canonical: #GP in the guest, never in the hypervisor (XSA-7). iret_faults.c has the rest. */
    CHECK_EQ(user_run(0x8000000000000000UL, sp, 0x200), 13);
    CHECK_EQ(last_trap.rip, 0x8000000000000000UL);
    CHECK_EQ(user_run(0x0000800000000000UL, sp, 0x200), 13);
    /* RIP inside the hypervisor's range: a page fault of the user's. */
    CHECK_EQ(user_run(0xffff82d040004000UL, sp, 0x200), 14);
    CHECK_EQ(user_run(0xffff830000000000UL, sp, 0x200), 14);
    /* RSP is only used when it is used. */
    CHECK_EQ(user_run(syscall_code, 0x8000000000000000UL, 0x200), 257);
    CHECK_EQ(last_trap.rsp, 0x8000000000000000UL);
    CHECK_EQ(user_run(syscall_code, 0xffff82d040004000UL, 0x200), 257);
    /* Single step over the first user instruction ends in the user's #DB. */
    CHECK_EQ(user_run(cpuid_code, sp, 0x300), 1);
    check_user_frame();
}

static void bad_selectors(void)
{
    /* Selectors that name nothing, or something of the hypervisor's. */
    static const u16 bad[][2] = { { 0x1233, 0xe02b }, { 0xe033, 0x5553 }, { 0xe00b, 0xe02b }, { 0xe043, 0xe02b } };
    static struct iret_context f;

    for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        f = (struct iret_context){ .rip = syscall_code, .cs = bad[i][0], .rflags = 0x202, .rsp = user_stack(), .ss = bad[i][1] };
        CHECK_EQ(user_run_frame(&f), 13);
        CHECK_EQ(last_trap.error, (bad[i][0] == 0xe033 ? bad[i][1] : bad[i][0]) & ~3);
    }
    CHECK_EQ(failsafes, 0);
}

static void nested(void)
{
    /* A trap handler that itself traps, on the same stack. */
    CHECK(TRAPS(6, __asm__ volatile("ud2")));
    u64 sp = user_stack();

    for (int i = 0; i < 100; i++)
        CHECK_EQ(user_run(syscall_code, sp, 0x200), 257);
}

void test_main(void)
{
    syscall_code = code("\x0f\x05", 2);
    ud2_code = code("\x0f\x0b", 2);
    hlt_code = code("\xf4", 1);
    int80_code = code("\xcd\x80", 2);
    int21_code = code("\xcd\x21", 2);
    in_code = code("\xe4\x80", 2);
    cpuid_code = code("\x31\xc0\x0f\xa2\x0f\x05", 6);
    user_mode_setup();
    good();
    privileges();
    bad_frames();
    bad_selectors();
    nested();
}
