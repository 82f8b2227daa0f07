/* SPDX-License-Identifier: MIT */
/*
 * Grants of a domain to itself: every operation, right and with one thing wrong each, what the granter sees in its table meanwhile, and
 * that nothing is left behind. Runs on any hypervisor of this ABI.
 */
#include "grants.h"

#define FREE GRANT_FREE
#define NOBODY 77
#define FRAME(va) ((u32)va_to_mfn(va))

static u8 *granted, *window, *second;
static u64 window_entry;

static void grant(u32 ref, const void *va, u16 flags) { grant_give(ref, 0, va, flags); }

/* The window's own page is there again. */
static void restore(u64 pte) { CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, window, pte, UVMF_INVLPG), 0); }

static void set_up(void)
{
    grant_set_up();
    granted = page_new();
    window = page_new();
    second = page_new();
    CHECK(page_new() == second + PAGE_SIZE);
    window_entry = pte_machine_address(window, 1);
}

static void mapped_by_address(void)
{
    u64 own = *pte_of(window, 1), bus = va_to_mfn(granted) << 12;

    for (u32 ro = 0; ro <= GNTMAP_readonly; ro += GNTMAP_readonly) {
        grant(FREE, granted, 0);
        granted[5] = 0x42;
        CHECK_EQ(remap(window, 0), 0); /* what was there is the guest's to flush */
        struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map | ro, FREE, 0);

        CHECK_EQ(m.status, GNTST_okay);
        CHECK_EQ(m.dev_bus_addr, bus);
        CHECK_EQ(grant_in_use(FREE), ro ? GTF_reading : GTF_reading | GTF_writing);
        CHECK_EQ(((volatile u8 *)window)[5], 0x42);
        CHECK_EQ(*pte_of(window, 1) & (PTE_W | PTE_U | PTE_P), PTE_P | PTE_U | (ro ? 0 : PTE_W));
        if (ro)
            CHECK(TRAPS(14, ((volatile u8 *)window)[5] = 1));
        else
            ((volatile u8 *)window)[5] = 0x43;
        CHECK_EQ(granted[5], ro ? 0x42 : 0x43);
        CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
        CHECK_EQ(grant_in_use(FREE), 0);
        CHECK_EQ(*pte_of(window, 1), 0);
        CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_bad_handle);
        restore(own);
    }
}

