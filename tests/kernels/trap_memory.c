/* SPDX-License-Identifier: MIT */
/* A toolstack gives a guest its memory, claims it before, describes it, takes it back: all of it, cleared, whatever fails on the way. */
#include "domains.h"

#include <public/grant_table.h>

#define ORDER 9
#define BLOCKS 24
#define FRAMES 512

static u8 window[PAGE_SIZE] __attribute__((aligned(4096)));
static u64 mfns[FRAMES], own;
static domid_t id;

#define WORDS ((volatile u64 *)window)
#define M2P ((volatile u64 *)0xffff800000000000UL)
static long memory_op(u64 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg); }
static void window_back(void) { CHECK_EQ(map_foreign(window, own, DOMID_SELF), 0); }
static long of(u64 cmd, domid_t domain) { return memory_op(cmd, &domain); }

static bool all_zero(u64 mfn)
{
    u64 any = 0;

    CHECK_EQ(map_foreign(window, mfn << 12 | READ_ONLY, id), 0);
    for (u32 i = 0; i < 512; i++)
        any |= WORDS[i];
    return !any;
}

static void mark(u64 mfn)
{
    CHECK_EQ(map_foreign(window, mfn << 12 | WRITABLE, id), 0);
    for (u32 i = 0; i < 512; i++)
        WORDS[i] = 0xdead0000 + i;
}

/* Blocks of 2 MiB, then frames; what the last owner has left in them is gone. */
static void reservations(void)
{
    id = domain_new(1, BLOCKS * 512 + FRAMES);
    for (u32 round = 0; round < 2; round++) {
        for (u32 i = 0; i < BLOCKS; i++)
            mfns[i] = i << ORDER;
        CHECK_EQ(reserve(XENMEM_populate_physmap, id, mfns, BLOCKS, ORDER), BLOCKS);
        CHECK_EQ(of(XENMEM_current_reservation, id), BLOCKS * 512);
        for (u32 i = 0; i < BLOCKS; i++) {
            CHECK_EQ(mfns[i] % 512, 0);
            CHECK_EQ(M2P[mfns[i] + 511], (i << ORDER) + 511);
            CHECK(all_zero(mfns[i]) && all_zero(mfns[i] + 511));
            mark(mfns[i]);
            mark(mfns[i] + 511);
        }
        window_back();
        CHECK_EQ(reserve(XENMEM_decrease_reservation, id, mfns, BLOCKS, ORDER), BLOCKS);
        CHECK_EQ(of(XENMEM_current_reservation, id), 0);
        CHECK_EQ(reserve(XENMEM_decrease_reservation, id, mfns, 1, 0), 0);
    }
    CHECK_EQ(of(XENMEM_maximum_reservation, id), BLOCKS * 512 + FRAMES);
    CHECK_EQ(reserve(XENMEM_populate_physmap, id, mfns, 1, 13), 0);
    CHECK_EQ(reserve(XENMEM_populate_physmap, (domid_t)(id + 1), mfns, 1, 0), 0);
    /* As many as it may have, and no frame more. */
    domain_set_max(id, 512 + 3);
    CHECK_EQ(reserve(XENMEM_populate_physmap, id, mfns, 2, ORDER), 1);
    CHECK_EQ(reserve(XENMEM_increase_reservation, id, mfns + 1, 4, 0), 3);
    CHECK_EQ(M2P[mfns[3]], ~0UL);
    CHECK(all_zero(mfns[1]) && all_zero(mfns[3]));
    window_back();
}

/* Three frames of the guest's against others, and a list with one of ours. */
static void exchanges(void)
{
    u64 in[3] = { mfns[1], mfns[2], mfns[3] }, out[3] = { 7, 8, 9 };
    struct xen_memory_exchange x = { { in, 3, 0, 0, id }, { out, 3, 0, 0, id }, 0 };

    mark(mfns[2]);
    CHECK_EQ(memory_op(XENMEM_exchange, &x), -22); /* mapped */
    CHECK_EQ(x.nr_exchanged, 1);
    window_back();
    CHECK_EQ(memory_op(XENMEM_exchange, &x), 0);
    CHECK_EQ(x.nr_exchanged, 3);
    CHECK_EQ(of(XENMEM_current_reservation, id), 515);
    CHECK_EQ(M2P[out[1]], 8);
    CHECK(all_zero(out[1]));
    window_back();
    x.nr_exchanged = 0;
    x.out.domid = DOMID_SELF;
    CHECK_EQ(memory_op(XENMEM_exchange, &x), -22);
    x.in.domid = DOMID_SELF;
    CHECK_EQ(memory_op(XENMEM_exchange, &x), -22);
}

static long claim(domid_t domain, u64 frames)
{
    struct xen_memory_reservation r = { .nr_extents = frames, .domid = domain };

    return memory_op(XENMEM_claim_pages, &r);
}

static u64 claimed(void)
{
    domain_info(id);
    return domctl_op.u.getdomaininfo.outstanding_pages;
}

