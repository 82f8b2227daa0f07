/* SPDX-License-Identifier: MIT */
/*
 * Every vector from a guest's kernel and user mode, for the trap matrix. Needs a hypervisor built
 * with TRAP_TEST=1: what no instruction raises is a #BP that the hypervisor takes for it.
 * Prints "cell MODE VECTOR N", N: how often the guest's handler was called.
 */
#include "guest.h"

#define TRAP_TEST_HYPERCALL 55

static u64 not_present; /* selector of a data segment that is not present */
static volatile u32 flag_page[1024] __attribute__((aligned(4096)));

static void prepare(u32 v) { HYPERCALL1(TRAP_TEST_HYPERCALL, v); }

static bool by_redirect(u32 v) { return v == 5 || v == 8 || v == 9 || v == 10 || v == 15 || v == 17 || v >= 19; }

/* ---- kernel mode ---- */

static void divide(void) { __asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx" ::: "rax", "rcx", "rdx"); }
static void float_divide(void)
{
    u16 cw = 0x37f & ~4;

    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"(cw));
}

static void stop_stepping(struct frame *f) { f->rflags &= ~0x100UL; }

static u32 kernel_mode(u32 v)
{
    u32 before = trap_count[v];

    expect_trap(v);
    if (by_redirect(v)) {
        prepare(v);
        __asm__ volatile("int3");
        return trap_count[v] - before;
    }
    switch (v) {
    case 0: (void)TRAPS(0, divide()); break;
    case 1:
        trap_handlers[1] = stop_stepping;
        __asm__ volatile("pushf; orq $0x100, (%%rsp); popf; nop" ::: "cc", "memory");
        trap_handlers[1] = 0;
        break;
    case 2: __asm__ volatile("int $2"); break;
    case 3: __asm__ volatile("int3"); break;
    case 4: __asm__ volatile("int $4"); break;
    case 6: (void)TRAPS(6, __asm__ volatile("ud2")); break;
    case 7:
        HYPERCALL1(__HYPERVISOR_fpu_taskswitch, 1);
        __asm__ volatile("fninit");
        break;
    case 11: (void)TRAPS(11, __asm__ volatile("mov %0, %%ds" ::"r"(not_present))); break;
    case 12: (void)TRAPS(12, __asm__ volatile("mov %0, %%ss" ::"r"(not_present | 3))); break;
    case 13: (void)TRAPS(13, __asm__ volatile("hlt")); break;
    case 14: (void)TRAPS(14, *(volatile u64 *)0x1230 = 1); break;
    case 16:
        (void)TRAPS(16, float_divide());
        __asm__ volatile("fninit");
        break;
    case 18:
        prepare(18);
        __asm__ volatile("int $18");
        break;
    }
    return trap_count[v] - before;
}

/* ---- user mode ---- */

static u64 user_code(u32 v)
{
    static const struct {
        u8 vector, length, bytes[16];
    } code[] = {
        { 0, 4, { 0x31, 0xc9, 0xf7, 0xf1 } },
        { 1, 1, { 0x90 } },
        { 2, 2, { 0xcd, 2 } },
        { 3, 1, { 0xcc } },
        { 4, 2, { 0xcd, 4 } },
        { 6, 2, { 0x0f, 0x0b } },
        { 7, 2, { 0xdb, 0xe3 } },
        { 11, 2, { 0x8e, 0xd8 } },
        { 12, 2, { 0x8e, 0xd0 } },
        { 13, 1, { 0xf4 } },
        { 14, 8, { 0x48, 0x8b, 0x04, 0x25, 0x30, 0x12, 0, 0 } }, /* mov 0x1230, %rax */
        /* fninit; push $0x33b; fldcw (%rsp); fld1; fldz; divide; fwait */
        { 16, 16, { 0xdb, 0xe3, 0x68, 0x3b, 3, 0, 0, 0xd9, 0x2c, 0x24, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9 } },
        { 18, 2, { 0xcd, 18 } },
    };
    u8 text[32] = { 0xcc, 0x0f, 0x05 };

    for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++)
        if (code[i].vector == v) {
            memory_copy(text, code[i].bytes, code[i].length);
            text[code[i].length] = v == 16 ? 0x9b : 0x90;
            text[code[i].length + 1] = 0x0f;
            text[code[i].length + 2] = 0x05;
        }
    return user_text_page(text, sizeof(text));
}

static u32 user_mode(u32 v)
{
    static u64 stack;
    u64 code = user_code(v);
    struct iret_context f = { .rip = code, .cs = FLAT_CS64 | 3, .rflags = 2, .ss = FLAT_SS | 3 };

    if (!stack)
        stack = user_stack();
    f.rsp = stack;
    if (v == 1)
        f.rflags |= 0x100; /* single step */
    if (v == 11 || v == 12)
        f.rax = not_present | 3;
    if (by_redirect(v) || v == 18)
        prepare(v);
    if (v == 7)
        HYPERCALL1(__HYPERVISOR_fpu_taskswitch, 1);
    u64 ended = user_run_frame(&f);

    HYPERCALL1(__HYPERVISOR_fpu_taskswitch, 0);
    __asm__ volatile("fninit");
    return ended == v;
}

/* ---- interrupts: the hypervisor's timer, while the guest computes ---- */

static void on_event(void)
{
    memory_set(shared_info->evtchn_pending, 0, sizeof(shared_info->evtchn_pending));
    shared_info->vcpu_info[0].evtchn_pending_sel = 0;
    flag_page[0] = 1;
}

static void set_timer(void)
{
    struct vcpu_set_singleshot_timer t = { shared_info->vcpu_info[0].time.system_time + 1, 0 };

    /* Far enough that the hypercall is over when it fires. */
    t.timeout_abs_ns += 20000000;
    flag_page[0] = 0;
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, &t);
}

static void interrupts(void)
{
    static const u8 spin[] = { 0x83, 0x38, 0x00, 0x74, 0xfb, 0x0f, 0x05 }; /* 1: cmpl $0, (%rax); je 1b; syscall */
    struct evtchn_bind_virq b = { VIRQ_TIMER, 0, 0 };
    struct iret_context f = { .cs = FLAT_CS64 | 3, .rflags = 0x202, .ss = FLAT_SS | 3 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &b), 0);
    event_handler = on_event;
    events_unmask();
    set_timer();
    while (!flag_page[0])
        ;
    print("cell guest_kernel IRQ 1\n");
    f.rip = user_text_page(spin, sizeof(spin));
    f.rsp = user_stack();
    set_timer();
    f.rax = (u64)flag_page;
    CHECK_EQ(user_run_frame(&f), 257);
    print("cell guest_user IRQ 1\n");
    events_mask();
}

static void make_not_present_selector(void)
{
    u64 *gdt = page_new();
    u64 frame;

    gdt[1] = 0x00cf72000000ffffUL; /* data, DPL 3, not present */
    CHECK_EQ(make_ro(gdt), 0);
    frame = va_to_mfn(gdt);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_gdt, &frame, 512), 0);
    not_present = 8;
}

void test_main(void)
{
    make_not_present_selector();
    user_mode_setup();
    for (u32 v = 0; v < 32; v++) {
        u32 n = kernel_mode(v);

        print("cell guest_kernel %x %x\n", v, n);
        n = user_mode(v);
        print("cell guest_user %x %x\n", v, n);
    }
    interrupts();
}
