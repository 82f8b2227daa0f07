/* SPDX-License-Identifier: MIT */
/* What scheduler and vCPU operations answer that kernels call now and then: watchdogs, pinning, CPU numbers, the time area, latched shutdown codes. */
#include "smp.h"

static long sched_op(u32 cmd, const void *arg) { return HYPERCALL2(__HYPERVISOR_sched_op, cmd, arg); }
static long vcpu_op(u32 cmd, u32 vcpu, const void *arg) { return HYPERCALL3(__HYPERVISOR_vcpu_op, cmd, vcpu, arg); }

static long watchdog(u32 id, u32 seconds)
{
    struct sched_watchdog w = { id, seconds };

    return sched_op(SCHEDOP_watchdog, &w);
}

static void watchdogs(void)
{
    CHECK_EQ(sched_op(SCHEDOP_watchdog, (void *)0x1000), -14);
    CHECK_EQ(watchdog(1, 5), -22); /* not in use */
    CHECK_EQ(watchdog(3, 5), -22);
    CHECK_EQ(watchdog(~0u, 5), -22);
    CHECK_EQ(watchdog(0, 1), 1);
    CHECK_EQ(watchdog(0, ~0u), 2);
    CHECK_EQ(watchdog(0, 1000), -28);
    CHECK_EQ(watchdog(1, 1000), 0);
    CHECK_EQ(watchdog(1, 1), 0);
    CHECK_EQ(watchdog(1, 0), 0);
    CHECK_EQ(watchdog(1, 0), -22);
    CHECK_EQ(watchdog(0, 1), 1);
    CHECK_EQ(watchdog(1, 0), 0);
    CHECK_EQ(watchdog(2, 0), 0);
    smp_sleep_until(0, smp_time(0) + 1500000000UL); /* none fires that was stopped */
}

static u64 affinity(void)
{
    u64 map = 0;

    smp_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ 0, XEN_VCPUAFFINITY_HARD, { (u64)&map, 64 }, { 0, 0 } };
    CHECK_EQ(smp_domctl(XEN_DOMCTL_getvcpuaffinity), 0);
    return map;
}

static long pin(int cpu)
{
    struct sched_pin_override p = { cpu };

    return sched_op(SCHEDOP_pin_override, &p);
}

/* The APIC id of the CPU that this runs on, from the processor itself. */
static u32 running_on(void)
{
    u32 a = 1, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)); /* not the emulated one */
    return b >> 24;
}

static long set_affinity(u32 flags, u64 hard)
{
    smp_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ 0, flags, { (u64)&hard, 64 }, { 0, 0 } };
    return smp_domctl(XEN_DOMCTL_setvcpuaffinity);
}

static void pinning(void)
{
    struct vcpu_get_physid id;

    CHECK_EQ(sched_op(SCHEDOP_pin_override, (void *)0x1000), -14);
    CHECK_EQ(vcpu_op(VCPUOP_get_physid, 0, &id), -22); /* it may run anywhere */
    CHECK_EQ(pin(-1), -22);
    CHECK_EQ(pin(2), -22);
    CHECK_EQ(pin(64), -22);
    CHECK_EQ(pin(0x7fffffff), -22);
    for (int cpu = 1; cpu >= 0; cpu--) {
        u64 before = affinity();

        CHECK_EQ(pin(cpu), 0);
        CHECK_EQ(running_on(), (u32)cpu);
        CHECK_EQ(affinity(), 1UL << cpu);
        CHECK_EQ(pin(cpu), -16);
        CHECK_EQ(pin(1 - cpu), -16);
        CHECK_EQ(pin(5), -22);
        CHECK_EQ(pin(64), -22);
        CHECK_EQ(smp_pin(0, 3), -16);
        CHECK_EQ(vcpu_op(VCPUOP_get_physid, 0, &id), 0);
        CHECK_EQ((u32)id.phys_id, cpu);
        CHECK_EQ(id.phys_id >> 32, cpu);
        CHECK_EQ(pin(-20), 0);
        CHECK_EQ(affinity(), before);
    }
    /* xl vcpu-pin -f */
    CHECK_EQ(pin(0), 0);
    CHECK_EQ(set_affinity(XEN_VCPUAFFINITY_FORCE | XEN_VCPUAFFINITY_HARD, 2), 0);
    CHECK_EQ(running_on(), 1);
    CHECK_EQ(affinity(), 2);
    CHECK_EQ(pin(0), 0);
    CHECK_EQ(set_affinity(XEN_VCPUAFFINITY_FORCE, 0), 0);
    CHECK_EQ(affinity(), 2);
    CHECK_EQ(set_affinity(XEN_VCPUAFFINITY_FORCE | XEN_VCPUAFFINITY_HARD, 3), 0); /* nor need there be one */
    CHECK_EQ(affinity(), 3);
    CHECK_EQ(set_affinity(8 | XEN_VCPUAFFINITY_HARD, 3), -22);
    CHECK_EQ(smp_pin(0, 2), 0);
    CHECK_EQ(vcpu_op(VCPUOP_get_physid, 0, &id), 0);
    CHECK_EQ((u32)id.phys_id, 1);
    CHECK_EQ(vcpu_op(VCPUOP_get_physid, 0, (void *)0x1000), -14);
    CHECK_EQ(smp_pin(0, 3), 0);
}