/* As gntdev does it, and with the guest's bits of the entry. */
static void mapped_by_entry(void)
{
    u64 own = *pte_of(window, 1);
    u32 flags = GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte | 1u << GNTMAP_guest_avail0_shift;

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = grant_map(window_entry, flags, FREE, 0);

    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(*pte_of(window, 1) & 0xe00, 0x200);
    CHECK_EQ(grant_unmap(window_entry + 8, 0, m.handle), GNTST_general_error);
    CHECK_EQ(grant_unmap(window_entry + 4, 0, m.handle), GNTST_general_error);
    CHECK_EQ(grant_in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(grant_unmap(window_entry, 0, m.handle), GNTST_okay);
    restore(own);
}

static void mapped_for_devices(void)
{
    u64 own = *pte_of(window, 1), bus = va_to_mfn(granted) << 12;

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map | GNTMAP_device_map, FREE, 0);

    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
    CHECK_EQ(grant_in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(grant_unmap(0, bus + PAGE_SIZE, m.handle), GNTST_bad_dev_addr);
    CHECK_EQ(grant_unmap(0, bus, m.handle), GNTST_okay);
    CHECK_EQ(grant_in_use(FREE), 0);
    CHECK_EQ(grant_unmap(0, bus, m.handle), GNTST_bad_handle);
    restore(own);
    m = grant_map(0, GNTMAP_device_map | GNTMAP_readonly, FREE, 0);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(m.dev_bus_addr, bus);
    CHECK_EQ(grant_in_use(FREE), GTF_reading);
    CHECK_EQ(grant_unmap(0, bus, m.handle), GNTST_okay);
    CHECK_EQ(grant_in_use(FREE), 0);
}

static void refused(void)
{
    u64 own = *pte_of(window, 1);
    u32 all = GNTMAP_host_map;
    struct gnttab_query_size q = { .dom = DOMID_SELF };

    CHECK_EQ(grant_op(GNTTABOP_query_size, &q, 1), 0);
    grant(FREE, granted, 0);
    CHECK_EQ(grant_map((u64)window, all, FREE, NOBODY).status, GNTST_bad_domain);
    CHECK_EQ(grant_map((u64)window, all, FREE, DOMID_SELF).status, GNTST_bad_domain);
    CHECK_EQ(grant_map((u64)window, all, FREE, DOMID_IO).status, GNTST_bad_domain);
    CHECK_EQ(grant_map((u64)window, 0, FREE, 0).status, GNTST_bad_gntref);
    CHECK_EQ(grant_map((u64)window, all, q.nr_frames * GRANTS_PER_FRAME, 0).status, GNTST_bad_gntref);
    CHECK_EQ(grant_map((u64)window, all, ~0u, 0).status, GNTST_bad_gntref);
    CHECK_EQ(grant_map((u64)window, all, FREE + 1, 0).status, GNTST_general_error); /* nothing is granted */
    CHECK_EQ(grant_map(0x500000000000, all, FREE, 0).status, GNTST_general_error);  /* no table there */
    CHECK_EQ(grant_map(0xffff830000000000, all, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(grant_map(window_entry + 4, all | GNTMAP_contains_pte, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(grant_map(va_to_mfn(granted) << 12, all | GNTMAP_contains_pte, FREE, 0).status, GNTST_general_error); /* no table */
    CHECK_EQ(grant_map(0x123456789000, all | GNTMAP_contains_pte, FREE, 0).status, GNTST_general_error);
    grant_table[FREE].domid = NOBODY;
    CHECK_EQ(grant_map((u64)window, all, FREE, 0).status, GNTST_general_error);
    grant(FREE, granted, GTF_readonly);
    CHECK_EQ(grant_map((u64)window, all, FREE, 0).status, GNTST_general_error);
    grant_table[FREE].frame = 0xffffffff;
    CHECK_EQ(grant_map((u64)window, all | GNTMAP_readonly, FREE, 0).status, GNTST_bad_page);
    grant_table[FREE].frame = 0xfee00; /* registers, which we may map ourselves or not */
    CHECK(grant_map((u64)window, all | GNTMAP_readonly, FREE, 0).status < 0);
    CHECK_EQ(grant_in_use(FREE), 0);
    CHECK_EQ(*pte_of(window, 1), own);
    CHECK_EQ(grant_unmap((u64)window, 0, 0x12345), GNTST_bad_handle);
    CHECK_EQ(grant_unmap((u64)window, 0, ~0u), GNTST_bad_handle);
    CHECK_EQ(grant_op(GNTTABOP_map_grant_ref, (void *)0xffff830000000000, 1), -14);
    CHECK_EQ(grant_op(GNTTABOP_unmap_grant_ref, (void *)0x1000, 1), -14);
    CHECK_EQ(grant_op(GNTTABOP_map_grant_ref, 0, 0), 0);
    CHECK_EQ(grant_op(GNTTABOP_map_grant_ref, 0, ~0u), -22);
}

/* A page table may be granted to be read, never to be written to; what is mapped writable becomes no table. */
static void types(void)
{
    u64 own = *pte_of(window, 1), *page = page_new();

    CHECK_EQ(make_ro(page), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0), 0);
    grant(FREE, page, 0);
    CHECK_EQ(grant_map((u64)window, GNTMAP_host_map, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(grant_map((u64)window, GNTMAP_device_map, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(grant_in_use(FREE), 0);
    struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map | GNTMAP_readonly, FREE, 0);

    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(page), 0), 0);
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
    m = grant_map((u64)window, GNTMAP_host_map, FREE, 0);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0);
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0), 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(page), 0), 0);
    CHECK_EQ(make_rw(page), 0);
    restore(own);
}

/* Uses are counted: the granter sees the last one of each kind go. */
static void several_uses(void)
{
    u64 own = *pte_of(window, 1), other = *pte_of(second, 1);

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref writer = grant_map((u64)window, GNTMAP_host_map, FREE, 0);
    struct gnttab_map_grant_ref reader = grant_map((u64)second, GNTMAP_host_map | GNTMAP_readonly, FREE, 0);

    CHECK(!writer.status && !reader.status && writer.handle != reader.handle);
    CHECK_EQ(grant_unmap((u64)second, 0, writer.handle), GNTST_general_error); /* that one is read-only */
    CHECK_EQ(grant_unmap((u64)window, 0, writer.handle), GNTST_okay);
    CHECK_EQ(grant_in_use(FREE), GTF_reading);
    CHECK_EQ(grant_unmap((u64)second, 0, reader.handle), GNTST_okay);
    CHECK_EQ(grant_in_use(FREE), 0);
    restore(own);
    CHECK_EQ(remap(second, other), 0);
}

/* The entry is overwritten by other means: the frame is let go of, the use is still told, and the handle stays. */
static void entry_goes(void)
{
    u64 own = *pte_of(window, 1);

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map, FREE, 0);

    restore(own);
    CHECK_EQ(grant_in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_general_error);
    CHECK_EQ(grant_in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(*pte_of(window, 1), own);
    /* Another entry that maps the same frame does as well. */
    CHECK_EQ(remap(window, (va_to_mfn(granted) << 12) | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), 0);
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
    CHECK_EQ(grant_in_use(FREE), 0);
    restore(own);
}

static void replaced(void)
{
    u64 own = *pte_of(window, 1), other = *pte_of(second, 1);

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map, FREE, 0);

    second[0] = 0x77;
    CHECK_EQ(grant_unmap_by(GNTTABOP_unmap_and_replace, (u64)window, 0x500000000000, m.handle), GNTST_general_error);
    CHECK_EQ(grant_unmap_by(GNTTABOP_unmap_and_replace, (u64)window, (u64)second, m.handle), GNTST_okay);
    CHECK_EQ(((volatile u8 *)window)[0], 0x77);
    CHECK_EQ(*pte_of(second, 1), 0);
    CHECK_EQ(grant_in_use(FREE), 0);
    restore(own);
    CHECK_EQ(remap(second, other), 0);
    m = grant_map((u64)window, GNTMAP_host_map, FREE, 0);
    CHECK_EQ(grant_unmap_by(GNTTABOP_unmap_and_replace, (u64)window, 0, m.handle), GNTST_okay);
    CHECK_EQ(*pte_of(window, 1), 0);
    restore(own);
}

