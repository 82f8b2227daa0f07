/* SPDX-License-Identifier: MIT */
/*
 * Domains are created, fail to be, and end, and nothing is left of them. Of a test build, which refuses one allocation at a time and
 * tells how many frames are free.
 */
#include "domains.h"

#include <public/grant_table.h>

#define VCPUS 4
#define FRAMES 64
#define MANY_FRAMES 24576
#define NEW 0xffff0008u /* paused; no shutdown code */

static u64 mfns[MANY_FRAMES];

static domid_t made(u32 vcpus)
{
    CHECK_EQ(domain_try_create(vcpus), 0);
    domid_t id = domctl_op.domain;

    domctl_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ .vcpu = 0, .flags = XEN_VCPUAFFINITY_HARD };
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuaffinity, id), -3); /* not made yet */
    domctl_op.u.vcpuaffinity.flags = 0;
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuaffinity, id), -3);
    domctl_op.u.vcpuaffinity.vcpu = 4711;
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuaffinity, id), -22);
    CHECK_EQ(domain_try_vcpus(id, vcpus), 0);
    return id;
}

static void refusals(void)
{
    domid_t id = made(2), next;

    CHECK_EQ(domain_info(id), NEW);
    CHECK_EQ(domctl_op.u.getdomaininfo.max_vcpu_id, 1);
    CHECK_EQ(domctl_op.u.getdomaininfo.nr_online_vcpus, 0);
    CHECK_EQ(domctl_op.u.getdomaininfo.max_pages, 0);
    next = made(1);
    CHECK_EQ(next, id + 1);
    domain_destroy(id);
    /* The next one answers for one that is gone; behind the last there is none. */
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, id), 0);
    CHECK_EQ(domctl_op.domain, next);
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, (domid_t)(next + 1)), -3);
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, DOMID_INVALID), -22);
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, id), -3);
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, 0), -22);
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, DOMID_SELF), -22);
    CHECK_EQ(domain_try_vcpus(next, 2), -22);

    /* Pauses count. The last one taken back makes it run, and it gets no more vCPUs. */
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, next), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, next), 0);
    CHECK_EQ(domain_info(next), NEW);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, next), 0);
    CHECK_EQ(domain_info(next), NEW & ~8u);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, next), -22);
    CHECK_EQ(domain_try_vcpus(next, 1), -22);

    domctl_op.u.createdomain.max_vcpus = 0;
    CHECK_EQ(domain_try_create(0), -22);
    CHECK_EQ(domain_try_create(65), -22);
    domctl_op.u.createdomain = (struct xen_domctl_createdomain){ .max_vcpus = 1, .grant_opts = 1, .flags = 1 };
    CHECK_EQ(domctl(XEN_DOMCTL_createdomain, DOMID_INVALID), -22); /* HVM */
    domctl_op.u.createdomain.flags = 0;
    CHECK_EQ(domctl(XEN_DOMCTL_createdomain, next), -17);
    domain_destroy(next);
}

/* Every allocation that creation makes is refused once. */
static u32 failures(domid_t id, bool grown)
{
    u64 before = free_frames();

    for (u32 n = 1;; n++) {
        fail_allocation(n);
        long rc = id ? domain_try_vcpus(id, 1) : domain_try_create(1);

        if (fail_allocation(0)) {
            CHECK_EQ(rc, 0);
            return n - 1;
        }
        CHECK_EQ(rc, -12);
        if (grown)
            CHECK_EQ(free_frames(), before);
    }
}

static void unwinding(void)
{
    u64 before = 0;

    for (u32 round = 0; round < 5; round++) { /* at first the small heap grows for good */
        if (round < 3)
            before = free_frames();
        u32 n = failures(0, round > 2);
        domid_t id = domctl_op.domain;
        u32 m = failures(id, round > 2);

        print("domains: %u allocations refused for a domain, %u for a vCPU\n", n, m);
        CHECK(n >= 8 && m >= 8);
        domain_destroy(id);
        if (round > 2)
            CHECK_EQ(free_frames(), before);
    }
}

/* The first rounds need page tables for addresses that no CPU may remember, and then they serve for good. */
static void many_times(void)
{
    domid_t ids[20];
    u64 before = 0;

    for (u32 round = 0; round < 80; round++) {
        if (round == 40)
            before = free_frames();
        domain_destroy(made(VCPUS));
    }
    CHECK_EQ(free_frames(), before);
    for (u32 round = 0; round < 3; round++) {
        if (round == 1)
            before = free_frames();
        for (u32 i = 0; i < 20; i++) {
            ids[i] = made(1);
            CHECK(!i || ids[i] > ids[i - 1]);
        }
        for (u32 i = 0; i < 20; i++)
            domain_destroy(ids[i * 7 % 20]);
    }
    CHECK_EQ(free_frames(), before);
}

static void populate(domid_t id, u32 n)
{
    domain_set_max(id, n);
    domain_populate(id, mfns, n);
    CHECK_EQ(reserve(XENMEM_populate_physmap, id, mfns, 1, 0), 0);
}

