/* SPDX-License-Identifier: MIT */
/*
 * Frames of the iret hypercall that IRETQ refuses: the guest gets the exception that IRETQ raised, with the frame that was
 * being returned to. The failsafe callback has no part in it.
 */
#include "guest.h"

#define NON_CANONICAL 0x0000800000000000UL
#define IN_SYSCALL 0x100

static u64 code, sp;

static void run(struct iret_context f, u64 vector, u64 error)
{
    u32 before = failsafes;

    f.rflags = 0x202;
    f.rsp = sp;
    f.rcx = 0x1111;
    f.r11 = 0x2222;
    f.rax = 0x3333;
    CHECK_EQ(user_run_frame(&f), vector);
    CHECK_EQ(last_trap.error, error);
    CHECK_EQ(last_trap.rip, f.rip);
    CHECK_EQ(last_trap.cs & 0xffff, f.cs | 3);
    CHECK_EQ(last_trap.ss & 0xffff, f.ss | 3);
    CHECK_EQ(last_trap.rsp, sp);
    CHECK_EQ(last_trap.rax, 0x3333);
    if (!f.flags) {
        CHECK_EQ(last_trap.rcx, 0x1111);
        CHECK_EQ(last_trap.r11, 0x2222);
    }
    CHECK_EQ(failsafes, before);
}

static void refused_frames(void)
{
    static const struct {
        u16 cs, ss;
        u32 vector, error;
    } selectors[] = {
        { 0xe04b, 0xe02b, 13, 0xe048 },                                                                 /* beyond the GDT */
        { 0xf04b, 0xe02b, 13, 0xf048 }, { 0x4b, 0xe02b, 13, 0x48 },                                     /* an empty descriptor */
        { 0x4f, 0xe02b, 13, 0x4c },                                                                     /* there is no LDT */
        { 0xe033, 0xe04b, 13, 0xe048 }, { 0xe02b, 0xe02b, 13, 0xe028 },                                 /* data */
        { 3, 0xe02b, 13, 0 },           { 0xe033, 3, 13, 0 },           { 0xe00b, 0xe02b, 13, 0xe008 }, /* the hypervisor's own */
        { 0x53, 0xe02b, 11, 0x50 },                                                                     /* not present */
    };

    for (u64 flags = 0; flags <= IN_SYSCALL; flags += IN_SYSCALL) {
        run((struct iret_context){ .flags = flags, .rip = NON_CANONICAL, .cs = 0xe033, .ss = 0xe02b }, 13, 0);
        run((struct iret_context){ .flags = flags, .rip = 1UL << 63, .cs = 0xe033, .ss = 0xe02b }, 13, 0);
    }
    for (u32 i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++)
        run((struct iret_context){ .rip = code, .cs = selectors[i].cs, .ss = selectors[i].ss }, selectors[i].vector, selectors[i].error);
}

/* A stack segment that is not present: #SS. QEMU's emulator raises #NP. */
static void not_present_stack(void)
{
    static struct iret_context f;

    f = (struct iret_context){ .rip = code, .cs = 0xe033, .rflags = 0x202, .rsp = sp, .ss = 0x5b };
    u64 vector = user_run_frame(&f);

    CHECK(vector == 12 || vector == 11);
    CHECK_EQ(last_trap.error, 0x58);
}

/* With the bad selector the handler could not go back. */
static void with_good_cs(struct frame *f)
{
    f->cs = KERNEL_CS_IN_FRAME;
    f->rip = trap_resume;
}