/* More than one flush serves, from the last page of references on; and more than one page of handles. */
#define MANY 300
static void many(void)
{
    static struct gnttab_map_grant_ref maps[MANY];
    static struct gnttab_unmap_grant_ref unmaps[MANY];
    u64 own = *pte_of(window, 1);

    for (u32 i = 0; i < MANY; i++) {
        grant(400 + i, granted, 0);
        maps[i] = (struct gnttab_map_grant_ref){ .flags = GNTMAP_device_map | (i & 1 ? GNTMAP_readonly : 0), .ref = 400 + i };
    }
    maps[7].flags |= GNTMAP_host_map;
    maps[7].host_addr = (u64)window;
    for (u32 round = 0; round < 3; round++) {
        CHECK_EQ(grant_op(GNTTABOP_map_grant_ref, maps, MANY), 0);
        for (u32 i = 0; i < MANY; i++) {
            CHECK_EQ(maps[i].status, GNTST_okay);
            CHECK_EQ(grant_in_use(400 + i), i & 1 ? GTF_reading : GTF_reading | GTF_writing);
            unmaps[i] = (struct gnttab_unmap_grant_ref){ .handle = maps[i].handle, .dev_bus_addr = maps[i].dev_bus_addr };
        }
        /* The two kinds of one handle in one list. */
        unmaps[7].dev_bus_addr = 0;
        unmaps[7].host_addr = (u64)window;
        CHECK_EQ(grant_unmap(0, maps[8].dev_bus_addr, maps[8].handle), GNTST_okay);
        unmaps[8] = (struct gnttab_unmap_grant_ref){ .handle = maps[7].handle, .dev_bus_addr = maps[7].dev_bus_addr };
        CHECK_EQ(grant_op(GNTTABOP_unmap_grant_ref, unmaps, MANY), 0);
        for (u32 i = 0; i < MANY; i++) {
            CHECK_EQ(unmaps[i].status, GNTST_okay);
            CHECK_EQ(grant_in_use(400 + i), 0);
        }
        restore(own);
    }
}