/* Frames, tables that are pinned, ports: all of it goes, but what dom0 has mapped, and with that the domain. */
static void holders(void)
{
    static u8 window[2 * PAGE_SIZE] __attribute__((aligned(4096)));
    u64 own = *pte_of(window, 1), own_second = *pte_of(window + PAGE_SIZE, 1), before = free_frames();
    domid_t id = made(2);

    populate(id, FRAMES);
    u64 shared = (domain_info(id), domctl_op.u.getdomaininfo.shared_info_frame);

    CHECK_EQ(domctl_op.u.getdomaininfo.tot_pages, FRAMES);
    /* An L2 table that links an L1 table, both of the domain. */
    CHECK_EQ(map_foreign(window, mfns[0] << 12 | WRITABLE, id), 0);
    ((u64 *)window)[0] = mfns[1] << 12 | PTE_P | PTE_W | PTE_U | PTE_A;
    CHECK_EQ(map_foreign(window, mfns[2] << 12 | WRITABLE, id), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE + 1, mfns[0]), 0);
    CHECK_EQ(map_foreign(window + PAGE_SIZE, shared << 12 | WRITABLE, id), 0);

    struct evtchn_alloc_unbound a = { .dom = id, .remote_dom = 0 };
    struct evtchn_bind_interdomain b = { .remote_dom = id };
    struct evtchn_status s = { .dom = DOMID_SELF };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &a), 0);
    b.remote_port = a.port;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, &b), 0);
    domain_destroy(id);
    s.port = b.local_port;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_status, &s), 0);
    CHECK_EQ(s.status, EVTCHNSTAT_unbound);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_close, &(struct evtchn_close){ b.local_port }), 0);

    /* Dead, but held: nothing can be given to it or changed any more. It can be looked at. */
    CHECK_EQ(domain_info(id) & 1, 1);
    CHECK_EQ(domctl_op.u.getdomaininfo.tot_pages, 1);
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, id), -3);
    CHECK_EQ(domctl(XEN_DOMCTL_max_mem, id), -3);
    u64 map = 0;

    domctl_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ 0, XEN_VCPUAFFINITY_HARD, { (u64)&map, 64 }, { 0, 0 } };
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuaffinity, id), 0);
    CHECK(map & 1);
    domctl_op.u.getvcpuinfo.vcpu = 0;
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuinfo, id), 0);
    CHECK_EQ(domctl_op.u.getvcpuinfo.running, 0);
    domctl_op.u.scheduler_op = (struct xen_domctl_scheduler_op){ .sched_id = XEN_SCHEDULER_CREDIT2, .cmd = XEN_DOMCTL_SCHEDOP_getinfo };
    CHECK_EQ(domctl(XEN_DOMCTL_scheduler_op, id), 0);
    CHECK_EQ(domctl_op.u.scheduler_op.u.credit2.weight, 256);
    domctl_op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ 0, 8, (u64)mfns };
    CHECK_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs, id), 0);
    domctl_op.u.vcpu_msrs.msr_count = 0;
    CHECK_EQ(domctl(XEN_DOMCTL_set_vcpu_msrs, id), -3);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &a), -16);
    CHECK(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[2]) < 0);
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = id };
    struct gnttab_setup_table g = { .dom = id, .nr_frames = 2 };

    *(u64 **)&r.extent_start = mfns + FRAMES;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_populate_physmap, &r), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, &g, 1), 0);
    CHECK_EQ(g.status, GNTST_general_error);
    domain_destroy(id); /* as good twice */
    ((volatile u64 *)window)[0] = 1;
    CHECK_EQ(map_foreign(window, own, DOMID_SELF), 0);
    CHECK_EQ(domain_info(id) & 1, 1);
    ((volatile u64 *)window)[PAGE_SIZE / 8] = 1; /* its shared_info */
    CHECK_EQ(map_foreign(window + PAGE_SIZE, own_second, DOMID_SELF), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, id), -3);
    CHECK_EQ(free_frames(), before);
}

static struct xen_domctl outer;
static domid_t going;
static volatile u32 seen_half;

/* In the middle of a call that takes long: the domain is dying, and not all of it is gone. */
static void look_at_half(void)
{
    seen_half += domain_exists(going) && (domctl_op.u.getdomaininfo.flags & 1) && domctl_op.u.getdomaininfo.tot_pages > 0;
}

static void event_while_going(bool in_multicall)
{
    u64 before = free_frames();
    u32 tries = 0;

    for (seen_half = 0; !seen_half && tries < 100; tries++) { /* the call may be over between two events */
        going = made(1);
        populate(going, MANY_FRAMES);
        outer = (struct xen_domctl){ .cmd = XEN_DOMCTL_destroydomain, .interface_version = XEN_DOMCTL_INTERFACE_VERSION, .domain = going };
        struct multicall_entry m[2] = { { .op = __HYPERVISOR_domctl, .args = { (u64)&outer } }, { .op = __HYPERVISOR_xen_version } };

        ticks_begin(look_at_half);
        CHECK_EQ(in_multicall ? HYPERCALL2(__HYPERVISOR_multicall, m, 2) : HYPERCALL1(__HYPERVISOR_domctl, &outer), 0);
        ticks_end();
        CHECK_EQ(m[0].result, 0);
        CHECK_EQ(m[1].result, in_multicall ? 0x40011 : 0);
        CHECK(!domain_exists(going));
    }
    print("domains: %u events came during the call, at the %uth time\n", seen_half, tries);
    CHECK(seen_half > 0);
    CHECK_EQ(free_frames(), before);
}

void test_main(void)
{
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    refusals();
    many_times();
    unwinding();
    holders();
    event_while_going(false);
    event_while_going(true);
    /* Names of numbers are not used up: DOMID_SELF is no domain of its own to be ended. */
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, DOMID_SELF), -22);
    /* A code that is latched for later is no end. */
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown_code, &(struct sched_shutdown){ SHUTDOWN_reboot }), 0);
    CHECK_EQ(domain_info(0) & XEN_DOMINF_shutdown, 0);
}
