/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest goes for the memory of others: of dom0, of an innocent guest beside it, of the hypervisor and of devices. Guests that end
 * while they give memory back and take it leave nothing behind, and a guest cannot have what is kept for devices.
 */
#include "domu.h"

#define VGA_FRAME 0xa0UL
#define LOW_KEPT 8192 /* frames */
#define PATTERN 0x1cebe46

static u8 window[PAGE_SIZE] __attribute__((aligned(4096)));
static u8 secret[PAGE_SIZE] __attribute__((aligned(4096)));

/* Where dom0 tells a guest what there is: domu_box.words. */
enum { HERS, HER_TABLE, DOM0S, HYPERVISORS, HER_ID, SAID };
#define TOLD(what) domu_box.words[what]

static long memory_op(u64 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg); }
static long of(u64 cmd, domid_t domain) { return memory_op(cmd, &domain); }

static long update_as(u64 ptr, u64 val, u32 domids)
{
    struct mmu_update u = { ptr, val };

    return HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, 0, domids);
}

/* What is no frame of the caller's is not mapped, whosever it is called. */
static void not_mapped(u64 mfn)
{
    const struct {
        u32 name;
        long answer;
    } owners[] = { { DOMID_SELF, -22 }, { (domid_t)TOLD(HER_ID), -1 }, { 0, -1 },    { DOMID_XEN, -1 },
                   { DOMID_IO, -22 },   { DOMID_INVALID, -1 },         { 4711, -1 }, { 0x10000 | DOMID_SELF, -1 } };

    for (u32 i = 0; i < sizeof(owners) / sizeof(owners[0]); i++)
        for (u32 how = 0; how < 4; how++) {
            if (how != MMU_MACHPHYS_UPDATE)
                CHECK_EQ(update_as(pte_machine_address(window, 1) | how, mfn << 12 | READ_ONLY, owners[i].name), owners[i].answer);
            CHECK_EQ(update_as(mfn << 12 | how, 0, owners[i].name), owners[i].answer);
            CHECK(HYPERCALL4(__HYPERVISOR_update_va_mapping_otherdomain, window, mfn << 12 | WRITABLE, 0, owners[i].name) < 0);
        }
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, window, mfn << 12 | READ_ONLY, 0), -22);
}

static void not_used(u64 mfn)
{
    struct mmuext_op copy = { .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = va_to_mfn(window), .arg2.src_mfn = mfn };
    struct xen_memory_reservation r = { &mfn, 1, 0, 0, DOMID_SELF };
    u64 out = 0;
    struct xen_memory_exchange x = { { &mfn, 1, 0, 0, DOMID_SELF }, { &out, 1, 0, 0, DOMID_SELF }, 0 };

    for (u32 cmd = MMUEXT_PIN_L1_TABLE; cmd <= MMUEXT_PIN_L4_TABLE; cmd++)
        CHECK_EQ(mmuext_of(DOMID_SELF, cmd, mfn), -22);
    CHECK_EQ(mmuext_of(DOMID_SELF, MMUEXT_UNPIN_TABLE, mfn), -22);
    CHECK_EQ(mmuext_of(DOMID_SELF, MMUEXT_NEW_BASEPTR, mfn), -22);
    CHECK_EQ(mmuext_of(DOMID_SELF, MMUEXT_NEW_USER_BASEPTR, mfn), -22);
    CHECK_EQ(mmuext_of(DOMID_SELF, MMUEXT_CLEAR_PAGE, mfn), -22);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmuext_op, &copy, 1, 0, DOMID_SELF), -22);
    for (u32 cmd = 0; cmd < 20; cmd++)
        CHECK_EQ(mmuext_of((domid_t)TOLD(HER_ID), cmd, mfn), -1);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_gdt, &mfn, 512), -22);
    CHECK(HYPERCALL2(__HYPERVISOR_update_descriptor, mfn << 12, 0) < 0);
    CHECK_EQ(memory_op(XENMEM_decrease_reservation, &r), 0);
    CHECK_EQ(memory_op(XENMEM_exchange, &x), -22);
}

/* In the name of others. */
static void no_right(domid_t id)
{
    u64 list[2] = { 1, 2 };
    struct xen_memory_exchange x = { { list, 1, 0, 0, id }, { list + 1, 1, 0, 0, id }, 0 };
    struct xen_memory_reservation claim = { NULL, 4711, 0, 0, id };
    struct xen_foreign_memory_map map = { id, { 0, list } };
    struct xen_mem_acquire_resource r = { .domid = id, .type = XENMEM_resource_grant_table, .nr_frames = 1, .frame_list = list };
    struct xen_machphys_mfn_list m2p = { .max_extents = 1 };

    CHECK_EQ(reserve(XENMEM_populate_physmap, id, list, 1, 0), 0);
    CHECK_EQ(reserve(XENMEM_increase_reservation, id, list, 1, 0), 0);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, id, &TOLD(HERS), 1, 0), 0);
    CHECK_EQ(memory_op(XENMEM_exchange, &x), -1);
    CHECK_EQ(memory_op(XENMEM_claim_pages, &claim), -1);
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &map), -1);
    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), -1);
    CHECK_EQ(memory_op(XENMEM_machphys_mfn_list, &m2p), -1);
    CHECK_EQ(of(XENMEM_current_reservation, id), -1);
    CHECK_EQ(of(XENMEM_maximum_reservation, id), -1);
    CHECK_EQ(of(XENMEM_maximum_gpfn, id), -1);
    CHECK_EQ(of(XENMEM_get_vnumainfo, id), -1);
}