/* A list that cannot be read to its end: what was before is done, and finished. */
static void torn_list(void)
{
    struct gnttab_unmap_grant_ref *u = (void *)(second + PAGE_SIZE - sizeof(*u));
    u64 own = *pte_of(window, 1), behind = *pte_of(second + PAGE_SIZE, 1);

    grant(FREE, granted, 0);
    *u = (struct gnttab_unmap_grant_ref){ .host_addr = (u64)window, .handle = grant_map((u64)window, GNTMAP_host_map, FREE, 0).handle };
    CHECK_EQ(remap(second + PAGE_SIZE, 0), 0);
    CHECK_EQ(grant_op(GNTTABOP_unmap_grant_ref, u, 2), -14);
    CHECK_EQ(u->status, GNTST_okay);
    CHECK_EQ(grant_in_use(FREE), 0);
    CHECK_EQ(*pte_of(window, 1), 0);
    CHECK_EQ(remap(second + PAGE_SIZE, behind), 0);
    restore(own);
}

#define BY_REF(ref, off) GRANT_BY_REF(ref, 0, off)

/* ---- a list that takes long is left for events, and gone on with ---- */

#define LONG 4096
static struct gnttab_unmap_grant_ref long_list[LONG];
static volatile bool seen_half;
static u32 timer_port;

static void tick(void)
{
    __atomic_fetch_and(&shared_info->evtchn_pending[timer_port / 64], ~(1UL << timer_port % 64), __ATOMIC_SEQ_CST);
    shared_info->vcpu_info[0].evtchn_pending_sel = 0;
    seen_half |= long_list[0].status == GNTST_bad_handle && long_list[LONG - 1].status == 99;
}

static void event_in_between(bool in_multicall)
{
    struct evtchn_bind_virq v = { VIRQ_TIMER, 0, 0 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &v), 0);
    timer_port = v.port;
    event_handler = tick;
    seen_half = false;
    shared_info->evtchn_mask[timer_port / 64] &= ~(1UL << timer_port % 64);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, &(u64){ 1000000 }), 0);
    events_unmask();
    for (u32 tries = 0; tries < 500 && !seen_half; tries++) {
        struct multicall_entry m = { .op = __HYPERVISOR_grant_table_op, .args = { GNTTABOP_unmap_grant_ref, (u64)long_list, LONG } };

        for (u32 i = 0; i < LONG; i++)
            long_list[i] = (struct gnttab_unmap_grant_ref){ .handle = ~i, .status = 99 };
        if (in_multicall)
            CHECK(HYPERCALL2(__HYPERVISOR_multicall, &m, 1) == 0 && m.result == 0);
        else
            CHECK_EQ(grant_op(GNTTABOP_unmap_grant_ref, long_list, LONG), 0);
        for (u32 i = 0; i < LONG; i++)
            CHECK(long_list[i].status == GNTST_bad_handle && long_list[i].handle == ~i);
    }
    events_mask();
    CHECK(seen_half);
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_close, &(struct evtchn_close){ timer_port }), 0);
}

