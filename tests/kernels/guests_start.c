/* SPDX-License-Identifier: MIT */
/* A guest beside this kernel starts as it was told and runs. States that no vCPU may have are refused, and nothing is left of the attempt. */
#include "domu.h"
#include "smp.h"

#define BAD (1UL << 63)
#define OURS 0xffff830000001000UL
#define MXCSR 24
#define XMM(n) (160 + 16 * (n))

static struct domu g;
static struct vcpu_guest_context *c = &domu_context;

static long get_context(u32 vcpu)
{
    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ vcpu, (u64)c };
    return domctl(XEN_DOMCTL_getvcpucontext, g.id);
}

static void adds_one(u64 arg)
{
    domu_box.words[0] = arg + 1;
    domu_box.words[1] = (u64)HYPERCALL2(__HYPERVISOR_xen_version, XENVER_version, 0);
    domu_box.words[2] = shared_info->wc_sec;
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_console_io, CONSOLEIO_read, 1, &domu_box), -1);
    print("a guest speaks");
}

static void starts(void)
{
    domu_new(&g, 1, adds_one, 41);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    CHECK_EQ(g.box->words[0], 42);
    CHECK_EQ(g.box->words[1] >> 16, 4);
    CHECK(shared_info->wc_sec > 1700000000);
    CHECK_EQ(g.box->words[2], shared_info->wc_sec);
    domu_destroy(&g);
}

/* One thing is wrong at a time. */
#define REFUSED(change, answer)                    \
    do {                                           \
        domu_make_context(&g);                     \
        change;                                    \
        CHECK_EQ(domu_set_context(&g, 0), answer); \
    } while (0)

static void refusals(void)
{
    domu_create(&g, 2);
    domu_load(&g, adds_one, 0);
    REFUSED(c->user_regs.rip = BAD, -22);
    REFUSED(c->event_callback_eip = BAD, -22);
    REFUSED(c->failsafe_callback_eip = BAD, -22);
    REFUSED(c->syscall_callback_eip = BAD, -22);
    REFUSED(c->fs_base = BAD, -22);
    REFUSED(c->gs_base_kernel = BAD, -22);
    REFUSED(c->gs_base_user = BAD, -22);
    REFUSED(c->trap_ctxt[255].address = BAD, -22);
    REFUSED(c->ldt_ents = 8193, -22);
    REFUSED((c->ldt_ents = 1, c->ldt_base = VIRT_BASE + 8), -22);
    REFUSED((c->ldt_ents = 8, c->ldt_base = OURS), -22);
    REFUSED(c->gdt_ents = 7169, -22);
    REFUSED((c->gdt_ents = 1, c->gdt_frames[0] = ~0UL), -22);
    REFUSED((c->gdt_ents = 513, c->gdt_frames[0] = g.mfn[0x100 + 40], c->gdt_frames[1] = va_to_mfn(&g)), -22);
    REFUSED(c->flags = VGCF_online, -22); /* user mode without its tables */
    REFUSED(c->debugreg[3] = OURS, -22);
    REFUSED(c->debugreg[6] = BAD, -22);
    REFUSED(c->debugreg[7] = 1 << 13, -22); /* GD */
    REFUSED(c->debugreg[7] = 0x20001, -22); /* I/O, which CR4.DE makes a type */
    REFUSED((c->flags |= VGCF_i387_valid, *(u32 *)&c->fpu_ctxt.x[MXCSR] = 1 << 31), -22);
    REFUSED(c->vm_assist = BAD, -22);
    REFUSED(c->ctrlreg[3] = g.mfn[0x100] << 12, -22);                           /* no table */
    REFUSED(c->ctrlreg[3] = va_to_mfn((void *)start_info->pt_base) << 12, -22); /* another domain's */
    REFUSED(c->ctrlreg[3] = 1UL << 51, -22);
    REFUSED(c->ctrlreg[1] = g.mfn[0x100] << 12, -22);
    domu_make_context(&g);
    CHECK_EQ(domu_set_context(&g, 2), -3);
    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ 0, OURS };
    CHECK_EQ(domctl(XEN_DOMCTL_setvcpucontext, g.id), -14);
    domctl_op.u.vcpucontext.ctxt = (u64)c;
    CHECK_EQ(domctl(XEN_DOMCTL_setvcpucontext, DOMID_SELF), -22);
    CHECK_EQ(get_context(0), -61);
    for (u32 n = 1;; n++) { /* every allocation is refused once */
        fail_allocation(n);
        long rc = domu_set_context(&g, 0);

        if (fail_allocation(0)) {
            CHECK_EQ(rc, 0);
            break;
        }
        CHECK_EQ(rc, -12);
    }
    /* Once more: other registers, the same tables. */
    c->user_regs.rbx = 0x1234;
    CHECK_EQ(domu_set_context(&g, 0), 0);
    REFUSED(c->ctrlreg[3] = g.mfn[g.l4_pfn - 1] << 12, -95);
    REFUSED(c->ctrlreg[1] = c->ctrlreg[3], -95);
    REFUSED((c->gdt_ents = 512, c->gdt_frames[0] = g.mfn[0x100 + 40]), -95);
    REFUSED((c->ldt_ents = 1, c->ldt_base = VIRT_BASE), -95);
    CHECK_EQ(get_context(0), 0);
    CHECK_EQ(c->user_regs.rbx, 0x1234);
    CHECK_EQ(c->ctrlreg[3], g.mfn[g.l4_pfn] << 12);
    CHECK_EQ(c->ctrlreg[1], 0);
    CHECK_EQ(c->flags, VGCF_i387_valid | VGCF_in_kernel | VGCF_online);
    CHECK_EQ(c->user_regs.cs, FLAT_CS64 | 3);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    domu_destroy(&g);
}

