/* SPDX-License-Identifier: MIT */
/*
 * Grants: the real common/grant on the real page types and page-table entries, in fake memory. What is counted there (references of frames, of
 * domains, uses that the granter sees) is compared with what must be.
 */
#include "fakes.h"

#include <pthread.h>
#include <stdlib.h>

#include <hv/arch.h>
#include <hv/hypercall.h>
#include <hv/pv.h>
#include <hv/x86/pv/mmu.h>

#include "../../common/grant/grant.h"

#define FLAGS (PTE_PRESENT | PTE_RW | PTE_USER)
#define FRAMES 4
#define SLOTS 64
#define GRANTER 5
#define MAPPER 6
#define FIRST_VA (1ULL << 39 | 511ULL << 30 | 7ULL << 21) /* as tables() builds it */

static struct domain *granter, *mapper;
static struct page_info *frame[FRAMES], *l1;
static u32 flushes, restarts;
static u16 in_use_at_flush;    /* GTF_* of entry 0 */
static void (*at_flush)(void); /* what another vCPU of the mapper does while one flushes; once */

int segdesc_page_validate(struct page_info *pg)
{
    (void)pg;
    return 0;
}
long hypercall_not_offered(u64 hypercall, u64 op)
{
    (void)hypercall;
    (void)op;
    return -ENOSYS;
}
void domain_share_page(struct domain *d, struct page_info *pg, enum page_type type)
{
    domain_get(d);
    pg->owner = owner_of(d);
    pg->type_info = (u64)type << PGT_TYPE_SHIFT | PGT_VALIDATED | 1;
    pg->ref_info = PGR_SPECIAL | 1;
}
int domain_work_point(void) { return restarts && --restarts ? -ERESTART : 0; }

static struct grant_entry_v1 *entry(u32 ref)
{
    return (struct grant_entry_v1 *)granter->grant_frames[ref / REFS_PER_FRAME] + ref % REFS_PER_FRAME;
}
static u16 in_use(u32 ref) { return entry(ref)->flags & (GTF_reading | GTF_writing); }
static u32 refs(struct page_info *pg) { return (u32)(pg->ref_info & PGR_COUNT_MASK); }
static u32 types(struct page_info *pg) { return (u32)(pg->type_info & PGT_COUNT_MASK); }
static pte_t *slot(u32 i) { return (pte_t *)page_to_virt(l1) + i; }
static u64 va_of(u32 i) { return FIRST_VA + i * PAGE_SIZE; }
static void calls_as(struct domain *d) { boot_percpu.curr = d->vcpu[0]; }

void arch_flush_caller(void)
{
    void (*other_vcpu)(void) = at_flush;

    flushes++;
    in_use_at_flush = in_use(0);
    at_flush = NULL;
    if (other_vcpu)
        other_vcpu();
}

static void grant(u32 ref, struct page_info *pg, u16 flags)
{
    *entry(ref) = (struct grant_entry_v1){ .flags = (u16)(GTF_permit_access | flags), .domid = MAPPER, .frame = (u32)page_to_mfn(pg) };
}

static void tables(struct domain *d)
{
    struct page_info *t[5];

    for (u32 i = 1; i < 5; i++)
        t[i] = fake_page(d);
    ((pte_t *)page_to_virt(t[2]))[7] = make_pte(page_to_mfn(t[1]), FLAGS);
    ((pte_t *)page_to_virt(t[3]))[511] = make_pte(page_to_mfn(t[2]), FLAGS);
    ((pte_t *)page_to_virt(t[4]))[1] = make_pte(page_to_mfn(t[3]), FLAGS);
    assert_int_equal(page_get_and_type(page_to_mfn(t[4]), d, PGT_L4), 0);
    d->vcpu[0]->pv.base[0] = page_to_mfn(t[4]);
    l1 = t[1];
}

static struct domain *domain(domid_t id, u32 maptrack_frames)
{
    struct domain *d = fake_domain(id, false);

    d->max_maptrack_frames = maptrack_frames;
    assert_int_equal(grant_init_domain(d), 0);
    return d;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    granter = domain(GRANTER, 1);
    mapper = domain(MAPPER, 2);
    tables(mapper);
    for (u32 i = 0; i < FRAMES; i++)
        frame[i] = fake_page(granter);
    flushes = restarts = 0;
    at_flush = NULL;
    calls_as(mapper);
    return 0;
}

