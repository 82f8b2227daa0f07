/* SPDX-License-Identifier: MIT */
/*
 * Grants between dom0 and a guest, in both directions: what each sees of the other's memory and of its use, grants that are taken back while
 * somebody tries to use them, and the end of either side in the middle. Nothing is left of it.
 */
#include "domu.h"
#include "grants.h"
#include "smp.h"

enum { READY, STOP, DONE, ID, FAILED, ROUNDS, FIRST_REF, KIND }; /* words of the box */
#define REF GRANT_FREE
#define PAGES 4
#define PATTERN 0x5a5a0000UL

static struct domu g;
static u8 *window, *page[PAGES];
static u64 own_pte, frames_before;

static volatile u64 *words(void) { return g.box->words; }
static void yield(void) { HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0); }
static void window_back(void) { CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, window, own_pte, UVMF_INVLPG), 0); }

static void until(u32 word, u64 value)
{
    u64 end = smp_time(0) + 60000000000UL;

    while (words()[word] < value && smp_time(0) < end)
        smp_sleep_until(0, smp_time(0) + 1000000);
    CHECK(words()[word] >= value);
}

/* ---- the guest as granter ---- */

static void guest_wait(void)
{
    volatile u64 *w = domu_box.words;

    w[READY] = 1;
    while (!w[STOP])
        yield();
}

static void grants_pages(u64 arg)
{
    grant_set_up();
    for (u32 i = 0; i < PAGES; i++) {
        page[i] = page_new();
        *(u64 *)page[i] = PATTERN + i;
        grant_give(REF + i, 0, page[i], i == 1 ? GTF_readonly : 0);
    }
    grant_give(REF + PAGES, 7, page[0], 0); /* somebody else's */
    guest_wait();
    for (u32 i = 0; i < PAGES; i++)
        CHECK_EQ(grant_in_use(REF + i), 0);
    CHECK_EQ(*(u64 *)page[0], arg);
    CHECK_EQ(*(u64 *)page[1], PATTERN + 1);
    CHECK_EQ(*(u64 *)page[2], PATTERN + 1); /* a copy of it */
    CHECK_EQ(((u64 *)page[3])[1], 0x77);
    domu_box.words[DONE] = 1;
}

static void start(void (*main)(u64 arg), u64 arg)
{
    domu_create(&g, 1);
    domu_load(&g, main, arg);
    domu_make_context(&g);
    CHECK_EQ(domu_set_context(&g, 0), 0);
    words()[ID] = g.id;
    CHECK_EQ(domu_unpause(&g), 0);
}

static void guest_grants(void)
{
    start(grants_pages, 0x1234);
    until(READY, 1);
    CHECK_EQ(remap(window, 0), 0);
    struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map, REF, g.id);

    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(*(volatile u64 *)window, PATTERN);
    *(volatile u64 *)window = 0x1234;
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
    CHECK_EQ(grant_map((u64)window, GNTMAP_host_map, REF + 1, g.id).status, GNTST_general_error);
    CHECK_EQ(grant_map((u64)window, GNTMAP_host_map, REF + PAGES, g.id).status, GNTST_general_error);
    m = grant_map(pte_machine_address(window, 1), GNTMAP_host_map | GNTMAP_readonly | GNTMAP_contains_pte | GNTMAP_application_map, REF + 1,
                  g.id);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(*(volatile u64 *)window, PATTERN + 1);
    CHECK(HYPERCALL3(__HYPERVISOR_update_va_mapping, window, *pte_of(window, 1) | PTE_W, UVMF_INVLPG) < 0);
    CHECK_EQ(grant_unmap(pte_machine_address(window, 1), 0, m.handle), GNTST_okay);
    /* Between two of the guest's; and from one of ours. */
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_REF(REF + 1, g.id, 0), GRANT_BY_REF(REF + 2, g.id, 0), 8,
                                              GNTCOPY_source_gref | GNTCOPY_dest_gref, 0 }),
             GNTST_okay);
    *(u64 *)page[0] = 0x77;
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(page[0], 0), GRANT_BY_REF(REF + 3, g.id, 8), 8, GNTCOPY_dest_gref, 0 }),
             GNTST_okay);
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(page[0], 0), GRANT_BY_REF(REF + 1, g.id, 8), 8, GNTCOPY_dest_gref, 0 }),
             GNTST_general_error);
    words()[STOP] = 1;
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_poweroff);
    CHECK_EQ(words()[DONE], 1);
    domu_destroy(&g);
    window_back();
}

