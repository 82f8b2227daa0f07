/* SPDX-License-Identifier: MIT */
/* What small hypercalls answer: error codes that kernels and toolstacks tell apart, and batches that end in iret. */
#include "guest.h"
#include <public/grant_table.h>

static void callbacks(void)
{
    static const struct {
        u16 type;
        long registered, unregistered;
    } types[] = { { CALLBACKTYPE_event, 0, -22 },
                  { CALLBACKTYPE_failsafe, 0, -22 },
                  { CALLBACKTYPE_syscall, 0, -22 },
                  { 3, -38, -38 },
                  { CALLBACKTYPE_nmi, 0, 0 },
                  { CALLBACKTYPE_sysenter, 0, -22 },
                  { 6, -38, -38 },
                  { CALLBACKTYPE_syscall32, 0, -22 },
                  { 8, -38, -38 },
                  { 0xffff, -38, -38 } };
    static char *const entries[] = { entry_event, entry_failsafe, entry_syscall };

    for (u32 i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct callback_register r = { types[i].type, 0, (u64)entries[i < 3 ? i : 2] };
        struct callback_unregister u = { types[i].type, 0 };

        CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_register, &r), types[i].registered);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_unregister, &u), types[i].unregistered);
        r.address = 0x8000000000000000;
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_register, &r), -22);
    }
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, 2, 0), -38);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_unregister, 0x1000), -14);
    /* Three in one call: the older way. The event callback is the new one, the refused ones stay. */
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_set_callbacks, entry_event, 1UL << 63, 1UL << 63), 0);
    u32 before = upcalls;

    shared_info->vcpu_info[0].evtchn_upcall_pending = 1;
    events_unmask();
    events_mask();
    CHECK_EQ(upcalls, before + 1);
}

static void others(void)
{
    static const u32 assists[] = { 0, 1, 2, 3, 4, 5, 32 };
    struct gnttab_set_version g;

    for (u32 type = 0, i = 0; type < 70; type++) {
        bool known = i < sizeof(assists) / sizeof(assists[0]) && assists[i] == type;

        i += known;
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, type), known ? 0 : -22);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_disable, type), known ? 0 : -22);
    }
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, 2, 2), -38);
    for (u32 v = 0; v < 5; v++) {
        g.version = v;
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, &g, 1), v == 1 ? 0 : v == 2 ? -38 : -22);
    }
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, &g, 0x80000000), -22);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_pagesize, 0), 4096);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_pagesize, 1), -22);

    struct physdev_set_iobitmap bitmap = { 0, 0x10001 };
    struct physdev_unmap_pirq unmap = { 77, 5 };
    struct physdev_irq irq = { 0x123456, 0 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, &bitmap), -22);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq, &unmap), -3);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_alloc_irq_vector, &irq), 0);
    CHECK_EQ(irq.vector, 0x123456);
    struct vcpu_register_vcpu_info info = { .mfn = va_to_mfn(start_info), .offset = 4090 };

    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, &info), -6);
    info.offset = 3;
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, &info), -6);
}

/* The page of stubs, by its MSR. */
static void hypercall_page(void)
{
    u8 *page = page_new();
    u64 at = va_to_mfn(page) << 12;
    u32 lo = 1, hi = 1;
    long result;

#define WRITE(v) __asm__ volatile("wrmsr" ::"c"(0x40000000), "a"((u32)(v)), "d"((u32)((v) >> 32)) : "memory")
    CHECK(TRAPS(13, WRITE(at | 1)));
    CHECK(TRAPS(13, WRITE(0x7ffffffff000UL)));
    CHECK(TRAPS(13, WRITE(va_to_mfn((void *)start_info->pt_base) << 12))); /* a page table */
    CHECK_EQ(page[0], 0);
    WRITE(at);
    __asm__ volatile("call *%1"
                     : "=a"(result)
                     : "r"(page + 32 * __HYPERVISOR_xen_version), "D"((u64)XENVER_version), "S"(0UL)
                     : "memory", "rdx", "r8", "r9", "r10");
    CHECK_EQ(result, 0x40011);
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(0x40000000));
    CHECK_EQ(lo | hi, 0);
}

/* A batch whose second of four is iret; %rsp is at the iret frame. Ends where that says. */
static struct multicall_entry batch[4];

static void batch_new(void)
{
    batch[0] = (struct multicall_entry){ __HYPERVISOR_xen_version, 0x77, { XENVER_version } };
    batch[1] = (struct multicall_entry){ __HYPERVISOR_iret, 0x77, { 0 } };
    batch[2] = batch[3] = batch[0];
}

static void check_batch(void)
{
    CHECK_EQ(batch[0].result, 0x40011);
    CHECK_EQ(batch[2].result, 0x77);
}

static void iret_to_kernel(u64 flags)
{
    u64 rax, rcx, r11;

    batch_new();
    __asm__ volatile("mov %%rsp, %%rbx\n"
                     "push $0xe02b\n push %%rbx\n push $0x246\n push $0xe030\n lea 1f(%%rip), %%rax\n push %%rax\n"
                     "push %[flags]\n push $0x1111\n push $0x2222\n push $0x3333\n"
                     "mov %[nr], %%eax\n mov $4, %%esi\n syscall\n ud2\n1:"
                     : "=a"(rax), "=c"(rcx), "=&r"(r11)
                     : [nr] "i"(__HYPERVISOR_multicall), "D"(batch), [flags] "r"(flags)
                     : "rbx", "rsi", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    CHECK_EQ(rax, 0x3333);
    if (!flags)
        CHECK_EQ(rcx, 0x1111);
    check_batch();
}

/* To 32-bit user mode as well: not by an exit that serves 64-bit code alone. */
static void iret_to_user(u64 rip, u16 cs, u64 flags)
{
    static struct iret_context f;

    batch_new();
    f = (struct iret_context){ .rax = 0x5a5a, .rip = rip, .cs = cs, .rflags = 0x202, .rsp = user_stack(), .ss = 0xe02b, .flags = flags };
    user_enter_call[0] = __HYPERVISOR_multicall;
    user_enter_call[1] = (u64)batch;
    user_enter_call[2] = 4;
    CHECK_EQ(user_run_frame(&f), 0x80);
    user_enter_call[0] = __HYPERVISOR_iret;
    CHECK_EQ(last_trap.cs & 0xffff, cs);
    CHECK_EQ(last_trap.rip, rip + 2);
    CHECK_EQ(last_trap.rax, 0x5a5a);
    check_batch();
}

void test_main(void)
{
    u64 int80;

    user_mode_setup();
    int80 = user_text_page("\xcd\x80", 2);
    map_at(0x10000, (void *)int80);
    iret_to_kernel(0);
    iret_to_kernel(0x100); /* VGCF_in_syscall */
    for (u64 flags = 0; flags <= 0x100; flags += 0x100) {
        iret_to_user(int80, 0xe033, flags);
        iret_to_user(0x10000, 0xe023, flags);
    }
    others();
    hypercall_page();
    callbacks();
}