/* Nothing is in use any more, and no reference is left. */
static int all_is_given_back(void **state)
{
    u32 frames = granter->nr_grant_frames + mapper->nr_grant_frames;

    (void)state;
    for (u32 i = 0; i < SLOTS; i++)
        assert_int_equal(*slot(i), 0);
    for (u32 i = 0; i < FRAMES; i++) {
        assert_int_equal(refs(frame[i]), 1);
        assert_int_equal(types(frame[i]), 0);
    }
    for (u32 ref = 0; ref < granter->nr_grant_frames * REFS_PER_FRAME; ref++) {
        assert_int_equal(*pins_of(granter, ref), 0);
        assert_int_equal(in_use(ref), 0);
    }
    /* One of its own, one for its frames, one for each page of the hypervisor's that it sees. */
    assert_int_equal(granter->refs + mapper->refs, 4 + frames);
    return 0;
}

static struct gnttab_map_grant_ref map(u64 at, u32 flags, u32 ref, domid_t dom)
{
    struct gnttab_map_grant_ref m = { .host_addr = at, .flags = flags, .ref = ref, .dom = dom, .status = 99 };

    assert_int_equal(do_grant_table_op(GNTTABOP_map_grant_ref, guest_ptr((u64)&m), 1), 0);
    return m;
}

static int unmap_list_of(struct gnttab_unmap_grant_ref *u, u32 n)
{
    assert_int_equal(do_grant_table_op(GNTTABOP_unmap_grant_ref, guest_ptr((u64)u), n), 0);
    return u->status;
}

static int unmap(u64 at, u64 bus, u32 handle)
{
    return unmap_list_of(&(struct gnttab_unmap_grant_ref){ .host_addr = at, .dev_bus_addr = bus, .handle = handle, .status = 99 }, 1);
}

static int copy(struct gnttab_copy c)
{
    assert_int_equal(do_grant_table_op(GNTTABOP_copy, guest_ptr((u64)&c), 1), 0);
    return c.status;
}

static void mapping_holds_what_it_should(void **state)
{
    (void)state;
    grant(0, frame[0], 0);
    u32 before = granter->refs;
    struct gnttab_map_grant_ref m = map(va_of(3), GNTMAP_host_map | GNTMAP_device_map, 0, GRANTER);

    assert_int_equal(m.status, GNTST_okay);
    assert_int_equal(m.dev_bus_addr, page_to_mfn(frame[0]) << PAGE_SHIFT);
    assert_int_equal(pte_mfn(*slot(3)), page_to_mfn(frame[0]));
    assert_int_equal(refs(frame[0]), 3); /* the owner's, the entry's, the device's */
    assert_int_equal(types(frame[0]), 2);
    assert_int_equal(granter->refs, before + 1);
    assert_int_equal(in_use(0), GTF_reading | GTF_writing);
    assert_int_equal(unmap(va_of(3), 0, m.handle), GNTST_okay);
    assert_int_equal(refs(frame[0]), 2);
    assert_int_equal(in_use(0), GTF_reading | GTF_writing);
    assert_int_equal(unmap(0, m.dev_bus_addr, m.handle), GNTST_okay);
}

/* Until all CPUs have flushed, the frame is in use. */
static void flush_comes_before_the_granter_is_told(void **state)
{
    (void)state;
    struct gnttab_unmap_grant_ref u[40];

    for (u32 i = 0; i < 40; i++) {
        grant(i, frame[i % FRAMES], 0);
        u[i] = (struct gnttab_unmap_grant_ref){ .host_addr = va_of(i), .handle = map(va_of(i), GNTMAP_host_map, i, GRANTER).handle };
    }
    assert_int_equal(flushes, 0);
    assert_int_equal(unmap_list_of(u, 40), GNTST_okay);
    assert_int_equal(flushes, 2); /* one for each 32 */
    grant(0, frame[0], 0);
    u[0].handle = map(va_of(0), GNTMAP_host_map, 0, GRANTER).handle;
    assert_int_equal(unmap_list_of(u, 1), GNTST_okay);
    assert_int_equal(in_use_at_flush, GTF_reading | GTF_writing);
    assert_int_equal(in_use(0), 0);
    /* The device mapping, whose entry another vCPU has cleared and not flushed yet. */
    struct gnttab_map_grant_ref m = map(va_of(0), GNTMAP_device_map | GNTMAP_host_map, 0, GRANTER);

    assert_int_equal(unmap(va_of(0), 0, m.handle), GNTST_okay);
    in_use_at_flush = 0;
    assert_int_equal(unmap(0, m.dev_bus_addr, m.handle), GNTST_okay);
    assert_int_equal(in_use_at_flush, GTF_reading | GTF_writing);
    assert_int_equal(unmap(va_of(0), 0, m.handle), GNTST_bad_handle);
}

