/* SPDX-License-Identifier: MIT */
/*
 * Grants of a domain to itself: every operation, right and with one thing wrong each, what the granter sees in its table meanwhile, and
 * that nothing is left behind. Runs on any hypervisor of this ABI.
 */
#include "guest.h"
#include <public/grant_table.h>

#define ENTRIES 512
#define FREE 8 /* the first of the references that are used here */
#define NOBODY 77
#define FRAME(va) ((u32)va_to_mfn(va))

static struct grant_entry_v1 *table; /* two frames, side by side */
static u8 *granted, *window, *second;
static u64 window_entry;

static long call(u32 cmd, void *list, u32 count) { return HYPERCALL3(__HYPERVISOR_grant_table_op, cmd, list, count); }

static struct gnttab_map_grant_ref map(u64 at, u32 flags, u32 ref, domid_t dom)
{
    struct gnttab_map_grant_ref m = { .host_addr = at, .flags = flags, .ref = ref, .dom = dom, .status = 99 };

    CHECK_EQ(call(GNTTABOP_map_grant_ref, &m, 1), 0);
    return m;
}

static int unmap_by(u32 cmd, u64 at, u64 other, u32 handle)
{
    struct gnttab_unmap_grant_ref u = { .host_addr = at, .dev_bus_addr = other, .handle = handle, .status = 99 };

    CHECK_EQ(call(cmd, &u, 1), 0);
    return u.status;
}

static int unmap(u64 at, u64 bus, u32 handle) { return unmap_by(GNTTABOP_unmap_grant_ref, at, bus, handle); }

static void grant(u32 ref, const void *va, u16 flags)
{
    table[ref] = (struct grant_entry_v1){ .flags = (u16)(GTF_permit_access | flags), .domid = 0, .frame = FRAME(va) };
}

static u16 in_use(u32 ref) { return ((volatile struct grant_entry_v1 *)table)[ref].flags & (GTF_reading | GTF_writing); }

/* The window's own page is there again. */
static void restore(u64 pte) { CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, window, pte, UVMF_INVLPG), 0); }

static void set_up(void)
{
    u64 frames[2] = { 0 };
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 2, .frame_list = frames };
    u8 *at = page_new();

    table = (void *)at;
    CHECK(page_new() == at + PAGE_SIZE);
    CHECK_EQ(call(GNTTABOP_setup_table, &s, 1), 0);
    CHECK_EQ(s.status, GNTST_okay);
    for (u32 i = 0; i < 2; i++)
        CHECK_EQ(remap(at + i * PAGE_SIZE, frames[i] << 12 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), 0);
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
        struct gnttab_map_grant_ref m = map((u64)window, GNTMAP_host_map | ro, FREE, 0);

        CHECK_EQ(m.status, GNTST_okay);
        CHECK_EQ(m.dev_bus_addr, bus);
        CHECK_EQ(in_use(FREE), ro ? GTF_reading : GTF_reading | GTF_writing);
        CHECK_EQ(((volatile u8 *)window)[5], 0x42);
        CHECK_EQ(*pte_of(window, 1) & (PTE_W | PTE_U | PTE_P), PTE_P | PTE_U | (ro ? 0 : PTE_W));
        if (ro)
            CHECK(TRAPS(14, ((volatile u8 *)window)[5] = 1));
        else
            ((volatile u8 *)window)[5] = 0x43;
        CHECK_EQ(granted[5], ro ? 0x42 : 0x43);
        CHECK_EQ(unmap((u64)window, 0, m.handle), GNTST_okay);
        CHECK_EQ(in_use(FREE), 0);
        CHECK_EQ(*pte_of(window, 1), 0);
        CHECK_EQ(unmap((u64)window, 0, m.handle), GNTST_bad_handle);
        restore(own);
    }
}