/* ---- what was set is there, and what is there can be read ---- */

#define PATTERN 0x0123456789abcdefUL

static void shows_registers(u64 arg)
{
    u64 xmm, other = ~PATTERN;
    u32 mxcsr;

    (void)arg;
    __asm__ volatile("movq %%xmm3, %0; stmxcsr %1; movq %2, %%xmm4" : "=&r"(xmm), "=m"(mxcsr) : "r"(other));
    domu_box.words[1] = xmm;
    domu_box.words[2] = mxcsr;
    domu_box.words[0] = 1;
    __asm__ volatile("mov %0, %%rbx; 1: incq %1; jmp 1b" ::"r"(PATTERN), "m"(domu_box.words[3]));
}

static void wait_for_word(u32 n)
{
    for (u64 end = smp_time(0) + 60000000000UL; !g.box->words[n] && smp_time(0) < end;)
        smp_sleep_until(0, smp_time(0) + 1000000);
    CHECK(g.box->words[n] != 0);
}

static void registers(void)
{
    domu_create(&g, 1);
    domu_load(&g, shows_registers, 0);
    domu_make_context(&g);
    c->flags |= VGCF_i387_valid;
    *(u32 *)&c->fpu_ctxt.x[MXCSR] = 0x1fa0;
    *(u16 *)&c->fpu_ctxt.x[0] = 0x37f;
    *(u64 *)&c->fpu_ctxt.x[XMM(3)] = PATTERN;
    c->debugreg[1] = VIRT_BASE;
    c->gs_base_user = 0x5000;
    CHECK_EQ(domu_set_context(&g, 0), 0);
    CHECK_EQ(domu_unpause(&g), 0);
    wait_for_word(0);
    CHECK_EQ(g.box->words[1], PATTERN);
    CHECK_EQ(g.box->words[2], 0x1fa0);
    CHECK_EQ(get_context(0), 0);
    /* It never leaves its loop, and is stopped all the same; and goes on from there. */
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, g.id), 0);
    u64 count = g.box->words[3];

    smp_sleep_until(0, smp_time(0) + 5000000);
    CHECK_EQ(g.box->words[3], count);
    CHECK_EQ(get_context(0), 0);
    CHECK_EQ(c->user_regs.rbx, PATTERN);
    CHECK_EQ(*(u32 *)&c->fpu_ctxt.x[MXCSR], 0x1fa0);
    CHECK_EQ(*(u64 *)&c->fpu_ctxt.x[XMM(3)], PATTERN);
    CHECK_EQ(*(u64 *)&c->fpu_ctxt.x[XMM(4)], ~PATTERN);
    CHECK_EQ(c->debugreg[1], VIRT_BASE);
    CHECK_EQ(c->gs_base_user, 0x5000);
    CHECK(c->trap_ctxt[14].address && c->event_callback_eip && c->failsafe_callback_eip);
    *(u64 *)&c->fpu_ctxt.x[XMM(4)] = 5;
    c->user_regs.rbx = 77;
    CHECK_EQ(domu_set_context(&g, 0), 0);
    CHECK_EQ(domu_unpause(&g), 0);
    for (u64 end = smp_time(0) + 60000000000UL; g.box->words[3] == count && smp_time(0) < end;)
        smp_sleep_until(0, smp_time(0) + 1000000);
    CHECK(g.box->words[3] != count);
    CHECK_EQ(get_context(0), 0);
    CHECK_EQ(c->user_regs.rbx, 77);
    CHECK_EQ(*(u64 *)&c->fpu_ctxt.x[XMM(4)], 5);
    domu_destroy(&g);
}