static struct gnttab_map_grant_ref both, again;

static void unmaps_the_rest_and_maps_anew(void)
{
    assert_int_equal(unmap(va_of(0), 0, both.handle), GNTST_okay);
    again = map(va_of(2), GNTMAP_host_map, 1, GRANTER);
}

/* One of two kinds is unmapped. Before that list is through, another vCPU unmaps the other one and has the handle for another frame. */
static void handle_used_again_at_once(void **state)
{
    (void)state;
    grant(0, frame[0], 0);
    grant(1, frame[1], 0);
    both = map(va_of(0), GNTMAP_host_map | GNTMAP_device_map, 0, GRANTER);
    struct gnttab_map_grant_ref other = map(va_of(1), GNTMAP_host_map, 1, GRANTER);
    struct gnttab_unmap_grant_ref u[2] = { { .dev_bus_addr = both.dev_bus_addr, .handle = both.handle },
                                           { .host_addr = va_of(1), .handle = other.handle } };

    at_flush = unmaps_the_rest_and_maps_anew;
    assert_int_equal(unmap_list_of(u, 2), GNTST_okay);
    assert_int_equal(again.handle, both.handle);
    assert_int_equal(refs(frame[0]), 1);
    assert_int_equal(types(frame[0]), 0);
    assert_int_equal(refs(frame[1]), 2);
    assert_int_equal(types(frame[1]), 1);
    assert_int_equal(unmap(va_of(2), 0, again.handle), GNTST_okay);
}

/* A frame that the granter does not own, or that is no memory: whatever the mapper may map by itself. */
static void only_own_memory_is_granted(void **state)
{
    (void)state;
    struct page_info *foreign = fake_page(mapper);
    const u32 frames[] = { 0xfee00, 0xb8, FAKE_FRAMES + 3, ~0u, (u32)page_to_mfn(foreign) };

    mapper->io.nr_iomem = 1;
    mapper->io.iomem[0].last = MAX_IOMEM;
    for (u32 i = 0; i < ARRAY_SIZE(frames); i++)
        for (u32 kind = GNTMAP_device_map; kind <= GNTMAP_host_map; kind++) {
            grant(0, frame[0], 0);
            entry(0)->frame = frames[i];
            assert_true(map(va_of(0), kind, 0, GRANTER).status < 0);
            assert_true(map(va_of(0), kind | GNTMAP_readonly, 0, GRANTER).status < 0);
            assert_int_equal(copy((struct gnttab_copy){ .source = { .u.ref = 0, .domid = GRANTER },
                                                        .dest = { .u.gmfn = page_to_mfn(foreign), .domid = DOMID_SELF },
                                                        .len = 8,
                                                        .flags = GNTCOPY_source_gref }),
                             GNTST_bad_page);
        }
    mapper->io.nr_iomem = 0;
}