/* As gntdev does it, and with the guest's bits of the entry. */
static void mapped_by_entry(void)
{
    u64 own = *pte_of(window, 1);
    u32 flags = GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte | 1u << GNTMAP_guest_avail0_shift;

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = map(window_entry, flags, FREE, 0);

    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(*pte_of(window, 1) & 0xe00, 0x200);
    CHECK_EQ(unmap(window_entry + 8, 0, m.handle), GNTST_general_error);
    CHECK_EQ(unmap(window_entry + 4, 0, m.handle), GNTST_general_error);
    CHECK_EQ(in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(unmap(window_entry, 0, m.handle), GNTST_okay);
    restore(own);
}

static void mapped_for_devices(void)
{
    u64 own = *pte_of(window, 1), bus = va_to_mfn(granted) << 12;

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = map((u64)window, GNTMAP_host_map | GNTMAP_device_map, FREE, 0);

    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(unmap((u64)window, 0, m.handle), GNTST_okay);
    CHECK_EQ(in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(unmap(0, bus + PAGE_SIZE, m.handle), GNTST_bad_dev_addr);
    CHECK_EQ(unmap(0, bus, m.handle), GNTST_okay);
    CHECK_EQ(in_use(FREE), 0);
    CHECK_EQ(unmap(0, bus, m.handle), GNTST_bad_handle);
    restore(own);
    m = map(0, GNTMAP_device_map | GNTMAP_readonly, FREE, 0);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(m.dev_bus_addr, bus);
    CHECK_EQ(in_use(FREE), GTF_reading);
    CHECK_EQ(unmap(0, bus, m.handle), GNTST_okay);
    CHECK_EQ(in_use(FREE), 0);
}

static void refused(void)
{
    u64 own = *pte_of(window, 1);
    u32 all = GNTMAP_host_map;
    struct gnttab_query_size q = { .dom = DOMID_SELF };

    CHECK_EQ(call(GNTTABOP_query_size, &q, 1), 0);
    grant(FREE, granted, 0);
    CHECK_EQ(map((u64)window, all, FREE, NOBODY).status, GNTST_bad_domain);
    CHECK_EQ(map((u64)window, all, FREE, DOMID_SELF).status, GNTST_bad_domain);
    CHECK_EQ(map((u64)window, all, FREE, DOMID_IO).status, GNTST_bad_domain);
    CHECK_EQ(map((u64)window, 0, FREE, 0).status, GNTST_bad_gntref);
    CHECK_EQ(map((u64)window, all, q.nr_frames * ENTRIES, 0).status, GNTST_bad_gntref);
    CHECK_EQ(map((u64)window, all, ~0u, 0).status, GNTST_bad_gntref);
    CHECK_EQ(map((u64)window, all, FREE + 1, 0).status, GNTST_general_error); /* nothing is granted */
    CHECK_EQ(map(0x500000000000, all, FREE, 0).status, GNTST_general_error);  /* no table there */
    CHECK_EQ(map(0xffff830000000000, all, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(map(window_entry + 4, all | GNTMAP_contains_pte, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(map(va_to_mfn(granted) << 12, all | GNTMAP_contains_pte, FREE, 0).status, GNTST_general_error); /* no table */
    CHECK_EQ(map(0x123456789000, all | GNTMAP_contains_pte, FREE, 0).status, GNTST_general_error);
    table[FREE].domid = NOBODY;
    CHECK_EQ(map((u64)window, all, FREE, 0).status, GNTST_general_error);
    grant(FREE, granted, GTF_readonly);
    CHECK_EQ(map((u64)window, all, FREE, 0).status, GNTST_general_error);
    table[FREE].frame = 0xffffffff;
    CHECK_EQ(map((u64)window, all | GNTMAP_readonly, FREE, 0).status, GNTST_bad_page);
    table[FREE].frame = 0xfee00; /* registers, which we may map ourselves or not */
    CHECK(map((u64)window, all | GNTMAP_readonly, FREE, 0).status < 0);
    CHECK_EQ(in_use(FREE), 0);
    CHECK_EQ(*pte_of(window, 1), own);
    CHECK_EQ(unmap((u64)window, 0, 0x12345), GNTST_bad_handle);
    CHECK_EQ(unmap((u64)window, 0, ~0u), GNTST_bad_handle);
    CHECK_EQ(call(GNTTABOP_map_grant_ref, (void *)0xffff830000000000, 1), -14);
    CHECK_EQ(call(GNTTABOP_unmap_grant_ref, (void *)0x1000, 1), -14);
    CHECK_EQ(call(GNTTABOP_map_grant_ref, 0, 0), 0);
    CHECK_EQ(call(GNTTABOP_map_grant_ref, 0, ~0u), -22);
}

/* A page table may be granted to be read, never to be written to; what is mapped writable becomes no table. */
static void types(void)
{
    u64 own = *pte_of(window, 1), *page = page_new();

    CHECK_EQ(make_ro(page), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0), 0);
    grant(FREE, page, 0);
    CHECK_EQ(map((u64)window, GNTMAP_host_map, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(map((u64)window, GNTMAP_device_map, FREE, 0).status, GNTST_general_error);
    CHECK_EQ(in_use(FREE), 0);
    struct gnttab_map_grant_ref m = map((u64)window, GNTMAP_host_map | GNTMAP_readonly, FREE, 0);

    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(page), 0), 0);
    CHECK_EQ(unmap((u64)window, 0, m.handle), GNTST_okay);
    m = map((u64)window, GNTMAP_host_map, FREE, 0);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page), 0) < 0);
    CHECK_EQ(unmap((u64)window, 0, m.handle), GNTST_okay);
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
    struct gnttab_map_grant_ref writer = map((u64)window, GNTMAP_host_map, FREE, 0);
    struct gnttab_map_grant_ref reader = map((u64)second, GNTMAP_host_map | GNTMAP_readonly, FREE, 0);

    CHECK(!writer.status && !reader.status && writer.handle != reader.handle);
    CHECK_EQ(unmap((u64)second, 0, writer.handle), GNTST_general_error); /* that one is read-only */
    CHECK_EQ(unmap((u64)window, 0, writer.handle), GNTST_okay);
    CHECK_EQ(in_use(FREE), GTF_reading);
    CHECK_EQ(unmap((u64)second, 0, reader.handle), GNTST_okay);
    CHECK_EQ(in_use(FREE), 0);
    restore(own);
    CHECK_EQ(remap(second, other), 0);
}

/* The entry is overwritten by other means: the frame is let go of, the use is still told, and the handle stays. */
static void entry_goes(void)
{
    u64 own = *pte_of(window, 1);

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = map((u64)window, GNTMAP_host_map, FREE, 0);

    restore(own);
    CHECK_EQ(in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(unmap((u64)window, 0, m.handle), GNTST_general_error);
    CHECK_EQ(in_use(FREE), GTF_reading | GTF_writing);
    CHECK_EQ(*pte_of(window, 1), own);
    /* Another entry that maps the same frame does as well. */
    CHECK_EQ(remap(window, (va_to_mfn(granted) << 12) | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), 0);
    CHECK_EQ(unmap((u64)window, 0, m.handle), GNTST_okay);
    CHECK_EQ(in_use(FREE), 0);
    restore(own);
}

static void replaced(void)
{
    u64 own = *pte_of(window, 1), other = *pte_of(second, 1);

    grant(FREE, granted, 0);
    struct gnttab_map_grant_ref m = map((u64)window, GNTMAP_host_map, FREE, 0);

    second[0] = 0x77;
    CHECK_EQ(unmap_by(GNTTABOP_unmap_and_replace, (u64)window, 0x500000000000, m.handle), GNTST_general_error);
    CHECK_EQ(unmap_by(GNTTABOP_unmap_and_replace, (u64)window, (u64)second, m.handle), GNTST_okay);
    CHECK_EQ(((volatile u8 *)window)[0], 0x77);
    CHECK_EQ(*pte_of(second, 1), 0);
    CHECK_EQ(in_use(FREE), 0);
    restore(own);
    CHECK_EQ(remap(second, other), 0);
    m = map((u64)window, GNTMAP_host_map, FREE, 0);
    CHECK_EQ(unmap_by(GNTTABOP_unmap_and_replace, (u64)window, 0, m.handle), GNTST_okay);
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
        CHECK_EQ(call(GNTTABOP_map_grant_ref, maps, MANY), 0);
        for (u32 i = 0; i < MANY; i++) {
            CHECK_EQ(maps[i].status, GNTST_okay);
            CHECK_EQ(in_use(400 + i), i & 1 ? GTF_reading : GTF_reading | GTF_writing);
            unmaps[i] = (struct gnttab_unmap_grant_ref){ .handle = maps[i].handle, .dev_bus_addr = maps[i].dev_bus_addr };
        }
        /* The two kinds of one handle in one list. */
        unmaps[7].dev_bus_addr = 0;
        unmaps[7].host_addr = (u64)window;
        CHECK_EQ(unmap(0, maps[8].dev_bus_addr, maps[8].handle), GNTST_okay);
        unmaps[8] = (struct gnttab_unmap_grant_ref){ .handle = maps[7].handle, .dev_bus_addr = maps[7].dev_bus_addr };
        CHECK_EQ(call(GNTTABOP_unmap_grant_ref, unmaps, MANY), 0);
        for (u32 i = 0; i < MANY; i++) {
            CHECK_EQ(unmaps[i].status, GNTST_okay);
            CHECK_EQ(in_use(400 + i), 0);
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
    *u = (struct gnttab_unmap_grant_ref){ .host_addr = (u64)window, .handle = map((u64)window, GNTMAP_host_map, FREE, 0).handle };
    CHECK_EQ(remap(second + PAGE_SIZE, 0), 0);
    CHECK_EQ(call(GNTTABOP_unmap_grant_ref, u, 2), -14);
    CHECK_EQ(u->status, GNTST_okay);
    CHECK_EQ(in_use(FREE), 0);
    CHECK_EQ(*pte_of(window, 1), 0);
    CHECK_EQ(remap(second + PAGE_SIZE, behind), 0);
    restore(own);
}

static int copy(struct gnttab_copy c)
{
    c.status = 99;
    CHECK_EQ(call(GNTTABOP_copy, &c, 1), 0);
    return c.status;
}

#define BY_FRAME(va, off)                                                  \
    {                                                                      \
        .u.gmfn = va_to_mfn(va), .domid = DOMID_SELF, .offset = (u16)(off) \
    }
#define BY_REF(r, off)                                 \
    {                                                  \
        .u.ref = (r), .domid = 0, .offset = (u16)(off) \
    }

static void copies(void)
{
    u8 *from = page_new(), *to = page_new();

    for (u32 i = 0; i < PAGE_SIZE; i++)
        from[i] = (u8)(i * 7);
    grant(FREE, from, GTF_readonly);
    grant(FREE + 1, to, 0);
    CHECK_EQ(copy((struct gnttab_copy){ BY_REF(FREE, 0), BY_REF(FREE + 1, 0), PAGE_SIZE, GNTCOPY_source_gref | GNTCOPY_dest_gref, 0 }), 0);
    for (u32 i = 0; i < PAGE_SIZE; i++)
        CHECK(to[i] == from[i]);
    CHECK_EQ(copy((struct gnttab_copy){ BY_REF(FREE, 100), BY_FRAME(to, 3), 5, GNTCOPY_source_gref, 0 }), 0);
    CHECK(to[2] == from[2] && to[3] == from[100] && to[7] == from[104] && to[8] == from[8]);
    CHECK_EQ(copy((struct gnttab_copy){ BY_FRAME(from, 4095), BY_REF(FREE + 1, 4095), 1, GNTCOPY_dest_gref, 0 }), 0);
    CHECK_EQ(copy((struct gnttab_copy){ BY_FRAME(from, 9), BY_FRAME(to, 8), 1, 0, 0 }), 0);
    CHECK_EQ(to[8], from[9]);
    CHECK_EQ(in_use(FREE) | in_use(FREE + 1), 0);

    CHECK_EQ(copy((struct gnttab_copy){ BY_FRAME(from, 1), BY_FRAME(to, 0), PAGE_SIZE, 0, 0 }), GNTST_bad_copy_arg);
    CHECK_EQ(copy((struct gnttab_copy){ BY_FRAME(from, 0), BY_FRAME(to, 0xffff), 1, 0, 0 }), GNTST_bad_copy_arg);
    CHECK_EQ(copy((struct gnttab_copy){ BY_FRAME(from, 0), BY_REF(FREE, 0), 1, GNTCOPY_dest_gref, 0 }), GNTST_general_error);
    CHECK_EQ(copy((struct gnttab_copy){ BY_REF(FREE + 2, 0), BY_FRAME(to, 0), 1, GNTCOPY_source_gref, 0 }), GNTST_general_error);
    CHECK_EQ(copy((struct gnttab_copy){ BY_REF(~0u, 0), BY_FRAME(to, 0), 1, GNTCOPY_source_gref, 0 }), GNTST_bad_gntref);
    struct gnttab_copy c = { BY_FRAME(from, 0), BY_FRAME(to, 0), 1, 0, 0 };

    c.source.domid = 0;
    CHECK_EQ(copy(c), GNTST_permission_denied);
    c.source.domid = NOBODY;
    c.flags = GNTCOPY_source_gref;
    CHECK_EQ(copy(c), GNTST_bad_domain);
    c = (struct gnttab_copy){ BY_FRAME(from, 0), BY_FRAME(to, 0), 1, 0, 0 };
    c.source.u.gmfn = 0xffffffffffff;
    CHECK_EQ(copy(c), GNTST_bad_page);
    /* A page table is no destination. */
    c = (struct gnttab_copy){ BY_FRAME(from, 0), BY_FRAME(to, 0), 1, 0, 0 };
    c.dest.u.gmfn = window_entry >> 12;
    CHECK_EQ(copy(c), GNTST_general_error);
    CHECK_EQ(in_use(FREE) | in_use(FREE + 1), 0);
}

static int swap(u32 a, u32 b)
{
    struct gnttab_swap_grant_ref s = { a, b, 99 };

    CHECK_EQ(call(GNTTABOP_swap_grant_ref, &s, 1), 0);
    return s.status;
}

static void swapped(void)
{
    grant(FREE, granted, 0);
    grant(FREE + 1, window, GTF_readonly);
    CHECK_EQ(swap(FREE, FREE + 1), GNTST_okay);
    CHECK_EQ(table[FREE].frame, FRAME(window));
    CHECK_EQ(table[FREE].flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(table[FREE + 1].frame, FRAME(granted));
    CHECK_EQ(swap(FREE, FREE), GNTST_okay);
    CHECK_EQ(swap(FREE, ~0u), GNTST_bad_gntref);
    CHECK_EQ(swap(~0u, FREE), GNTST_bad_gntref);
    struct gnttab_map_grant_ref m = map(0, GNTMAP_device_map, FREE + 1, 0);

    CHECK_EQ(swap(FREE, FREE + 1), GNTST_eagain);
    CHECK_EQ(unmap(0, m.dev_bus_addr, m.handle), GNTST_okay);
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
}
