/* SPDX-License-Identifier: MIT */
/*
 * How guests end: by their word, by a crash, by a watchdog, by dom0's word, without a vCPU left; and at any moment, paused, looked at or
 * destroyed, with vCPUs on several CPUs that do everything at once. Only the guest ends, and nothing is left of it.
 */
#include "domu.h"
#include "smp.h"

#define VCPUS 4

static struct domu g;

static long shutdown(u32 reason) { return HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &(struct sched_shutdown){ reason }); }

/* ---- reasons ---- */

static void says(u64 reason) { shutdown((u32)reason); }

static void latches(u64 reason)
{
    HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown_code, &(struct sched_shutdown){ (u32)reason });
    shutdown(SHUTDOWN_poweroff);
}

static void watched(u64 arg)
{
    struct sched_watchdog w = { 0, 1 };

    (void)arg;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_watchdog, &w), 1);
    for (;;)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static void spins(u64 arg)
{
    (void)arg;
    ((volatile u64 *)domu_box.words)[0] = 1;
    for (;;)
        ;
}

static void goes_down(u32 id) { smp_stop(id); }

static void all_off(u64 arg)
{
    (void)arg;
    for (u32 id = 1; id < VCPUS; id++)
        smp_start(id, goes_down);
    smp_stop(0);
}

static void ends(void (*main)(u64 arg), u64 arg, u32 reason)
{
    domu_new(&g, VCPUS, main, arg);
    CHECK_EQ(domu_run(&g), reason);
    CHECK_EQ(domain_info(g.id) & (XEN_DOMINF_shutdown | XEN_DOMINF_dying), XEN_DOMINF_shutdown);
    domu_destroy(&g);
}

static void wait_for_word(u32 n)
{
    for (u64 end = smp_time(0) + 60000000000UL; !g.box->words[n] && smp_time(0) < end;)
        smp_sleep_until(0, smp_time(0) + 1000000);
    CHECK(g.box->words[n] != 0);
}

static long shut_down(u32 reason)
{
    struct sched_remote_shutdown r = { g.id, reason };

    return HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &r);
}

static void by_dom0(void)
{
    domu_new(&g, 1, spins, 0);
    CHECK_EQ(domu_unpause(&g), 0);
    wait_for_word(0);
    CHECK_EQ(shut_down(SHUTDOWN_crash), 0);
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_crash);
    domu_destroy(&g);
}

/* ---- crashes: what the console says is looked at by the test that runs this kernel ---- */

static void no_handlers(void) { CHECK_EQ(HYPERCALL1(__HYPERVISOR_set_trap_table, 0), 0); }

static void faults(u64 arg)
{
    (void)arg;
    no_handlers();
    *(volatile u64 *)0x1234500000 = 1;
}

static void faults_too(u32 id)
{
    (void)id;
    smp_atomic_add(&domu_box.words[0], 1);
    while (((volatile u64 *)domu_box.words)[0] < VCPUS)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    *(volatile u64 *)0x1234500000 = 1;
    for (;;)
        ;
}

static void all_fault(u64 arg)
{
    (void)arg;
    no_handlers();
    for (u32 id = 1; id < VCPUS; id++)
        smp_start(id, faults_too);
    faults_too(0);
}

/* ---- at any moment ---- */

static u64 seed = 88172645463325252UL;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static u8 *tables[VCPUS + 1];
static volatile bool go;

static void work_tables(u32 id)
{
    mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(tables[id]), 0);
    mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(tables[id]), 0);
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
}

static void work_events(u32 id)
{
    struct evtchn_bind_ipi b = { .vcpu = id };

    if (HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &b))
        return;
    HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &(struct evtchn_send){ b.port });
    HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_close, &(struct evtchn_close){ b.port });
}

static void work_timers(u32 id)
{
    struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = smp_time(id) + 50000 };

    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, id, &t);
    HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &(struct sched_poll){ .timeout = t.timeout_abs_ns });
}

static void work_vcpus(u32 id)
{
    (void)id;
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, VCPUS, &smp_context); /* one of them is the first */
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_up, VCPUS, 0);
    HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_down, VCPUS, 0);
}

static void works(u32 id)
{
    static void (*const all[])(u32 id) = { work_tables, work_events, work_timers, work_vcpus };

    while (!go)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    for (u64 n = id;; n++) {
        all[n % 4](id);
        smp_atomic_add(&domu_box.words[id], 1);
    }
}