/* Of all frame numbers only our own can be mapped. */
static void sweep(void)
{
    u32 mapped = 0, shown = 0;

    for (u64 mfn = 0; mfn < 0x14000; mfn += mfn < 0x400 ? 1 : 5) {
        if (map_foreign(window, mfn << 12 | READ_ONLY, mfn & 1 ? DOMID_SELF : DOMID_IO))
            continue;
        u64 pfn = ((u64 *)0xffff800000000000)[mfn];

        mapped++;
        shown += pfn == ~0UL;
        CHECK(pfn == ~0UL || (pfn < DOMU_PFNS && va_to_mfn((void *)(VIRT_BASE + (pfn << 12))) == mfn));
    }
    print("%u frames mapped in the sweep. ", mapped);
    CHECK(mapped > 2 && shown <= 2); /* shared_info, a frame of the grant table */
}

static void hostile(u64 arg)
{
    u64 own = *pte_of(window, 1);
    struct xen_memory_map map = { 4, secret };
    struct xen_machphys_mapping m2p;

    (void)arg;
    for (u32 i = HERS; i <= HYPERVISORS; i++) {
        not_mapped(TOLD(i));
        not_used(TOLD(i));
    }
    CHECK_EQ(map_foreign(window, VGA_FRAME << 12 | WRITABLE, DOMID_SELF), -1);
    CHECK_EQ(map_foreign(window, VGA_FRAME << 12 | WRITABLE, DOMID_IO), -1);
    no_right((domid_t)TOLD(HER_ID));
    no_right(0);
    no_right(DOMID_XEN);
    no_right(DOMID_IO);
    sweep();
    CHECK_EQ(map_foreign(window, own, DOMID_SELF), 0);
    /* What it is told. */
    CHECK_EQ(memory_op(XENMEM_memory_map, &map), 0);
    CHECK_EQ(map.nr_entries, 1);
    CHECK_EQ(((struct e820entry *)secret)->size, 0x300000);
    CHECK_EQ(memory_op(XENMEM_machphys_mapping, &m2p), 0);
    CHECK_EQ(m2p.max_mfn, 0x7ffffffff);
    CHECK_EQ(of(XENMEM_get_vnumainfo, DOMID_SELF), -95);
}

static void innocent(u64 arg)
{
    (void)arg;
    for (u32 i = 0; i < 512; i++)
        ((u64 *)secret)[i] = PATTERN + i;
    while (!domu_box.words[1]) {
        for (u32 i = 0; i < 512; i++)
            CHECK_EQ(((volatile u64 *)secret)[i], PATTERN + i);
        domu_box.words[0]++;
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
}

static u64 frame_of(struct domu *g, const void *va) { return g->mfn[((u64)va - VIRT_BASE) >> 12]; }

static void tell(struct domu *g, struct domu *her)
{
    struct xen_machphys_mfn_list list = { .max_extents = 1 };
    struct e820entry map = { 0, 0x300000, 1 };
    struct xen_foreign_memory_map f = { g->id, { 1, &map } };
    u64 first;

    *(u64 **)&list.extent_start = &first;
    CHECK_EQ(memory_op(XENMEM_machphys_mfn_list, &list), 0);
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &f), 0);
    g->box->words[HERS] = frame_of(her, secret);
    g->box->words[HER_TABLE] = her->mfn[her->l4_pfn];
    g->box->words[DOM0S] = va_to_mfn(secret);
    g->box->words[HYPERVISORS] = first;
    g->box->words[HER_ID] = her->id;
}

static void attack(void)
{
    static struct domu hers, his;
    struct domu *her = &hers, *g = &his;

    domu_new(her, 1, innocent, 0);
    domu_new(g, 1, hostile, 0);
    CHECK_EQ(domu_unpause(her), 0);
    CHECK_EQ(domu_wait(her, 5), DOMU_RUNS);
    tell(g, her);
    CHECK_EQ(domu_run(g), SHUTDOWN_poweroff);
    domu_destroy(g);
    u64 before = her->box->words[0];

    while (her->box->words[0] < before + 10)
        CHECK_EQ(domu_wait(her, 1), DOMU_RUNS);
    her->box->words[1] = 1;
    CHECK_EQ(domu_wait(her, 60000), SHUTDOWN_poweroff);
    domu_destroy(her);
}