static void handles_are_bounded_and_used_again(void **state)
{
    (void)state;
    u32 most = 2 * MAPPINGS_PER_PAGE, *handles = calloc(most, sizeof(u32));
    u8 *seen = calloc(most, 1);

    grant(0, frame[0], 0);
    for (u32 round = 0; round < 3; round++) {
        memset(seen, 0, most);
        for (u32 i = 0; i < most; i++) {
            struct gnttab_map_grant_ref m = map(0, GNTMAP_device_map | GNTMAP_readonly, 0, GRANTER);

            assert_int_equal(m.status, GNTST_okay);
            assert_true(m.handle < most && !seen[m.handle]);
            seen[m.handle] = 1;
            handles[i] = m.handle;
        }
        assert_int_equal(map(0, GNTMAP_device_map, 0, GRANTER).status, GNTST_no_device_space);
        for (u32 i = 0; i < most; i++)
            assert_int_equal(unmap(0, page_to_mfn(frame[0]) << PAGE_SHIFT, handles[(i * 7 + round) % most]), GNTST_okay);
    }
    assert_int_equal(unmap(0, 1, most), GNTST_bad_handle);
    assert_int_equal(unmap(0, 1, ~0u), GNTST_bad_handle);
    mapper->max_maptrack_frames = 0;
    calls_as(granter);
    granter->max_maptrack_frames = 0;
    assert_int_equal(map(0, GNTMAP_device_map, 0, GRANTER).status, GNTST_no_device_space);
    free(handles);
    free(seen);
}

/* Each allocation that there is, refused once. */
static void no_memory(void **state)
{
    (void)state;
    struct page_info *all[FAKE_FRAMES], *pg;
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 4 };
    u64 list[4];
    u32 n = 0;

    s.frame_list = guest_ptr((u64)list);
    grant(0, frame[0], 0);
    while ((pg = page_alloc(0, 0)))
        all[n++] = pg;
    for (u32 had = 0; had < 5; had++) {
        bool mapped = had > 1; /* the list of pages, and a page */
        struct gnttab_map_grant_ref m = map(0, GNTMAP_device_map, 0, GRANTER);

        assert_int_equal(m.status, mapped ? GNTST_okay : GNTST_no_device_space);
        if (mapped)
            assert_int_equal(unmap(0, m.dev_bus_addr, m.handle), GNTST_okay);
        assert_int_equal(do_grant_table_op(GNTTABOP_setup_table, guest_ptr((u64)&s), 1), 0);
        assert_int_equal(s.status, GNTST_general_error);
        page_free(all[--n], 0);
    }
    while (n)
        page_free(all[--n], 0);
    assert_int_equal(do_grant_table_op(GNTTABOP_setup_table, guest_ptr((u64)&s), 1), 0);
    assert_int_equal(s.status, GNTST_okay);
    assert_int_equal(mapper->nr_grant_frames, 4);
    assert_int_equal(list[3], virt_to_mfn(mapper->grant_frames[3]));
}

/* Its page tables are gone, and with them the entries; here they are left, so that what the step itself gives back is seen. */
static void mapper_ends(void **state)
{
    (void)state;
    u32 calls = 0;

    for (u32 i = 0; i < 200; i++) {
        grant(i, frame[i % FRAMES], 0);
        assert_int_equal(map(va_of(i), i % 3 ? GNTMAP_device_map : GNTMAP_host_map | GNTMAP_readonly, i, GRANTER).status, GNTST_okay);
    }
    for (u32 i = 0; i < 200; i += 3)
        assert_int_equal(pt_entry_update(mapper, 1, (page_to_mfn(l1) << PAGE_SHIFT) + i * 8, 0, false, mapper), 0);
    assert_true(in_use(0) && in_use(199));
    restarts = 2;
    while (grant_release_mappings(mapper)) {
        calls++;
        restarts = 2;
    }
    assert_int_equal(calls, MAPPINGS_PER_PAGE / 64);
    assert_int_equal(grant_release_mappings(mapper), 0);
}

/* The granter's frames and table stay until the last mapping is gone; nothing new is mapped. */
static void granter_ends(void **state)
{
    (void)state;
    grant(0, frame[0], 0);
    struct gnttab_map_grant_ref m = map(va_of(0), GNTMAP_host_map, 0, GRANTER);

    granter->state = DOMAIN_DYING;
    grant_destroy(granter);
    page_disown(frame[0]);
    assert_int_equal(map(va_of(1), GNTMAP_host_map, 0, GRANTER).status, GNTST_bad_domain);
    assert_int_equal(copy((struct gnttab_copy){ .source = { .u.ref = 0, .domid = GRANTER }, .flags = GNTCOPY_source_gref }),
                     GNTST_bad_domain);
    domain_put(granter); /* as domain_kill() does at its end */
    assert_true(page_owned_by(frame[0], granter));
    u64 before = page_free_count();

    assert_true(granter->refs > 0);
    assert_int_equal(unmap(va_of(0), 0, m.handle), GNTST_okay);
    assert_int_equal(page_free_count(), before + 1);
    for (u32 i = 1; i < FRAMES; i++)
        page_disown(frame[i]);
    assert_int_equal(granter->refs, 0);
    assert_true(fake_softirqs & 1u << SOFTIRQ_DOMAIN_END);
    grant_free_domain(granter);
}

