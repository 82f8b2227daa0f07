/* SPDX-License-Identifier: MIT */
/* Who may use ports and CLI: the virtual IOPL without and with VMASST_TYPE_architectural_iopl, and the bitmap of user mode. */
#include "guest.h"

static u64 in_code, cli_code, popf_code, sp;

static void set_iopl(u32 level)
{
    struct physdev_set_iopl iopl = { level };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
}

static void assist(bool on)
{
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, on ? VMASST_CMD_enable : VMASST_CMD_disable, VMASST_TYPE_architectural_iopl), 0);
}

/* iret to the kernel itself with this IOPL in the frame. */
static void iret_with(u64 level)
{
    __asm__ volatile("mov %%rsp, %%rbx\n push $0xe02b\n push %%rbx\n push %0\n push $0xe030\n lea 1f(%%rip), %%rax\n push %%rax\n"
                     "push $0\n push $0\n push $0\n push $0\n mov $23, %%eax\n syscall\n1:" ::"r"(0x202 | level << 12)
                     : "rbx", "rax", "rcx", "r11", "memory", "cc");
}

static u64 shown_by_kernel_frame(void)
{
    CHECK(TRAPS(6, __asm__ volatile("ud2")));
    return last_trap.rflags >> 12 & 3;
}

static bool kernel_may(void)
{
    bool cli = TRAPS(13, __asm__ volatile("cli")), sti = TRAPS(13, __asm__ volatile("sti")), in = TRAPS(13, inb(0x80)),
         out = TRAPS(13, outb(0x80, 0));

    CHECK(cli == sti && sti == in && in == out);
    return !in;
}

/* Ends in the SYSCALL behind the instruction, or in its #GP. */
static bool user_may(u64 code, u64 level)
{
    u64 end = user_run(code, sp, 0x200 | level << 12);

    CHECK(end == 257 || end == 13);
    return end == 257;
}

static u64 real_iopl(void)
{
    u64 flags;

    __asm__ volatile("pushf; pop %0" : "=r"(flags));
    return flags >> 12 & 3;
}

static void without(void)
{
    assist(false);
    for (u32 level = 0; level < 4; level++) {
        set_iopl(level);
        iret_with(3 - level); /* no matter */
        CHECK_EQ(kernel_may(), level >= 1);
        CHECK_EQ(user_may(in_code, 3 - level), level == 3);
        CHECK_EQ(user_may(cli_code, 3 - level), level == 3);
        CHECK_EQ(shown_by_kernel_frame(), 0);
        CHECK_EQ(last_trap.rflags >> 12 & 3, 0);
    }
}

static void with(void)
{
    set_iopl(2);
    assist(true);
    CHECK_EQ(shown_by_kernel_frame(), 2);
    for (u32 level = 0; level < 4; level++) {
        iret_with(level);
        CHECK_EQ(shown_by_kernel_frame(), level);
        CHECK(kernel_may());
        CHECK_EQ(shown_by_kernel_frame(), level);
        CHECK_EQ(real_iopl(), 0);
        for (u32 of_user = 0; of_user < 4; of_user++) {
            CHECK_EQ(user_may(in_code, of_user), of_user == 3);
            CHECK_EQ(last_trap.rflags >> 12 & 3, of_user);
            CHECK_EQ(user_may(cli_code, of_user), of_user == 3);
            CHECK_EQ(last_trap.rflags >> 12 & 3, of_user);
            /* What the way back has left: the frame of user mode decides for the kernel as well. */
            CHECK_EQ(shown_by_kernel_frame(), of_user);
        }
    }
    /* POPF changes nothing, nor does the frame of a SYSCALL show the processor's own. */
    CHECK_EQ(user_run(popf_code, sp, 0x1200), 257);
    CHECK_EQ(last_trap.rflags >> 12 & 3, 1);
    CHECK_EQ(last_trap.r11 >> 12 & 3, 0);
    set_iopl(3);
    CHECK_EQ(shown_by_kernel_frame(), 3);
    assist(false);
    CHECK_EQ(shown_by_kernel_frame(), 0);
}

/* Ports 60h and 80h of it: a clear bit permits. It is read as the kernel sees it, whatever the mode. */
static void bitmap(void)
{
    struct physdev_set_iobitmap b = { page_new(), 0x81 };
    u64 in60 = user_text_page("\xe4\x60\x0f\x05", 4), inw = user_text_page("\x66\xe5\x80\x0f\x05", 5),
        ind = user_text_page("\xe5\x7d\x0f\x05", 4);

    set_iopl(0);
    memory_set(b.bitmap, 0xff, 17);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, &b), 0);
    CHECK(!user_may(in_code, 0));
    ((u8 *)b.bitmap)[0x80 / 8] &= ~1;
    ((u8 *)b.bitmap)[0x60 / 8] &= ~1;
    CHECK(user_may(in_code, 0));
    CHECK(user_may(in60, 0));
    CHECK(!user_may(cli_code, 0));
    CHECK(!user_may(inw, 0)); /* 81h is beyond */
    CHECK(!user_may(ind, 0));
    memory_set((u8 *)b.bitmap + 15, 0, 2);
    CHECK(user_may(ind, 0)); /* 7dh to 80h, across two bytes of it */
    b.nr_ports = 0x80;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, &b), 0);
    CHECK(!user_may(in_code, 0));
    b.nr_ports = 0x10000;
    b.bitmap = (void *)0xffff830000000000;
    HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, &b);
    CHECK(!user_may(in60, 0));
    b.nr_ports = 0;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, &b), 0);
    CHECK(!user_may(in60, 0));
}

void test_main(void)
{
    user_mode_setup();
    in_code = user_text_page("\xe4\x80\x0f\x05", 4);
    cli_code = user_text_page("\xfa\x0f\x05", 3);
    popf_code = user_text_page("\x9c\x80\x4c\x24\x01\x30\x9d\x0f\x05", 9); /* pushf; or $0x30, 1(%rsp); popf; syscall */
    sp = user_stack();
    without();
    with();
    bitmap();
}