static void copies(void)
{
    u8 *from = page_new(), *to = page_new();

    for (u32 i = 0; i < PAGE_SIZE; i++)
        from[i] = (u8)(i * 7);
    grant(FREE, from, GTF_readonly);
    grant(FREE + 1, to, 0);
    CHECK_EQ(
        grant_copy((struct gnttab_copy){ BY_REF(FREE, 0), BY_REF(FREE + 1, 0), PAGE_SIZE, GNTCOPY_source_gref | GNTCOPY_dest_gref, 0 }), 0);
    for (u32 i = 0; i < PAGE_SIZE; i++)
        CHECK(to[i] == from[i]);
    CHECK_EQ(grant_copy((struct gnttab_copy){ BY_REF(FREE, 100), GRANT_BY_FRAME(to, 3), 5, GNTCOPY_source_gref, 0 }), 0);
    CHECK(to[2] == from[2] && to[3] == from[100] && to[7] == from[104] && to[8] == from[8]);
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(from, 4095), BY_REF(FREE + 1, 4095), 1, GNTCOPY_dest_gref, 0 }), 0);
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(from, 9), GRANT_BY_FRAME(to, 8), 1, 0, 0 }), 0);
    CHECK_EQ(to[8], from[9]);
    CHECK_EQ(grant_in_use(FREE) | grant_in_use(FREE + 1), 0);

    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(from, 1), GRANT_BY_FRAME(to, 0), PAGE_SIZE, 0, 0 }), GNTST_bad_copy_arg);
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(from, 0), GRANT_BY_FRAME(to, 0xffff), 1, 0, 0 }), GNTST_bad_copy_arg);
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(from, 0), BY_REF(FREE, 0), 1, GNTCOPY_dest_gref, 0 }), GNTST_general_error);
    CHECK_EQ(grant_copy((struct gnttab_copy){ BY_REF(FREE + 2, 0), GRANT_BY_FRAME(to, 0), 1, GNTCOPY_source_gref, 0 }),
             GNTST_general_error);
    CHECK_EQ(grant_copy((struct gnttab_copy){ BY_REF(~0u, 0), GRANT_BY_FRAME(to, 0), 1, GNTCOPY_source_gref, 0 }), GNTST_bad_gntref);
    struct gnttab_copy c = { GRANT_BY_FRAME(from, 0), GRANT_BY_FRAME(to, 0), 1, 0, 0 };

    c.source.domid = 0;
    CHECK_EQ(grant_copy(c), GNTST_permission_denied);
    c.source.domid = NOBODY;
    c.flags = GNTCOPY_source_gref;
    CHECK_EQ(grant_copy(c), GNTST_bad_domain);
    c = (struct gnttab_copy){ GRANT_BY_FRAME(from, 0), GRANT_BY_FRAME(to, 0), 1, 0, 0 };
    c.source.u.gmfn = 0xffffffffffff;
    CHECK_EQ(grant_copy(c), GNTST_bad_page);
    /* A page table is no destination. */
    c = (struct gnttab_copy){ GRANT_BY_FRAME(from, 0), GRANT_BY_FRAME(to, 0), 1, 0, 0 };
    c.dest.u.gmfn = window_entry >> 12;
    CHECK_EQ(grant_copy(c), GNTST_general_error);
    CHECK_EQ(grant_in_use(FREE) | grant_in_use(FREE + 1), 0);
}

static int swap(u32 a, u32 b)
{
    struct gnttab_swap_grant_ref s = { a, b, 99 };

    CHECK_EQ(grant_op(GNTTABOP_swap_grant_ref, &s, 1), 0);
    return s.status;
}

static void swapped(void)
{
    grant(FREE, granted, 0);
    grant(FREE + 1, window, GTF_readonly);
    CHECK_EQ(swap(FREE, FREE + 1), GNTST_okay);
    CHECK_EQ(grant_table[FREE].frame, FRAME(window));
    CHECK_EQ(grant_table[FREE].flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(grant_table[FREE + 1].frame, FRAME(granted));
    CHECK_EQ(swap(FREE, FREE), GNTST_okay);
    CHECK_EQ(swap(FREE, ~0u), GNTST_bad_gntref);
    CHECK_EQ(swap(~0u, FREE), GNTST_bad_gntref);
    struct gnttab_map_grant_ref m = grant_map(0, GNTMAP_device_map, FREE + 1, 0);

    CHECK_EQ(swap(FREE, FREE + 1), GNTST_eagain);
    CHECK_EQ(grant_unmap(0, m.dev_bus_addr, m.handle), GNTST_okay);
    CHECK_EQ(swap(FREE, FREE + 1), GNTST_okay);
}

void test_main(void)
{
    set_up();
    mapped_by_address();
    mapped_by_entry();
    mapped_for_devices();
    refused();
    types();
    several_uses();
    entry_goes();
    replaced();
    many();
    torn_list();
    copies();
    swapped();
    event_in_between(false);
    event_in_between(true);
}