/* Takes all that it may have. */
static void greedy(u64 arg)
{
    u64 list[8], block = 0, frames = 0;

    for (u64 i = 0; i < 8; i++)
        list[i] = 0x100000 + i;
    CHECK_EQ(reserve(XENMEM_populate_physmap, DOMID_SELF, &block, 1, 10), 0);
    while (reserve(XENMEM_increase_reservation, DOMID_SELF, &block, 1, 9))
        frames += 512;
    for (long n; (n = reserve(arg ? XENMEM_increase_reservation : XENMEM_populate_physmap, DOMID_SELF, list, 8, 0)); frames += (u64)n)
        ;
    struct xen_memory_reservation low = { list, 1, 0, 32, DOMID_SELF };

    CHECK_EQ(memory_op(XENMEM_populate_physmap, &low), 0);
    domu_box.words[0] = frames;
}

static void drain(void)
{
    static struct domu g;

    domu_new(&g, 1, greedy, 0);
    domain_set_max(g.id, g.nr_frames + 1024 + 5);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    CHECK_EQ(g.box->words[0], 1024 + 5);
    domu_destroy(&g);
    domu_new(&g, 1, greedy, 1);
    domain_set_max(g.id, 1 << 20);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    CHECK_EQ(free_frames(), LOW_KEPT);
    domu_destroy(&g);
}

/* Gives memory back, takes it, exchanges it, until it is ended. */
static void churn(u64 arg)
{
    u64 block = 0x100000, out[512], in;

    for (u64 n = arg;; n++) {
        struct xen_memory_exchange x = { { &block, 1, 9, 0, DOMID_SELF }, { out, 512, 0, 0, DOMID_SELF }, 0 };
        struct xen_memory_exchange y = { { out, 512, 0, 0, DOMID_SELF }, { &in, 1, 9, (u32)(n & 1) * 12, DOMID_SELF }, 0 };

        in = block = 0x100000;
        for (u32 i = 0; i < 512; i++)
            out[i] = 0x100000 + i;
        CHECK_EQ(reserve(XENMEM_populate_physmap, DOMID_SELF, &block, 1, 9), 1);
        CHECK_EQ(memory_op(XENMEM_exchange, &x), 0);
        bool whole = !memory_op(XENMEM_exchange, &y);

        CHECK_EQ(whole, !(n & 1));
        CHECK_EQ(whole ? reserve(XENMEM_decrease_reservation, DOMID_SELF, &in, 1, 9) :
                         reserve(XENMEM_decrease_reservation, DOMID_SELF, out, 512, 0),
                 whole ? 1 : 512);
        domu_box.words[0]++;
    }
}

/* Its limit is set below what it has, as by a toolstack that wants some of it back: an exchange costs it nothing. */
static void shrunk(u64 arg)
{
    u64 block = 0x100000, one = 0x101000, out[512];
    struct xen_memory_exchange x = { { &block, 1, 9, 0, DOMID_SELF }, { out, 512, 0, 0, DOMID_SELF }, 0 };

    (void)arg;
    for (u32 i = 0; i < 512; i++)
        out[i] = 0x100000 + i;
    CHECK_EQ(reserve(XENMEM_populate_physmap, DOMID_SELF, &block, 1, 9), 1);
    domu_box.words[0] = 1;
    while (!((volatile u64 *)domu_box.words)[1])
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    long had = of(XENMEM_current_reservation, DOMID_SELF);

    CHECK(had > of(XENMEM_maximum_reservation, DOMID_SELF));
    CHECK_EQ(memory_op(XENMEM_exchange, &x), 0);
    CHECK_EQ(of(XENMEM_current_reservation, DOMID_SELF), had);
    for (u32 i = 0; i < 512; i++)
        CHECK_EQ(((u64 *)0xffff800000000000)[out[i]], 0x100000 + i);
    CHECK_EQ(reserve(XENMEM_populate_physmap, DOMID_SELF, &one, 1, 0), 0);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, DOMID_SELF, out, 512, 0), 512);
}

static void above_the_limit(void)
{
    static struct domu g;

    domu_new(&g, 1, shrunk, 0);
    domain_set_max(g.id, g.nr_frames + 512);
    CHECK_EQ(domu_unpause(&g), 0);
    while (!g.box->words[0])
        CHECK_EQ(domu_wait(&g, 1), DOMU_RUNS);
    domain_set_max(g.id, g.nr_frames + 1);
    g.box->words[1] = 1;
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_poweroff);
    domu_destroy(&g);
}

static void ended_meanwhile(void)
{
    static struct domu g;
    u64 before = 0, turns = 0;

    for (u32 round = 0; round < 24; round++) {
        if (round == 4)
            before = free_frames();
        domu_new(&g, 1, churn, round);
        domain_set_max(g.id, g.nr_frames + 512);
        CHECK_EQ(domu_unpause(&g), 0);
        CHECK_EQ(domu_wait(&g, 1 + round % 5), DOMU_RUNS);
        turns += g.box->words[0];
        domu_destroy(&g);
        CHECK(!domain_exists(g.id));
    }
    print("%u turns of guests that were ended\n", (u32)turns);
    CHECK_EQ(free_frames(), before);
}

void test_main(void)
{
    u64 before = 0;

    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    for (u32 round = 0; round < 2; round++) { /* at first the small heap grows for good */
        before = free_frames();
        attack();
    }
    CHECK_EQ(free_frames(), before);
    drain();
    above_the_limit();
    ended_meanwhile();
}