static void pins_do_not_overflow(void **state)
{
    (void)state;
    mfn_t mfn;
    u32 n = 0;

    grant(0, frame[0], 0);
    while (!grant_pin(granter, 0, MAPPER, true, &mfn))
        n++;
    assert_int_equal(n, 32767);
    assert_int_equal(grant_pin(granter, 0, MAPPER, false, &mfn), GNTST_no_space);
    while (n--) {
        assert_int_equal(in_use(0), GTF_reading | GTF_writing);
        grant_unpin(granter, 0, true);
    }
}

/* Random operations, against a count of every use. */
static void random_uses(void **state)
{
    (void)state;
    struct use {
        u32 ref, flags, handle;
        u64 bus;
    } uses[SLOTS] = { 0 };

    srand(12);
    for (u32 step = 0; step < 40000; step++) {
        u32 i = (u32)rand() % SLOTS, ref = (u32)rand() % 8;
        struct use *u = uses + i;

        if (rand() % 8 == 0)
            grant(ref, frame[ref % FRAMES], in_use(ref) | (rand() % 4 ? 0 : GTF_readonly));
        if (!u->flags) {
            u32 flags = (u32)(1 + rand() % 3) | (rand() % 2 ? GNTMAP_readonly : 0) | (rand() % 2 ? GNTMAP_contains_pte : 0);
            u64 at = flags & GNTMAP_contains_pte ? (page_to_mfn(l1) << PAGE_SHIFT) + i * 8 : va_of(i);
            struct gnttab_map_grant_ref m = map(at, flags, ref, GRANTER);
            bool granted = (entry(ref)->flags & GTF_type_mask) && ((flags & GNTMAP_readonly) || !(entry(ref)->flags & GTF_readonly));

            assert_int_equal(m.status, granted ? GNTST_okay : GNTST_general_error);
            if (!m.status)
                *u = (struct use){ ref, flags, m.handle, m.dev_bus_addr };
        } else {
            u32 kinds = (u32)(1 + rand() % 3);
            u64 at = u->flags & GNTMAP_contains_pte ? (page_to_mfn(l1) << PAGE_SHIFT) + i * 8 : va_of(i);

            assert_int_equal(unmap(kinds & GNTMAP_host_map ? at : 0, kinds & GNTMAP_device_map ? u->bus : 0, u->handle), GNTST_okay);
            u->flags &= ~kinds;
            if (!(u->flags & 3))
                u->flags = 0;
        }
        u32 reading[8] = { 0 }, writing[8] = { 0 }, frame_refs[FRAMES] = { 0 };

        for (u32 k = 0; k < SLOTS; k++) {
            reading[uses[k].ref] += uses[k].flags != 0;
            writing[uses[k].ref] += uses[k].flags && !(uses[k].flags & GNTMAP_readonly);
            frame_refs[uses[k].ref % FRAMES] += (uses[k].flags & 1) + (uses[k].flags >> 1 & 1);
            assert_int_equal(*slot(k) != 0, uses[k].flags >> 1 & 1);
        }
        for (u32 k = 0; k < 8; k++)
            assert_int_equal(in_use(k), (reading[k] ? GTF_reading : 0) | (writing[k] ? GTF_writing : 0));
        for (u32 k = 0; k < FRAMES; k++)
            assert_int_equal(refs(frame[k]), 1 + frame_refs[k]);
    }
    for (u32 i = 0; i < SLOTS; i++)
        if (uses[i].flags)
            assert_int_equal(unmap(uses[i].flags & GNTMAP_contains_pte ? (page_to_mfn(l1) << PAGE_SHIFT) + i * 8 : va_of(i), uses[i].bus,
                                   uses[i].handle),
                             GNTST_okay);
}

/* ---- two CPUs; each does the same and counts what it sees to be wrong ---- */

#define TURNS 1000000
static volatile bool over;