/* To the kernel itself. */
static void to_kernel(u64 rip, u64 cs, u64 flags, u64 vector, u64 error)
{
    u32 before = failsafes;
    u64 at = rip ? rip : code;

    CHECK(TRAPS(vector,
                __asm__ volatile("mov %%rsp, %%rbx\n push $0xe02b\n push %%rbx\n push $0x202\n push %[cs]\n push %[rip]\n push %[flags]\n"
                                 "push $0x11\n push $0x22\n push $0x33\n mov $23, %%eax\n syscall" ::[cs] "r"(cs),
                                 [rip] "r"(at), [flags] "r"(flags)
                                 : "rbx", "rax", "rcx", "r11", "memory")));
    CHECK_EQ(last_trap.error, error);
    CHECK_EQ(last_trap.rip, at);
    CHECK_EQ(last_trap.cs & 0xffff, cs & ~3UL);
    CHECK_EQ(last_trap.rax, 0x33);
    CHECK_EQ(failsafes, before);
}

static void kernel_frames(void)
{
    for (u64 flags = 0; flags <= IN_SYSCALL; flags += IN_SYSCALL) {
        to_kernel(NON_CANONICAL, 0xe030, flags, 13, 0);
        to_kernel(0xffff7fffffffffff, 0xe030, flags, 13, 0);
    }
    trap_handlers[13] = trap_handlers[11] = with_good_cs;
    to_kernel(0, 0xe048, 0, 13, 0xe048);
    to_kernel(0, 0x50, 0, 11, 0x50);
    trap_handlers[13] = trap_handlers[11] = 0;
}

/* SYSCALL in the last two bytes of the lower half: what comes behind it is no address. */
static void last_bytes(void)
{
    u8 *page = page_new();
    static struct iret_context f;

    page[4094] = 0x0f;
    page[4095] = 0x05;
    map_at(NON_CANONICAL - 4096, page);
    f = (struct iret_context){ .rip = NON_CANONICAL - 2, .cs = 0xe033, .rflags = 0x202, .rsp = sp, .ss = 0xe02b };
    CHECK_EQ(user_run_frame(&f), 257);
    CHECK_EQ(last_trap.rip, NON_CANONICAL);
    /* Back to there, as a kernel that knows nothing of it would go. */
    run((struct iret_context){ .flags = IN_SYSCALL, .rip = last_trap.rip, .cs = 0xe033, .ss = 0xe02b }, 13, 0);
    /* The kernel's own, a hypercall. */
    CHECK(TRAPS(13, __asm__ volatile("xor %%edi, %%edi\n mov $17, %%eax\n jmp *%0" ::"r"(NON_CANONICAL - 2) : "rax", "rdi", "rcx", "r11")));
    CHECK_EQ(last_trap.rip, NON_CANONICAL);
    CHECK_EQ(last_trap.rax, 0x40011);
    CHECK_EQ(last_trap.cs & 0xffff, KERNEL_CS_IN_FRAME);
    /* What is emulated there has the same end, and is read although fewer than fifteen bytes follow. */
    page[4094] = 0xe4;
    page[4095] = 0x80; /* in $0x80, %al */
    CHECK(TRAPS(13, __asm__ volatile("jmp *%0" ::"r"(NON_CANONICAL - 2) : "rax")));
    CHECK_EQ(last_trap.rip, NON_CANONICAL);
    page[4094] = 0xcd;
    page[4095] = 0x81; /* int $0x81 */
    CHECK(TRAPS(0x81, __asm__ volatile("jmp *%0" ::"r"(NON_CANONICAL - 2) : "rax")));
    CHECK_EQ(last_trap.rip, NON_CANONICAL);
}

static void own_gdt(void)
{
    u64 *gdt = page_new(), mfn = va_to_mfn(gdt);

    gdt[0x50 / 8] = 0x00207b0000000000; /* code, not present */
    gdt[0x58 / 8] = 0x00cf73000000ffff; /* data, not present */
    make_ro(gdt);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_gdt, &mfn, 512), 0);
}

void test_main(void)
{
    struct callback_register none = { CALLBACKTYPE_failsafe, 0, 0 };
    struct physdev_set_iopl iopl = { 1 };

    user_mode_setup();
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    code = user_text_page("\x0f\x0b", 2);
    sp = user_stack();
    own_gdt();
    refused_frames();
    not_present_stack();
    kernel_frames();
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_register, &none), 0);
    refused_frames();
    kernel_frames();
    last_bytes();
}