/* ---- the guest ends while its memory is in use here ---- */

static void granter_ends(void)
{
    start(grants_pages, 0);
    until(READY, 1);
    domid_t id = g.id;
    CHECK_EQ(remap(window, 0), 0);
    struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map, REF, id);
    struct gnttab_map_grant_ref device = grant_map(0, GNTMAP_device_map, REF + 2, id);

    CHECK(!m.status && !device.status);
    domu_destroy(&g);
    CHECK(domain_exists(id)); /* dead, but in use */
    CHECK(domctl_op.u.getdomaininfo.flags & XEN_DOMINF_dying);
    CHECK_EQ(domctl_op.u.getdomaininfo.tot_pages, 2);
    CHECK_EQ(*(volatile u64 *)window, PATTERN);
    *(volatile u64 *)window = 1;
    CHECK_EQ(grant_map((u64)page[1], GNTMAP_host_map, REF, id).status, GNTST_bad_domain);
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
    CHECK(domain_exists(id));
    CHECK_EQ(grant_unmap(0, device.dev_bus_addr, device.handle), GNTST_okay);
    CHECK(!domain_exists(id));
    window_back();
}

/* The entry goes by other means; the handle alone keeps the domain, and goes with the right entry. */
static void granter_ends_unmapped(void)
{
    start(grants_pages, 0);
    until(READY, 1);
    domid_t id = g.id;
    CHECK_EQ(remap(window, 0), 0);
    struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map | GNTMAP_readonly, REF, id);

    CHECK_EQ(m.status, GNTST_okay);
    window_back();
    domu_destroy(&g);
    CHECK(domain_exists(id));
    CHECK_EQ(domctl_op.u.getdomaininfo.tot_pages, 0);
    CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_general_error);
    /* A mapping of that frame, whosever it is by now, will do. */
    u64 frame = m.dev_bus_addr >> 12;
    u64 mfns[64];
    u32 n = 0;

    while (n < 64 && reserve(XENMEM_increase_reservation, DOMID_SELF, mfns + n, 1, 0) == 1 && mfns[n++] != frame)
        ;
    if (mfns[n - 1] == frame) {
        CHECK_EQ(remap(window, frame << 12 | READ_ONLY), 0);
        CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
        CHECK(!domain_exists(id));
        window_back();
    } else {
        print("grants: the frame did not come back\n");
        frames_before = 0; /* its domain stays for good */
    }
    CHECK_EQ(reserve(XENMEM_decrease_reservation, DOMID_SELF, mfns, n, 0), n);
}

/* ---- the guest as mapper ---- */

static void maps_of_dom0(u64 arg)
{
    volatile u64 *w = domu_box.words;
    u8 *at = page_new(), *other = page_new();
    u32 nr = (u32)w[FIRST_REF];
    struct gnttab_map_grant_ref m;

    (void)arg;
    for (u32 n = 1;; n++) { /* the first mapping allocates: each refused once */
        fail_allocation(n);
        m = grant_map((u64)at, GNTMAP_host_map, nr, 0);
        if (fail_allocation(0))
            break;
        CHECK_EQ(m.status, GNTST_no_device_space);
    }
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(grant_map((u64)other, GNTMAP_host_map, nr + 1, 0).status, GNTST_general_error); /* it may be read */
    CHECK_EQ(grant_map((u64)other, GNTMAP_host_map | GNTMAP_readonly, nr + 1, 0).status, GNTST_okay);
    CHECK_EQ(grant_map((u64)other, GNTMAP_host_map, nr + 2, 0).status, GNTST_general_error); /* not for us */
    CHECK_EQ(grant_map(0, GNTMAP_device_map, nr + 3, 0).status, GNTST_okay);
    CHECK_EQ(grant_map((u64)other, GNTMAP_host_map, nr, 77).status, GNTST_bad_domain);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    ((volatile u64 *)at)[1] = ((volatile u64 *)other)[0];
    struct gnttab_query_size q = { .dom = 0 };
    struct gnttab_setup_table s = { .dom = 0, .nr_frames = 1 };

    CHECK_EQ(grant_op(GNTTABOP_query_size, &q, 1), 0);
    CHECK_EQ(q.status, GNTST_permission_denied);
    CHECK_EQ(grant_op(GNTTABOP_setup_table, &s, 1), 0);
    CHECK_EQ(s.status, GNTST_permission_denied);
    /* The table with the entries goes, and comes back: not with them. */
    CHECK_EQ(grant_copy((struct gnttab_copy){ GRANT_BY_REF(nr, 0, 0), GRANT_BY_FRAME(page[3] = page_new(), 0), 8, GNTCOPY_source_gref, 0 }),
             GNTST_okay);
    w[DONE] = *(u64 *)page[3];
    guest_wait();
}

