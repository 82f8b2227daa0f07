/* SPDX-License-Identifier: MIT */
/* A selector whose descriptor goes while another vCPU runs: the failsafe callback, with what it was. Two vCPUs on one CPU. */
#include "smp.h"

static volatile u64 turns;
static volatile bool remove_it;
static u64 *gdt;

static void other(u32 id)
{
    (void)id;
    for (;;) {
        turns++;
        if (remove_it)
            HYPERCALL2(__HYPERVISOR_update_descriptor, va_to_mfn(gdt) << 12 | 0x58, 0);
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
}

static void let_other_run(void)
{
    for (u64 end = turns + 5; turns < end;)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static void descriptor_set(u64 d) { CHECK_EQ(HYPERCALL2(__HYPERVISOR_update_descriptor, va_to_mfn(gdt) << 12 | 0x58, d), 0); }

/* The callback: notes its frame and goes on where it was. */
u64 frame[11], calls;
__asm__("on_failsafe: incq calls(%rip)\n push %rsi\n push %rdi\n push %rcx\n lea 24(%rsp), %rsi\n lea frame(%rip), %rdi\n mov $11, %ecx\n"
        "rep movsq\n pop %rcx\n pop %rdi\n pop %rsi\n pop %rcx\n pop %r11\n add $32, %rsp\n"
        "push $0\n push %rcx\n push %r11\n push %rax\n mov $23, %eax\n syscall");
extern const char on_failsafe[];

/* The same where the table that a selector points to is gone. */
static void a_whole_ldt(void)
{
    u64 *ldt = page_new();
    u16 fs = 1;

    ldt[1] = 0x00cff3000000ffff;
    make_ro(ldt);
    CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)ldt, 2), 0);
    __asm__ volatile("mov %0, %%fs" ::"r"(0xf));
    let_other_run();
    CHECK_EQ(calls, 1); /* it is there: its page is mapped when it is needed */
    CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
    let_other_run();
    CHECK_EQ(calls, 2);
    CHECK_EQ(frame[4], 0xf);
    __asm__ volatile("mov %%fs, %0" : "=r"(fs));
    CHECK_EQ(fs, 0);
}

/* A GS that is set by the same batch of calls in which another selector is lost, and lost to nobody after that. */
static void set_meanwhile(void)
{
    static struct multicall_entry batch[48]; /* others have a turn after each 16 */
    u16 fs = 1, gs = 1;

    for (u32 i = 0; i < 48; i++)
        batch[i] = (struct multicall_entry){ .op = __HYPERVISOR_sched_op, .args = { SCHEDOP_yield } };
    batch[20] = (struct multicall_entry){ .op = __HYPERVISOR_set_segment_base, .args = { SEGBASE_GS_USER_SEL, 0x63 } };
    descriptor_set(0x00cff3000000ffff);
    __asm__ volatile("mov %0, %%fs" ::"r"(0x5b));
    remove_it = true;
    u64 before = calls;

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, batch, 48), 0);
    CHECK_EQ(calls, before + 1);
    CHECK_EQ(frame[4], 0x5b);
    CHECK_EQ(frame[5], 0x63);
    __asm__ volatile("mov %%fs, %0; mov %%gs, %1" : "=r"(fs), "=r"(gs));
    CHECK_EQ(fs, 0);
    CHECK_EQ(gs, 0x63);
    remove_it = false;
}

void test_main(void)
{
    struct callback_register r = { CALLBACKTYPE_failsafe, 0, (u64)on_failsafe };
    u16 ds = 1;

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_register, &r), 0);
    gdt = page_new();
    u64 mfn = va_to_mfn(gdt);

    gdt[0x58 / 8] = gdt[0x60 / 8] = 0x00cff3000000ffff;
    make_ro(gdt);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_gdt, &mfn, 512), 0);
    __asm__ volatile("mov %0, %%ds; mov %0, %%fs" ::"r"(0x5b));
    descriptor_set(0);
    smp_start(1, other);
    let_other_run();
    CHECK_EQ(calls, 1); /* null ones load every time */
    CHECK_EQ(frame[2], 0x5b);
    CHECK_EQ(frame[4], 0x5b);
    CHECK_EQ(frame[7] & 0xffff, KERNEL_CS_IN_FRAME);
    __asm__ volatile("mov %%ds, %0" : "=r"(ds));
    CHECK_EQ(ds, 0);
    set_meanwhile();
    __asm__ volatile("mov %0, %%fs; mov %0, %%gs" ::"r"(0));
    calls = 1;
    a_whole_ldt();
}