static void claims(void)
{
    u64 free = free_frames();
    domid_t other = domain_new(1, free);

    domain_set_max(id, free);
    CHECK_EQ(claim(id, 515), -22); /* it has as many */
    CHECK_EQ(claim(id, free + 1), -22);
    CHECK_EQ(claim(other, free), -12); /* some of it is kept for devices */
    CHECK_EQ(claim(id, 515 + 2048), 0);
    CHECK_EQ(claim(id, 515 + 2049), -22);
    CHECK_EQ(claimed(), 2048);
    CHECK_EQ(claim(other, free - 8192 - 100), -12);
    CHECK_EQ(reserve(XENMEM_populate_physmap, id, mfns, 2, ORDER), 2);
    CHECK_EQ(claimed(), 1024);
    CHECK_EQ(claim(id, 0), 0);
    CHECK_EQ(claimed(), 0);
    CHECK_EQ(claim(id, 0), 0);
    CHECK_EQ(claim(other, 10240), 0); /* goes with its domain */
    domain_destroy(other);
    CHECK_EQ(claim(id, 10240), 0);
    CHECK_EQ(claim(id, 0), 0);
    CHECK_EQ(claim((domid_t)(id + 2), 1), -3);
}

static void descriptions(void)
{
    struct e820entry map[2] = { { 0, 0x8000000, 1 }, { 0xfee00000, 0x1000, 2 } }, back[4];
    struct xen_foreign_memory_map f = { id, { 2, map } };
    struct xen_memory_map m = { 4, back };

    CHECK_EQ(memory_op(XENMEM_memory_map, &m), -38); /* nobody has given us one */
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &f), 0);
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &f), 0);
    f.map.nr_entries = 129;
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &f), -22);
    f = (struct xen_foreign_memory_map){ id, { 2, (void *)0x1000 } };
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &f), -14);
    f = (struct xen_foreign_memory_map){ DOMID_SELF, { 2, map } };
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &f), 0);
    CHECK_EQ(memory_op(XENMEM_memory_map, &m), 0);
    CHECK_EQ(m.nr_entries, 2);
    CHECK_EQ(back[1].addr, 0xfee00000);
    m.nr_entries = 1;
    CHECK_EQ(memory_op(XENMEM_memory_map, &m), 0);
    CHECK_EQ(m.nr_entries, 1);
    f.map.nr_entries = 0;
    CHECK_EQ(memory_op(XENMEM_set_memory_map, &f), 0);
    CHECK_EQ(memory_op(XENMEM_memory_map, &m), -38);

    CHECK_EQ(of(XENMEM_maximum_gpfn, id), 0);
    domain_info(id);
    CHECK_EQ(map_foreign(window, domctl_op.u.getdomaininfo.shared_info_frame << 12 | WRITABLE, id), 0);
    ((struct shared_info *)window)->arch.max_pfn = 4711;
    window_back();
    CHECK_EQ(of(XENMEM_maximum_gpfn, id), 4710);
    CHECK_EQ(of(XENMEM_get_vnumainfo, id), -95);
    CHECK_EQ(of(XENMEM_get_sharing_freed_pages, id), 0);
    CHECK_EQ(of(XENMEM_get_sharing_shared_pages, id), 0);
}

/* Frames of its grant table: as setup_table tells them, and mapped in its name. */
static void grant_frames(void)
{
    u64 list[3], told[3];
    struct xen_mem_acquire_resource r = { .domid = id, .type = XENMEM_resource_grant_table };
    struct gnttab_setup_table g = { .dom = id, .nr_frames = 3, .frame_list = told };

    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), 0);
    CHECK_EQ(r.nr_frames, 64);
    r = (struct xen_mem_acquire_resource){
        .domid = id, .type = XENMEM_resource_grant_table, .nr_frames = 2, .frame = 1, .frame_list = list
    };
    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, &g, 1), 0);
    CHECK_EQ(g.status, GNTST_okay);
    CHECK(list[0] == told[1] && list[1] == told[2] && told[0] != told[1]);
    CHECK_EQ(map_as(MMU_PT_UPDATE_NO_TRANSLATE, window, list[0] << 12 | WRITABLE, id), 0);
    CHECK_EQ(WORDS[0], 0);
    WORDS[0] = 1;
    window_back();
    r.frame = 63;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), -22);
    r.frame = ~0UL;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), -22);
    r.frame = 0;
    r.pad = 1;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), -22);
    r.pad = 0;
    r.id = 1;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), -95);
    r.frame_list = (void *)0x1000;
    r.id = 0;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, &r), -14);
}