static void mapper_ends(void)
{
    domu_create(&g, 1);
    domu_load(&g, maps_of_dom0, 0);
    domu_make_context(&g);
    CHECK_EQ(domu_set_context(&g, 0), 0);
    words()[FIRST_REF] = REF;
    for (u32 i = 0; i < PAGES; i++) {
        *(u64 *)page[i] = PATTERN + i;
        grant_give(REF + i, i == 2 ? 77 : g.id, page[i], i == 1 ? GTF_readonly : 0);
    }
    CHECK_EQ(domu_unpause(&g), 0);
    until(READY, 1);
    CHECK_EQ(grant_in_use(REF), GTF_reading | GTF_writing);
    CHECK_EQ(grant_in_use(REF + 1), GTF_reading);
    CHECK_EQ(grant_in_use(REF + 2), 0);
    CHECK_EQ(grant_in_use(REF + 3), GTF_reading | GTF_writing);
    CHECK(!grant_take_back(REF));
    CHECK_EQ(((volatile u64 *)page[0])[1], PATTERN + 1);
    CHECK_EQ(words()[DONE], PATTERN);
    domu_destroy(&g);
    for (u32 i = 0; i < PAGES; i++)
        CHECK(grant_take_back(REF + i));
    /* Nobody has it mapped: it may become a table. */
    memory_set(page[0], 0, PAGE_SIZE);
    CHECK_EQ(make_ro(page[0]), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(page[0]), 0), 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(page[0]), 0), 0);
    CHECK_EQ(make_rw(page[0]), 0);
}

/* Maps and unmaps as fast as it can, and is ended in the middle of that. */
static void maps_all_the_time(u64 arg)
{
    volatile u64 *w = domu_box.words;
    static struct gnttab_map_grant_ref m[PAGES];
    static struct gnttab_unmap_grant_ref u[PAGES];

    (void)arg;
    for (u32 i = 0; i < PAGES; i++)
        page[i] = page_new();
    for (;;) {
        for (u32 i = 0; i < PAGES; i++)
            m[i] = (struct gnttab_map_grant_ref){ .host_addr = (u64)page[i], .flags = GNTMAP_host_map, .ref = REF + i };
        CHECK_EQ(grant_op(GNTTABOP_map_grant_ref, m, PAGES), 0);
        for (u32 i = 0; i < PAGES; i++)
            u[i] = (struct gnttab_unmap_grant_ref){ .host_addr = (u64)page[i], .handle = m[i].handle };
        w[READY]++;
        CHECK_EQ(grant_op(GNTTABOP_unmap_grant_ref, u, PAGES), 0);
    }
}

static void ends_anywhere(void)
{
    for (u32 round = 0; round < 12; round++) {
        domu_new(&g, 1, maps_all_the_time, 0);
        for (u32 i = 0; i < PAGES; i++)
            grant_give(REF + i, g.id, page[i], 0);
        CHECK_EQ(domu_unpause(&g), 0);
        until(READY, 1 + round * 3);
        domu_destroy(&g);
        for (u32 i = 0; i < PAGES; i++)
            CHECK(grant_take_back(REF + i));
    }
}

/* ---- taken back while the other side tries ---- */

/* A page is private while it is not granted: nobody changes it then. */
static void takes_back(u64 arg)
{
    volatile u64 *w = domu_box.words;
    volatile u64 *data = page_new();

    (void)arg;
    grant_set_up();
    for (u64 n = 1; !w[STOP]; n++) {
        grant_give(REF, 0, (void *)data, 0);
        w[READY] = n;
        if (n % 4 == 0)
            yield();
        while (!grant_take_back(REF))
            w[ROUNDS]++;
        *data = n;
        for (u32 i = 0; i < 200; i++)
            w[FAILED] += *data != n;
    }
}