/* Runs and blocks in turns. */
static void nap(u32 id)
{
    for (;;) {
        struct sched_poll p = { .timeout = smp_time(id) + 20000 };

        sched_op(SCHEDOP_poll, &p);
    }
}

/* What is told of a vCPU that changes its state is of one moment: its times add up. */
static void runstates(void)
{
    u64 before = 0, wrong = 0;

    CHECK_EQ(smp_pin(0, 1), 0);
    CHECK_EQ(smp_pin(1, 2), 0);
    for (u32 i = 0; i < 400000; i++) {
        struct vcpu_runstate_info r;

        vcpu_op(VCPUOP_get_runstate_info, 1, &r);
        u64 start = r.state_entry_time - r.time[0] - r.time[1] - r.time[2] - r.time[3];

        wrong += before && start != before;
        before = start;
    }
    CHECK_EQ(wrong, 0);
}

static void time_area(void)
{
    static struct vcpu_time_info areas[2];
    struct vcpu_register_time_memory_area a = { .addr.h = &areas[0] }, wrong = { .addr.p = 0xffff800000000000 };

    CHECK_EQ(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, (void *)0x1000), -14);
    CHECK_EQ(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &wrong), -14);
    CHECK_EQ(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &a), 0);
    for (u32 id = 0; id < 2; id++) {
        volatile struct vcpu_time_info *t = &areas[id], *own = &shared_info->vcpu_info[id].time;

        for (u64 end = smp_time(0) + 10000000000UL; (!t->version || (t->version & 1)) && smp_time(0) < end;)
            sched_op(SCHEDOP_yield, 0);
        CHECK(t->version && !(t->version & 1));
        CHECK_EQ(t->tsc_timestamp, own->tsc_timestamp);
        CHECK_EQ(t->tsc_to_system_mul, own->tsc_to_system_mul);
        CHECK_EQ(t->tsc_shift, own->tsc_shift);
        /* Of one that does not run: once it does. */
        a.addr.h = &areas[1];
        CHECK_EQ(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 1, &a), 0);
        if (!id)
            smp_start(1, nap);
    }
    a.addr.p = 0; /* none any more */
    CHECK_EQ(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &a), 0);
}

static void ports(void)
{
    static const u32 none[] = { 0, 77, 5000, ~0u };
    struct evtchn_bind_ipi ipi = { 0, 0 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
    for (u32 i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        u32 list[2] = { ipi.port, none[i] };
        struct sched_poll p = { list, 2, smp_time(0) + 1000 };

        CHECK_EQ(sched_op(SCHEDOP_poll, &p), -22);
        p.ports = list + 1;
        p.nr_ports = 1;
        CHECK_EQ(sched_op(SCHEDOP_poll, &p), -22);
        /* Behind one that is pending nobody looks. */
        struct evtchn_send send = { ipi.port };

        CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &send), 0);
        p.ports = list;
        p.nr_ports = 2;
        CHECK_EQ(sched_op(SCHEDOP_poll, &p), 0);
        __atomic_fetch_and(&shared_info->evtchn_pending[0], ~(1UL << ipi.port), __ATOMIC_SEQ_CST);
    }
}

void test_main(void)
{
    struct sched_remote_shutdown r = { 77, SHUTDOWN_crash };
    struct sched_shutdown s = { SHUTDOWN_poweroff };

    ports();
    CHECK_EQ(sched_op(SCHEDOP_remote_shutdown, &r), -3);
    r.domain_id = DOMID_SELF;
    CHECK_EQ(sched_op(SCHEDOP_remote_shutdown, &r), -3);
    CHECK_EQ(sched_op(SCHEDOP_remote_shutdown, (void *)0x1000), -14);
    CHECK_EQ(sched_op(SCHEDOP_pin_override + 1, &s), -38);
    CHECK_EQ(sched_op(~0u, &s), -38);
    watchdogs();
    pinning();
    time_area();
    runstates();
    CHECK_EQ(sched_op(SCHEDOP_shutdown_code, (void *)0x1000), -14);
    CHECK_EQ(sched_op(SCHEDOP_shutdown_code, &s), 0);
    s.reason = SHUTDOWN_watchdog;
    CHECK_EQ(sched_op(SCHEDOP_shutdown_code, &s), 0); /* the first one counts, also before the reason given at the end */
}