static void *pin_and_unpin(void *wrong)
{
    mfn_t mfn;

    for (u32 i = 0; i < TURNS; i++) {
        bool write = i & 1;

        if (grant_pin(granter, 0, MAPPER, write, &mfn) || mfn != page_to_mfn(frame[0]))
            ++*(u32 *)wrong;
        else {
            u16 bits = in_use(0);

            *(u32 *)wrong += !(bits & GTF_reading) || (write && !(bits & GTF_writing));
            grant_unpin(granter, 0, write);
        }
    }
    return NULL;
}

/* The granter takes its grant back and gives another, as often as it can: as the ABI says, only while nobody uses it. */
static void *change_entry(void *wrong)
{
    u64 *word = (u64 *)entry(0);

    (void)wrong;
    while (!over)
        for (u32 i = 0; i < 2; i++) {
            u64 old = READ_ONCE(*word);
            struct grant_entry_v1 e = { GTF_permit_access, MAPPER, (u32)page_to_mfn(frame[i]) };
            u64 val;

            memcpy(&val, &e, sizeof(val));
            if (!(old & (GTF_reading | GTF_writing)))
                __atomic_compare_exchange_n(word, &old, val, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
    return NULL;
}

static void *pin_what_changes(void *wrong)
{
    mfn_t mfn;

    for (u32 i = 0; i < TURNS; i++)
        if (!grant_pin(granter, 0, MAPPER, true, &mfn)) {
            /* While it is in use it is what it was. */
            *(u32 *)wrong += entry(0)->frame != mfn || (mfn != page_to_mfn(frame[0]) && mfn != page_to_mfn(frame[1]));
            grant_unpin(granter, 0, true);
        }
    over = true;
    return NULL;
}

static u8 taken[2 * MAPPINGS_PER_PAGE];

static void *take_and_give(void *wrong)
{
    for (u32 i = 0; i < TURNS; i++) {
        struct grant_mapping *m[3];
        u32 handle[3];

        for (u32 k = 0; k < 3; k++) {
            m[k] = maptrack_take(mapper, &handle[k]);
            if (!m[k] || m[k] != mapping_of(mapper, handle[k]) || __atomic_exchange_n(&taken[handle[k]], 1, __ATOMIC_SEQ_CST))
                ++*(u32 *)wrong;
        }
        for (u32 k = 0; k < 3; k++) {
            __atomic_store_n(&taken[handle[k]], 0, __ATOMIC_SEQ_CST);
            maptrack_give(mapper, handle[k], m[k]);
        }
    }
    return NULL;
}

static void two_cpus(void *(*a)(void *), void *(*b)(void *))
{
    pthread_t thread[2];
    u32 wrong[2] = { 0 };

    over = false;
    assert_int_equal(pthread_create(&thread[0], NULL, a, &wrong[0]), 0);
    assert_int_equal(pthread_create(&thread[1], NULL, b, &wrong[1]), 0);
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    assert_int_equal(wrong[0] + wrong[1], 0);
}

static void uses_on_two_cpus(void **state)
{
    (void)state;
    grant(0, frame[0], 0);
    two_cpus(pin_and_unpin, pin_and_unpin);
}

static void granter_changes_its_entry(void **state)
{
    (void)state;
    grant(0, frame[0], 0);
    two_cpus(pin_what_changes, change_entry);
}

static void handles_on_two_cpus(void **state)
{
    (void)state;
    u32 handle;
    struct grant_mapping *m = maptrack_new(mapper, &handle);

    assert_non_null(m);
    maptrack_give(mapper, handle, m);
    two_cpus(take_and_give, take_and_give);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, all_is_given_back)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mapping_holds_what_it_should),
        TEST(flush_comes_before_the_granter_is_told),
        TEST(handle_used_again_at_once),
        TEST(only_own_memory_is_granted),
        TEST(handles_are_bounded_and_used_again),
        TEST(no_memory),
        TEST(mapper_ends),
        cmocka_unit_test_setup(granter_ends, setup),
        TEST(pins_do_not_overflow),
        TEST(random_uses),
        TEST(uses_on_two_cpus),
        TEST(granter_changes_its_entry),
        TEST(handles_on_two_cpus),
    };

    return cmocka_run_group_tests_name("grant", tests, NULL, NULL);
}
