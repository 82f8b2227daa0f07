/* SPDX-License-Identifier: MIT */
/*
 * Who runs on a CPU that the sender of an event and its receiver share. Under -icount, where time is what has been executed, there is one
 * answer.
 */
#include "domu.h"

static struct domu g;
static volatile u64 *words; /* of the box: the receiver's port, and how often it was woken */

static void receives(u64 unused)
{
    struct evtchn_alloc_unbound a = { DOMID_SELF, 0, 0 };

    (void)unused;
    words = domu_box.words;
    events_mask();
    CHECK_EQ(evtchn(EVTCHNOP_alloc_unbound, &a), 0);
    words[0] = a.port;
    struct sched_poll p = { &a.port, 1, 0 };

    for (;; words[1]++)
        while (!event_take(a.port))
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p);
}

#define ROUNDS 40
#define MS 1000000ul

static void blocks_for(u64 ns) { smp_sleep_until(0, smp_time(0) + ns); }

/* In how many rounds the receiver ran at once, when it was sent `n` events with some work between them. */
static u32 interrupted(u32 port, u32 n)
{
    u32 rounds = 0;

    for (u32 r = 0; r < ROUNDS; r++) {
        for (u64 end = smp_time(0) + 2 * MS; smp_time(0) < end;) {
        } /* this vCPU is the one that has had more time */
        blocks_for(MS);
        u64 before = words[1], wait;

        for (u32 i = 0; i < n; i++)
            CHECK_EQ(evtchn(EVTCHNOP_send, &(struct evtchn_send){ port }), 0);
        rounds += words[1] != before;
        if (n > 1) /* it does not wait for longer than this */
            for (wait = smp_time(0) + 50 * MS; words[1] == before && smp_time(0) < wait;) {
            }
        blocks_for(MS);
        CHECK(words[1] > before);
    }
    return rounds;
}

static void first_cpu_only(domid_t dom)
{
    u64 set = 1;

    domctl_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ 0, XEN_VCPUAFFINITY_HARD, { (u64)&set, 64 }, { 0, 0 } };
    CHECK_EQ(domctl(XEN_DOMCTL_setvcpuaffinity, dom), 0);
}

void test_main(void)
{
    events_mask();
    domu_new(&g, 1, receives, 0);
    words = g.box->words;
    first_cpu_only(0);
    first_cpu_only(g.id);
    CHECK_EQ(domu_unpause(&g), 0);
    while (!words[0])
        blocks_for(MS);
    struct evtchn_bind_interdomain b = { g.id, (u32)words[0], 0 };

    CHECK_EQ(evtchn(EVTCHNOP_bind_interdomain, &b), 0);
    blocks_for(MS);
    u32 many = interrupted(b.local_port, 3), one = interrupted(b.local_port, 1);

    print("interrupted in %u of %u rounds with more to send, in %u without\n", many, ROUNDS, one);
    CHECK_EQ(many, 0);
    CHECK(one > ROUNDS / 2); /* not each time: what both have had is evened out now and then */
    domu_destroy(&g);
}