/* What each frame is. */
static void kinds(void)
{
    static u64 list[1025];

    CHECK_EQ(reserve(XENMEM_populate_physmap, id, mfns, 3, 0), 3);
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[0]), 0);
    CHECK_EQ(map_foreign(window, mfns[1] << 12 | WRITABLE, id), 0);
    WORDS[3] = mfns[0] << 12 | PTE_P | PTE_W | PTE_U | PTE_A;
    window_back();
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE + 1, mfns[1]), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_UNPIN_TABLE, mfns[0]), 0);
    domain_info(id);
    list[0] = mfns[0];
    list[1] = mfns[1];
    list[2] = mfns[2];
    list[3] = own >> 12 & 0xffffffffff;
    list[4] = ~0UL >> 12;
    list[5] = domctl_op.u.getdomaininfo.shared_info_frame;
    domctl_op.u.getpageframeinfo3 = (struct xen_domctl_getpageframeinfo3){ 6, (u64)list };
    CHECK_EQ(domctl(XEN_DOMCTL_getpageframeinfo3, id), 0);
    CHECK_EQ(list[0], 1UL << XEN_DOMCTL_PFINFO_LTAB_SHIFT);
    CHECK_EQ(list[1], 2UL << XEN_DOMCTL_PFINFO_LTAB_SHIFT | XEN_DOMCTL_PFINFO_LPINTAB);
    CHECK_EQ(list[2], 0);
    for (u32 i = 3; i < 6; i++)
        CHECK_EQ(list[i], XEN_DOMCTL_PFINFO_XTAB);
    domctl_op.u.getpageframeinfo3.num = 1025;
    CHECK_EQ(domctl(XEN_DOMCTL_getpageframeinfo3, id), -7);
}

static volatile u32 seen_half;

static void look_at_half(void)
{
    long frames = of(XENMEM_current_reservation, id);

    seen_half += frames > 0 && frames < BLOCKS * 512;
}

/* A call that takes long is left for an event, alone and in a multicall of one, as toolstacks make it, and then goes on where it was. */
static void event_meanwhile(bool in_multicall)
{
    struct xen_memory_reservation r = { mfns, BLOCKS, ORDER, 0, id };
    struct multicall_entry m = { .op = __HYPERVISOR_memory_op };

    id = r.domid = domain_new(1, BLOCKS * 512);
    for (u32 cmd = XENMEM_populate_physmap;; cmd = XENMEM_decrease_reservation) {
        for (u32 i = 0; cmd == XENMEM_populate_physmap && i < BLOCKS; i++)
            mfns[i] = i << ORDER;
        m.args[0] = cmd;
        m.args[1] = (u64)&r;
        seen_half = 0;
        ticks_begin(look_at_half);
        long rc = in_multicall ? HYPERCALL2(__HYPERVISOR_multicall, &m, 1) : memory_op(cmd, &r);

        ticks_end();
        print("memory: %u events came, %u of them during the call\n", tick_count, seen_half);
        CHECK_EQ(rc, in_multicall ? 0 : BLOCKS);
        CHECK_EQ(in_multicall ? m.result : BLOCKS, BLOCKS);
        CHECK(seen_half > 0 || cmd == XENMEM_decrease_reservation); /* which is over soon */
        if (cmd == XENMEM_decrease_reservation)
            break;
        CHECK_EQ(of(XENMEM_current_reservation, id), BLOCKS * 512);
        for (u32 i = 0; i < BLOCKS; i++)
            CHECK_EQ(M2P[mfns[i] + 5], (i << ORDER) + 5);
    }
    CHECK_EQ(of(XENMEM_current_reservation, id), 0);
    domain_destroy(id);
}

/* Each allocation that giving memory makes is refused once: what was given before stays, and nothing is lost. */
static void failures(void)
{
    u64 before = free_frames();
    struct e820entry map = { 0, 0x1000000, 1 };
    u32 n = 0;

    id = domain_new(1, FRAMES);
    struct xen_foreign_memory_map f = { id, { 1, &map } };
    u64 list[8];
    struct xen_mem_acquire_resource r = { .domid = id, .type = XENMEM_resource_grant_table, .nr_frames = 8, .frame_list = list };

    for (bool refused = true; refused; n++) {
        fail_allocation(n + 1);
        long given = reserve(XENMEM_populate_physmap, id, mfns, 16, 0), told = memory_op(XENMEM_set_memory_map, &f);
        long shown = memory_op(XENMEM_acquire_resource, &r);

        refused = !fail_allocation(0);
        CHECK_EQ(given, refused && n < 16 ? n : 16);
        CHECK(!told || told == -12);
        CHECK(!shown || shown == -12);
        CHECK(refused || (!told && !shown));
        CHECK_EQ(of(XENMEM_current_reservation, id), given);
        CHECK_EQ(reserve(XENMEM_decrease_reservation, id, mfns, given, 0), given);
    }
    print("memory: %u allocations refused\n", n - 1);
    CHECK(n > 16);
    domain_destroy(id);
    CHECK_EQ(free_frames(), before);
}

void test_main(void)
{
    u64 before = 0;

    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    own = *pte_of(window, 1);
    for (u32 round = 0; round < 2; round++) { /* at first the small heap grows for good */
        before = free_frames();
        reservations();
        exchanges();
        claims();
        descriptions();
        grant_frames();
        kinds();
        domain_destroy(id);
        CHECK(!domain_exists(id));
    }
    event_meanwhile(false);
    event_meanwhile(true);
    failures();
    CHECK_EQ(free_frames(), before);
}
