/* SPDX-License-Identifier: MIT */
/* Every CPU of the machine, be they more than a word has bits, by its number: in affinities, pins, flushes, offline and back. */
#include "smp.h"

#define MAP_WORDS 4
static u64 map[MAP_WORDS];

static long affinity(u32 op)
{
    smp_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ 0, XEN_VCPUAFFINITY_HARD, { (u64)map, 64 * MAP_WORDS }, { 0, 0 } };
    return smp_domctl(op);
}

/* The map has this CPU alone. */
static void map_name(u32 cpu)
{
    for (u32 i = 0; i < MAP_WORDS; i++)
        map[i] = i == cpu / 64 ? 1UL << cpu % 64 : 0;
}

static bool map_names(u32 cpu)
{
    for (u32 i = 0; i < MAP_WORDS; i++)
        if (map[i] != (i == cpu / 64 ? 1UL << cpu % 64 : 0))
            return false;
    return true;
}

/* The APIC id of the CPU that this runs on, from the processor itself. */
static u32 running_on(void)
{
    u32 a = 1, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)); /* not the emulated one */
    return b >> 24;
}

static void run_on(u32 cpu)
{
    struct mmuext_op flush = { .cmd = MMUEXT_TLB_FLUSH_ALL };
    struct vcpu_get_physid id;

    map_name(cpu);
    CHECK_EQ(affinity(XEN_DOMCTL_setvcpuaffinity), 0);
    CHECK(map_names(cpu));
    map_name(cpu + 1);
    CHECK_EQ(affinity(XEN_DOMCTL_getvcpuaffinity), 0);
    CHECK(map_names(cpu));
    CHECK_EQ(smp_cpu_change(XENPF_get_cpuinfo, cpu), 0);
    CHECK_EQ(running_on(), smp_platform.u.pcpu_info.apic_id);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_get_physid, 0, &id), 0);
    CHECK_EQ((u32)id.phys_id, running_on());
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmuext_op, &flush, 1, NULL, DOMID_SELF), 0);
}

/* Bits for which there can be no CPU are 0, whatever the map had there before; what lies behind it stays. */
static void longer_than_any(void)
{
    static const u32 lengths[] = { 0, 1, 7, 8, 63, 64, 65, 100, 1000, 4095, 4096 };
    static u8 bytes[1024];

    for (u32 i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        u32 size = (lengths[i] + 7) / 8;

        memory_set(bytes, 0xa5, sizeof(bytes));
        smp_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ 0, XEN_VCPUAFFINITY_HARD, { (u64)bytes, lengths[i] }, { 0, 0 } };
        CHECK_EQ(smp_domctl(XEN_DOMCTL_getvcpuaffinity), 0);
        for (u32 at = 0; at < sizeof(bytes); at++)
            CHECK_EQ(bytes[at], at >= size ? 0xa5 : at ? 0 : 1);
    }
}

static long pin(int cpu)
{
    struct sched_pin_override p = { cpu };

    return HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_pin_override, &p);
}

void test_main(void)
{
    CHECK_EQ(smp_cpu_change(XENPF_get_cpuinfo, 0), 0);
    u32 last = smp_platform.u.pcpu_info.max_present;

    for (u32 cpu = 0; cpu <= last; cpu++)
        run_on(cpu);
    run_on(0);
    longer_than_any();
    CHECK_EQ(pin(0), 0);
    CHECK_EQ(running_on(), 0);
    CHECK_EQ(pin((int)last), -16);
    CHECK_EQ(pin(-1), 0);
    CHECK_EQ(pin((int)last + 1), -22);
    map_name(last + 1);
    CHECK_EQ(affinity(XEN_DOMCTL_setvcpuaffinity), -22);

    /* The CPU that it is on goes: it runs elsewhere, and no longer there. */
    CHECK_EQ(smp_cpu_change(XENPF_cpu_offline, last), 0);
    CHECK(running_on() != last);
    map_name(last);
    CHECK_EQ(affinity(XEN_DOMCTL_setvcpuaffinity), -22);
    CHECK_EQ(smp_cpu_change(XENPF_cpu_online, last), 0);
    run_on(last);
    print("%lu CPUs\n", (u64)last + 1);
}