/* ---- a start in user mode ---- */

void user_start(void), from_user(void) __attribute__((noreturn));
__asm__("user_start: mov $0x77, %ebx; syscall; ud2");

void from_user(void)
{
    domu_box.words[0] = 1;
    HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &(struct sched_shutdown){ SHUTDOWN_suspend });
    for (;;)
        ;
}

static void user_mode_start(void)
{
    domu_create(&g, 1);
    domu_load(&g, adds_one, 0);
    domu_make_context(&g);
    c->flags = VGCF_online;
    c->ctrlreg[1] = c->ctrlreg[3];
    c->user_regs.rip = (u64)user_start;
    c->gs_base_user = 0x5000;
    c->gs_base_kernel = 0x6000;
    c->syscall_callback_eip = (u64)from_user;
    CHECK_EQ(domu_set_context(&g, 0), 0);
    CHECK_EQ(get_context(0), 0);
    CHECK_EQ(c->flags, VGCF_i387_valid | VGCF_online);
    CHECK_EQ(c->gs_base_user, 0x5000);
    CHECK_EQ(c->gs_base_kernel, 0x6000);
    CHECK_EQ(domu_run(&g), SHUTDOWN_suspend);
    CHECK_EQ(g.box->words[0], 1);
    CHECK_EQ(get_context(0), 0);
    CHECK_EQ(c->flags & VGCF_in_kernel, VGCF_in_kernel);
    CHECK_EQ(c->user_regs.rbx, 0x77);
    CHECK_EQ(c->gs_base_user, 0x5000);
    CHECK_EQ(c->gs_base_kernel, 0x6000);
    domu_destroy(&g);
}

/* ---- without a state again ---- */

static long reset_context(void)
{
    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ 0, 0 };
    return domctl(XEN_DOMCTL_setvcpucontext, g.id);
}

static void resets(void)
{
    domu_create(&g, 1);
    CHECK_EQ(reset_context(), 0); /* it has none yet */
    domu_load(&g, adds_one, 41);
    domu_make_context(&g);
    CHECK_EQ(domu_set_context(&g, 0), 0);
    CHECK_EQ(reset_context(), 0);
    CHECK_EQ(get_context(0), -61);
    domu_make_context(&g);
    c->ldt_ents = 1, c->ldt_base = VIRT_BASE; /* other tables than before */
    CHECK_EQ(domu_set_context(&g, 0), 0);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    CHECK_EQ(g.box->words[0], 42);
    domu_destroy(&g);
    /* In the middle of its work. */
    domu_new(&g, 1, shows_registers, 0);
    CHECK_EQ(domu_unpause(&g), 0);
    wait_for_word(0);
    CHECK_EQ(reset_context(), 0);
    u64 count = g.box->words[3];

    smp_sleep_until(0, smp_time(0) + 5000000);
    CHECK_EQ(g.box->words[3], count);
    CHECK_EQ(get_context(0), -61);
    domu_destroy(&g);
}

/* ---- vCPUs that shared_info has no vcpu_info for ---- */

#define HIGH 33

static void high_runs(u32 id)
{
    ((volatile u64 *)domu_box.words)[0] = id;
    smp_stop(HIGH);
}

static void starts_high(u64 arg)
{
    struct evtchn_bind_ipi ipi = { .vcpu = HIGH };
    struct vcpu_info *info = page_new();
    struct vcpu_register_vcpu_info r = { va_to_mfn(info), 0, 0 };

    (void)arg;
    smp_make_context(1, high_runs);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, HIGH, &smp_context), -22);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_up, HIGH, 0), -22);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &(struct evtchn_send){ ipi.port }), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_send_nmi, HIGH, 0), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, HIGH, &r), 0);
    CHECK(info->evtchn_upcall_pending && info->evtchn_upcall_mask); /* it will look, when it wants to */
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, HIGH, &smp_context), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_up, HIGH, 0), 0);
    while (!((volatile u64 *)domu_box.words)[0])
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static void high_vcpus(void)
{
    domu_new(&g, HIGH + 1, starts_high, 0);
    CHECK_EQ(domu_set_context(&g, HIGH), -22);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    CHECK_EQ(g.box->words[0], 1);
    domu_destroy(&g);
}

void test_main(void)
{
    static void (*const all[])(void) = { starts, refusals, registers, user_mode_start, resets, high_vcpus };
    u64 before = 0;

    for (u32 round = 0; round < 3; round++) { /* at first the small heap grows for good */
        before = free_frames();
        for (u32 i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            all[i]();
    }
    CHECK_EQ(free_frames(), before);
}