static void works_at_all(u64 arg)
{
    (void)arg;
    for (u32 id = 0; id <= VCPUS; id++) {
        tables[id] = page_new();
        make_ro(tables[id]);
    }
    for (u32 id = 1; id < VCPUS; id++)
        smp_start(id, works);
    smp_make_context(VCPUS, works);
    go = true;
    works(0);
}

/* Nothing but user mode: it makes no call and takes no event. */
static void in_user_mode(u64 arg)
{
    static const u8 code[] = { 0xf0, 0x48, 0xff, 0x07, 0xeb, 0xfa }; /* LOCK INC [RDI], again */
    static struct iret_context f;

    (void)arg;
    user_mode_setup();
    f = (struct iret_context){
        .rip = user_text_page(code, sizeof(code)), .cs = FLAT_CS64 | 3, .rflags = 2, .rsp = user_stack(), .ss = FLAT_SS | 3
    };
    __asm__ volatile("mov %0, %%rsp; mov %1, %%rdi; mov $23, %%eax; syscall" ::"r"(&f), "r"(&domu_box.words[0]) : "memory");
}

static void looked_at(bool paused)
{
    u32 vcpu = (u32)(rnd() % g.vcpus);

    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ vcpu, (u64)&domu_context };
    long rc = domctl(XEN_DOMCTL_getvcpucontext, g.id);

    CHECK(!rc || rc == -61);
    if (!rc && paused && rnd() % 2)
        CHECK_EQ(domu_set_context(&g, vcpu), 0); /* as it is */
}

/* What toolstacks do to one that they save or that is to go on, at a moment when none of them would. */
static void taken_over(void)
{
    static u64 state[1024];
    struct xen_domctl_vcpuextstate x = { (u32)(rnd() % g.vcpus), 0, 0, 0 };

    domctl_op.u.vcpuextstate = x;
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuextstate, g.id), 0);
    if (domctl_op.u.vcpuextstate.xfeature_mask) {
        domctl_op.u.vcpuextstate.vcpu = x.vcpu;
        domctl_op.u.vcpuextstate.buffer = (u64)state;
        CHECK(domctl_op.u.vcpuextstate.size <= sizeof(state));
        CHECK_EQ(domctl(XEN_DOMCTL_getvcpuextstate, g.id), 0);
        CHECK_EQ(domctl(XEN_DOMCTL_setvcpuextstate, g.id), 0); /* as it is */
    }
    if (rnd() % 4 == 0) {
        domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ x.vcpu, 0 };
        CHECK_EQ(domctl(XEN_DOMCTL_setvcpucontext, g.id), 0); /* down, and without tables */
    }
}

static void at_any_moment(void (*main)(u64 arg), u32 vcpus)
{
    domu_new(&g, vcpus, main, 0);
    CHECK_EQ(domu_unpause(&g), 0);
    if (rnd() % 8)
        wait_for_word(0);
    for (u32 n = rnd() % 4; n; n--) {
        smp_sleep_until(0, smp_time(0) + rnd() % 1000000);
        if (rnd() % 2)
            looked_at(false);
        CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, g.id), 0);
        u64 sum = g.box->words[0] + g.box->words[1] + g.box->words[2] + g.box->words[3];

        smp_sleep_until(0, smp_time(0) + rnd() % 500000);
        looked_at(true);
        if (rnd() % 2)
            taken_over();
        CHECK_EQ(g.box->words[0] + g.box->words[1] + g.box->words[2] + g.box->words[3], sum);
        if (rnd() % 4)
            CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, g.id), 0);
    }
    if (rnd() % 4 == 0)
        CHECK_EQ(shut_down(SHUTDOWN_poweroff), 0);
    domu_destroy(&g);
    CHECK(!domain_exists(g.id));
}

void test_main(void)
{
    u64 before = 0;

    for (u32 round = 0; round < 3; round++) { /* at first the small heap grows for good */
        before = free_frames();
        for (u32 reason = 0; reason <= SHUTDOWN_soft_reset + 1; reason++)
            ends(says, reason, reason);
        ends(latches, SHUTDOWN_reboot, SHUTDOWN_reboot);
        ends(all_off, 0, SHUTDOWN_poweroff);
        ends(faults, 0, SHUTDOWN_crash);
        ends(all_fault, 0, SHUTDOWN_crash);
        by_dom0();
    }
    ends(watched, 0, SHUTDOWN_watchdog);
    for (u32 round = 0; round < 24; round++) {
        at_any_moment(works_at_all, VCPUS + 1);
        at_any_moment(in_user_mode, 1);
    }
    CHECK_EQ(free_frames(), before);
}
