/* SPDX-License-Identifier: MIT */
/*
 * Domains are destroyed by one vCPU of dom0 while others give them memory, map it, pin it, exchange it, claim, ask. Whatever comes in
 * between, each domain goes in the end, and all of its memory comes back.
 */
#include "smp.h"

#include "domains.h"

#include <public/grant_table.h>

#define WORKERS 2
#define ROUNDS 28
#define FRAMES 2048
#define SLACK 16 /* frames of the small heap, which grows by what comes together */

static volatile domid_t target;
static volatile u32 held; /* workers stand still */

static struct worker {
    u8 window[PAGE_SIZE];
    u64 list[512], out[4], block, random, own;
    volatile u64 done;
    volatile bool stands;
    struct xen_domctl op;
} __attribute__((aligned(4096))) workers[WORKERS + 1];

static u64 rnd(struct worker *w, u64 n)
{
    w->random = w->random * 6364136223846793005UL + 1442695040888963407UL;
    return (w->random >> 33) % n;
}

static long memory_op(u64 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg); }

/* A block is claimed, frames for it there are none, and it is given back. */
static void exchange_block(struct worker *w, domid_t id)
{
    struct xen_memory_exchange x = { { &w->block, 1, 9, 0, id }, { w->list, 512, 0, 1, id }, 0 };

    reserve(XENMEM_increase_reservation, id, &w->block, 1, 9);
    for (u32 i = 0; i < 20 && id == target; i++)
        memory_op(XENMEM_exchange, &x);
}

static void exchange(struct worker *w, domid_t id)
{
    /* Every other time for frames that there are not: what has been claimed is given back. */
    struct xen_memory_exchange x = { { w->list, 4, 0, 0, id }, { w->out, 4, 0, (u32)rnd(w, 2), id }, 0 };

    memory_op(XENMEM_exchange, &x);
    for (u32 i = 0; i < x.nr_exchanged && i < 4; i++)
        w->list[i] = w->out[i];
}

static void claim(struct worker *w, domid_t id)
{
    struct xen_memory_reservation r = { .nr_extents = rnd(w, 2) ? 0 : FRAMES, .domid = id };

    memory_op(XENMEM_claim_pages, &r);
}

static void describe(struct worker *w, domid_t id)
{
    struct e820entry map = { 0, FRAMES * PAGE_SIZE, 1 };
    struct xen_foreign_memory_map f = { id, { 1, &map } };
    struct xen_mem_acquire_resource r = {
        .domid = id, .type = XENMEM_resource_grant_table, .nr_frames = 1 + (u32)rnd(w, 2), .frame_list = w->out + 2
    };

    r.frame = rnd(w, 6);
    memory_op(XENMEM_set_memory_map, &f);
    memory_op(XENMEM_acquire_resource, &r);
    w->op = (struct xen_domctl){ .cmd = XEN_DOMCTL_getpageframeinfo3, .interface_version = XEN_DOMCTL_INTERFACE_VERSION, .domain = id };
    w->op.u.getpageframeinfo3 = (struct xen_domctl_getpageframeinfo3){ 2, (u64)(w->out + 2) };
    HYPERCALL1(__HYPERVISOR_domctl, &w->op);
}

/* The frame is in use here for a while, perhaps longer than the domain is there. */
static void use(struct worker *w, domid_t id)
{
    if (!map_foreign(w->window, w->list[0] << 12 | (rnd(w, 2) ? WRITABLE : READ_ONLY), id))
        for (u32 n = (u32)rnd(w, 3000); n; n--)
            __asm__ volatile("pause");
    CHECK_EQ(map_foreign(w->window, w->own, DOMID_SELF), 0);
}

static void pins(struct worker *w, domid_t id)
{
    mmuext_of(id, MMUEXT_PIN_L1_TABLE + (u32)rnd(w, 4), w->list[rnd(w, 4)]);
    if (rnd(w, 2))
        mmuext_of(id, MMUEXT_UNPIN_TABLE, w->list[rnd(w, 4)]);
}

static void worker(u32 me)
{
    struct worker *w = workers + me;

    for (;; w->done++) {
        while (held)
            w->stands = true;
        w->stands = false;
        domid_t id = target;

        switch (rnd(w, 12)) {
        case 0:
        case 1:
        case 2: reserve(XENMEM_populate_physmap, id, w->list, 1 + rnd(w, 512), 0); break;
        case 3: exchange_block(w, id); break;
        case 4: reserve(XENMEM_decrease_reservation, id, w->list, 1 + rnd(w, 512), 0); break;
        case 5:
        case 6: exchange(w, id); break;
        case 7: claim(w, id); break;
        case 8: describe(w, id); break;
        case 9: pins(w, id); break;
        default: use(w, id);
        }
    }
}

static void wait_a_while(u64 ns)
{
    for (u64 end = smp_time(0) + ns; smp_time(0) < end;)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static void wait_gone(domid_t id)
{
    for (u32 tries = 0; domain_exists(id) && tries < 3000; tries++) /* a worker has something of it mapped */
        wait_a_while(1000000);
    CHECK(!domain_exists(id));
}

/* Free frames of the machine while there is no domain. */
static u64 free_at_rest(void)
{
    held = 1;
    for (u32 i = 1; i <= WORKERS; i++)
        while (!workers[i].stands)
            wait_a_while(100000);
    domain_destroy(target);
    wait_gone(target);
    u64 frames = free_frames();

    target = domain_new(1, FRAMES);
    held = 0;
    for (u32 i = 1; i <= WORKERS; i++)
        while (workers[i].stands)
            wait_a_while(100000);
    return frames;
}

void test_main(void)
{
    u64 before = 0, total = 0;

    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    target = domain_new(1, FRAMES);
    for (u32 i = 1; i <= WORKERS; i++) {
        workers[i].random = i;
        workers[i].own = *pte_of(workers[i].window, 1);
        smp_start(i, worker);
    }
    for (u32 round = 0; round < ROUNDS; round++) {
        domid_t old = target;

        wait_a_while(1000000 + round % 7 * 500000);
        domain_destroy(old); /* they go on with it */
        wait_a_while(round % 3 * 100000);
        target = domain_new(1, FRAMES);
        wait_gone(old);
        if (round == ROUNDS / 4)
            before = free_at_rest();
    }
    u64 after = free_at_rest();

    for (u32 i = 1; i <= WORKERS; i++)
        total += workers[i].done;
    print("teardown: %u operations meanwhile, %u frames free, %u before\n", (u32)total, (u32)after, (u32)before);
    CHECK(total > ROUNDS);
    CHECK(after + SLACK >= before);
}
