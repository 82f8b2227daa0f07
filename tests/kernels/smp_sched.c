/* SPDX-License-Identifier: MIT */
/* Shares of two CPUs: fair among equals, bounded by a cap, kept to where affinity says, in turns of at least the rate limit; CPUs go and come back. */
#include "smp.h"
#include <public/sysctl.h>

#define WINDOW_NS 1000000000UL
#define HOGS 3

static void hog(u32 id)
{
    (void)id;
    for (;;)
        __asm__ volatile("pause");
}

static u64 begin, at_begin[HOGS + 1], ran[HOGS + 1];

static void measure_begin(void)
{
    begin = smp_time(0);
    for (u32 i = 1; i <= HOGS; i++)
        at_begin[i] = smp_running_ns(i);
}

/* Each hog's running time from the beginning to the end of window n, in thousandths. */
static void measure(u32 n)
{
    smp_sleep_until(0, begin + (n + 1) * WINDOW_NS);
    u64 length = smp_time(0) - begin;

    for (u32 i = 1; i <= HOGS; i++)
        ran[i] = (smp_running_ns(i) - at_begin[i]) * 1000 / length;
    print("0x%lx 0x%lx 0x%lx\n", ran[1], ran[2], ran[3]);
}

/*
 * On a busy machine an emulator's threads stand still for hundreds of ms, each with a vCPU that counts as running: a second of it says
 * little. What a scheduler owes it makes up for, so the shares from the beginning on come to what they should be, if they do.
 */
#define WINDOWS 20

/* What each hog should get, and how far off it may be. */
static void check_shares(u64 first, u64 second, u64 third, u64 by)
{
    const u64 want[HOGS + 1] = { 0, first, second, third };
    bool right = false;

    measure_begin();
    for (u32 n = 0; n < WINDOWS && !right; n++) {
        measure(n);
        right = true;
        for (u32 i = 1; i <= HOGS; i++)
            right &= ran[i] + by >= want[i] && ran[i] <= want[i] + by;
    }
    CHECK(right);
}

static long set_params(u32 weight, u32 cap)
{
    smp_op.u.scheduler_op =
        (struct xen_domctl_scheduler_op){ XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo, { { (uint16_t)weight, (uint16_t)cap } } };
    return smp_domctl(XEN_DOMCTL_scheduler_op);
}

static u32 cpu_flags(u32 cpu)
{
    CHECK_EQ(smp_cpu_change(XENPF_get_cpuinfo, cpu), 0);
    return smp_platform.u.pcpu_info.flags;
}

static void affinity(void)
{
    u64 map = 0;

    CHECK_EQ(smp_pin(1, 1), 0);
    CHECK_EQ(smp_pin(2, 1), 0);
    CHECK_EQ(smp_pin(3, 2), 0);
    check_shares(500, 500, 1000, 120);
    smp_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ 3, XEN_VCPUAFFINITY_HARD, { (u64)&map, 64 }, { 0, 0 } };
    CHECK_EQ(smp_domctl(XEN_DOMCTL_getvcpuaffinity), 0);
    CHECK_EQ(map, 2);
    CHECK_EQ(smp_pin(1, 0), -22);
    CHECK_EQ(smp_pin(1, 0xf0), -22); /* none of them exists */
    CHECK_EQ(smp_pin(77, 1), -22);
    for (u32 i = 1; i <= HOGS; i++)
        CHECK_EQ(smp_pin(i, 3), 0);
    CHECK_EQ(map, 2); /* what comes back is what is in effect, into its own map */
}

static void cap(void)
{
    CHECK_EQ(set_params(256, 0x7fff), -22); /* more than the vCPUs can use */
    CHECK_EQ(set_params(512, 100), 0);
    u64 sum = 0;

    /* Budget that is not used is lost, so on a machine whose threads stand still it is less, and stays less. */
    measure_begin();
    for (u32 n = 0; n < WINDOWS && !(sum > 400 && sum < 1150); n++) {
        measure(n);
        sum = ran[1] + ran[2] + ran[3];
    }
    CHECK(sum > 400 && sum < 1150);
    smp_op.u.scheduler_op = (struct xen_domctl_scheduler_op){ XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, { { 0, 0 } } };
    CHECK_EQ(smp_domctl(XEN_DOMCTL_scheduler_op), 0);
    CHECK_EQ(smp_op.u.scheduler_op.u.credit2.weight, 512);
    CHECK_EQ(smp_op.u.scheduler_op.u.credit2.cap, 100);
    CHECK_EQ(set_params(256, 0), 0);
}

static long set_ratelimit(u32 us)
{
    static struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };

    op.u.scheduler_op = (struct xen_sysctl_scheduler_op){ 0, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_putinfo, { { us } } };
    return HYPERCALL1(__HYPERVISOR_sysctl, &op);
}

/* The shortest of some sleeps that should take 1 ms, beside a vCPU that computes. */
static u64 shortest_sleep(void)
{
    u64 least = ~0UL;

    for (u32 i = 0; i < 10; i++) {
        u64 from = smp_time(0);
        smp_sleep_until(0, from + 1000000);
        u64 took = smp_time(0) - from;
        least = took < least ? took : least;
    }
    return least;
}

static void ratelimit(void)
{
    CHECK_EQ(smp_pin(0, 1), 0);
    CHECK(shortest_sleep() < 50000000);
    CHECK_EQ(set_ratelimit(100000), 0);
    CHECK(shortest_sleep() >= 100000000);
    CHECK_EQ(set_ratelimit(0), 0);
    CHECK(shortest_sleep() < 50000000);
    CHECK_EQ(smp_pin(0, 3), 0);
}

static void hotplug(void)
{
    CHECK_EQ(smp_cpu_change(XENPF_cpu_offline, 0), -22);
    CHECK_EQ(smp_cpu_change(XENPF_cpu_offline, 9), -22);
    CHECK_EQ(cpu_flags(9), XEN_PCPU_FLAGS_INVALID);
    for (u32 i = 0; i < 20; i++) {
        /* Also from a vCPU that runs on it. */
        CHECK_EQ(smp_pin(0, i & 1 ? 2 : 3), 0);
        CHECK_EQ(smp_cpu_change(XENPF_cpu_offline, 1), 0);
        CHECK_EQ(cpu_flags(1), 0);
        CHECK_EQ(smp_cpu_change(XENPF_cpu_offline, 1), 0);
        if (i == 10)
            check_shares(333, 333, 333, 120);
        CHECK_EQ(smp_cpu_change(XENPF_cpu_online, 1), 0);
        CHECK_EQ(cpu_flags(1), XEN_PCPU_FLAGS_ONLINE);
    }
    CHECK_EQ(smp_pin(0, 3), 0);
}

void test_main(void)
{
    for (u32 i = 1; i <= HOGS; i++)
        smp_start(i, hog);
    check_shares(667, 667, 667, 150);
    affinity();
    cap();
    ratelimit();
    hotplug();
    check_shares(667, 667, 667, 150);
}