static void use_what_is_taken_back(void)
{
    u32 used = 0;

    start(takes_back, 0);
    until(READY, 1);
    CHECK_EQ(remap(window, 0), 0);
    u64 end = smp_time(0) + 1500000000UL;

    for (u32 n = 0; n < 20000 && (used < 300 || n % 64) && smp_time(0) < end; n++) {
        struct gnttab_map_grant_ref m = grant_map((u64)window, GNTMAP_host_map, REF, g.id);

        if (!m.status) {
            for (u32 i = 0; i < 50; i++)
                *(volatile u64 *)window = ~0UL;
            used++;
            CHECK_EQ(grant_unmap((u64)window, 0, m.handle), GNTST_okay);
        } else {
            CHECK_EQ(m.status, GNTST_general_error);
            yield();
        }
        used += !grant_copy((struct gnttab_copy){ GRANT_BY_FRAME(page[0], 0), GRANT_BY_REF(REF, g.id, 0), 64, GNTCOPY_dest_gref, 0 });
    }
    words()[STOP] = 1;
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_poweroff);
    print("grants: used %u times, found in use 0x%lx times, of 0x%lx\n", used, words()[ROUNDS], words()[READY]);
    CHECK(used > 0);
    CHECK_EQ(words()[FAILED], 0);
    domu_destroy(&g);
    window_back();
}

/* ---- limits and the toolstack's side ---- */

static void limits(void)
{
    domctl_op.u.createdomain = (struct xen_domctl_createdomain){
        .max_vcpus = 1, .max_evtchn_port = 1023, .max_grant_frames = 3, .max_maptrack_frames = 0, .grant_opts = 1
    };
    CHECK_EQ(domctl(XEN_DOMCTL_createdomain, DOMID_INVALID), 0);
    domid_t id = domctl_op.domain;
    u64 frames[4];
    struct gnttab_setup_table s = { .dom = id, .nr_frames = 4, .frame_list = frames };
    struct gnttab_query_size q = { .dom = id };
    u32 n = 1;

    CHECK_EQ(grant_op(GNTTABOP_setup_table, &s, 1), 0);
    CHECK_EQ(s.status, GNTST_general_error);
    s.nr_frames = 3;
    for (;; n++) { /* every allocation is refused once */
        fail_allocation(n);
        CHECK_EQ(grant_op(GNTTABOP_setup_table, &s, 1), 0);
        if (fail_allocation(0))
            break;
        CHECK_EQ(s.status, GNTST_general_error);
    }
    CHECK_EQ(s.status, GNTST_okay);
    CHECK_EQ(grant_op(GNTTABOP_query_size, &q, 1), 0);
    CHECK(q.nr_frames == 3 && q.max_nr_frames == 3);
    /* The toolstack writes the first entries through a mapping of its own. */
    CHECK_EQ(map_as(MMU_PT_UPDATE_NO_TRANSLATE, window, frames[0] << 12 | WRITABLE, id), 0);
    ((volatile struct grant_entry_v1 *)window)[1] = (struct grant_entry_v1){ GTF_permit_access, 0, 5 };
    window_back();
    CHECK_EQ(grant_map((u64)window, GNTMAP_host_map, 1, id).status, GNTST_bad_page); /* it has no such frame */
    domain_destroy(id);
    CHECK(!domain_exists(id));
    domctl_op.u.createdomain.max_maptrack_frames = 1025;
    domctl_op.u.createdomain.max_grant_frames = -1;
    domctl_op.u.createdomain.max_vcpus = 1;
    domctl_op.u.createdomain.grant_opts = 1;
    CHECK_EQ(domctl(XEN_DOMCTL_createdomain, DOMID_INVALID), -22);
}

void test_main(void)
{
    static void (*const parts[])(void) = { limits,        guest_grants,           granter_ends,         mapper_ends,
                                           ends_anywhere, use_what_is_taken_back, granter_ends_unmapped };

    grant_set_up();
    window = page_new();
    own_pte = *pte_of(window, 1);
    for (u32 i = 0; i < PAGES; i++)
        page[i] = page_new();
    /* Handles have a page from the first mapping on. */
    grant_give(REF, 0, page[0], 0);
    struct gnttab_map_grant_ref m = grant_map(0, GNTMAP_device_map, REF, 0);

    CHECK_EQ(grant_unmap(0, m.dev_bus_addr, m.handle), GNTST_okay);
    for (u32 i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        frames_before = free_frames();
        parts[i]();
        if (frames_before)
            CHECK_EQ(free_frames(), frames_before);
    }
}
