/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdlib.h>

#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/pv.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/tlb.h>

/*
 * The real page_type.c, pt_validate.c and pt_update.c on fake memory: rules one by one, then a
 * random guest against a count of what every frame's references must be.
 */

#define FLAGS (PTE_PRESENT | PTE_RW | PTE_USER)
#define RO (PTE_PRESENT | PTE_USER)

static struct domain *d;

int segdesc_page_validate(struct page_info *pg) { return *(u64 *)page_to_virt(pg) == 0xbad ? -EINVAL : 0; }

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    d = fake_domain(0, true);
    return 0;
}

static pte_t *table(struct page_info *pg) { return page_to_virt(pg); }
static pte_t link_to(struct page_info *pg, u64 flags) { return make_pte(page_to_mfn(pg), flags); }
static u32 count(struct page_info *pg) { return pg->type_info & PGT_COUNT_MASK; }
static u32 refs(struct page_info *pg) { return pg->ref_info & PGR_COUNT_MASK; }

static void exclusive_types(void **state)
{
    (void)state;
    struct page_info *pg = fake_page(d);
    mfn_t m = page_to_mfn(pg);

    assert_int_equal(page_get_and_type(m, d, PGT_WRITABLE), 0);
    assert_int_equal(page_get_and_type(m, d, PGT_WRITABLE), 0);
    assert_int_equal(count(pg), 2);
    assert_int_equal(page_get_and_type(m, d, PGT_L1), -EINVAL);
    assert_int_equal(refs(pg), 3);
    page_put_and_type(pg);
    page_put_and_type(pg);
    u32 flushes = fake_tlb_flushes;

    assert_int_equal(page_get_and_type(m, d, PGT_L1), 0);
    assert_true(fake_tlb_flushes > flushes); /* writable mappings may linger in a TLB (XSA-241) */
    assert_int_equal(page_get_and_type(m, d, PGT_WRITABLE), -EINVAL);
    page_put_and_type(pg);
    assert_int_equal(refs(pg), 1);
    assert_int_equal(count(pg), 0);
    assert_int_equal(page_get_and_type(m, d, PGT_SEGDESC), 0);
    page_put_and_type(pg);
    *(u64 *)page_to_virt(pg) = 0xbad;
    assert_int_equal(page_get_and_type(m, d, PGT_SEGDESC), -EINVAL);
    assert_int_equal(refs(pg), 1);
}

/* Also where nothing is to be waited for: here the pages of empty tables. */
static void no_lock_is_held(void **state)
{
    (void)state;

    for (u32 n = 0; n < 4; n++) {
        enum page_type type = PGT_L1 + n;
        struct page_info *pg = fake_page(d);

        this_cpu()->locks_held = 1;
        expect_assert_failure((void)!page_get_and_type(page_to_mfn(pg), d, type));
        this_cpu()->locks_held = 0;
        pg = fake_page(d);
        assert_int_equal(page_get_and_type(page_to_mfn(pg), d, type), 0);
        this_cpu()->locks_held = 1;
        expect_assert_failure(page_put_and_type(pg));
        this_cpu()->locks_held = 0;
    }
}

static void ownership(void **state)
{
    (void)state;
    struct domain *other = fake_domain(1, false);
    struct page_info *pg = fake_page(d);

    boot_percpu.curr = d->vcpu[0];
    assert_false(page_get(pg, other));
    assert_int_equal(page_get_and_type(page_to_mfn(pg), other, PGT_WRITABLE), -EINVAL);
    assert_int_equal(page_get_and_type(FAKE_FRAMES + 5, d, PGT_WRITABLE), -EINVAL);
    assert_int_equal(page_get_and_type(INVALID_MFN, d, PGT_WRITABLE), -EINVAL);
    /* A reference keeps a frame that its owner has given up. */
    u64 free_before = page_free_count();

    assert_true(page_get(pg, d));
    pg->ref_info &= ~PGR_ALLOCATED;
    page_put(pg);
    assert_int_equal(page_free_count(), free_before);
    page_put(pg);
    assert_int_equal(page_free_count(), free_before + 1);
}

/* The hypervisor writes to its own pages whatever their type, so none becomes a table: not even of a domain that has ended, which dom0 still has mapped. */
static void own_pages_stay_data(void **state)
{
    (void)state;
    struct page_info *pg = fake_page(d);
    mfn_t m = page_to_mfn(pg);

    pg->ref_info = PGR_SPECIAL | 1;
    for (enum page_type type = PGT_L1; type <= PGT_SEGDESC; type++) {
        assert_int_equal(page_get_and_type(m, d, type), -EINVAL);
        assert_int_equal(count(pg), 0);
        assert_int_equal(refs(pg), 1);
    }
    assert_int_equal(page_get_and_type(m, d, PGT_WRITABLE), 0);
    page_put_and_type(pg);
}

static void tree(struct page_info *pages[5])
{
    for (int i = 0; i < 5; i++)
        pages[i] = fake_page(d);
    table(pages[1])[3] = link_to(pages[0], FLAGS);
    table(pages[2])[7] = link_to(pages[1], FLAGS);
    table(pages[3])[511] = link_to(pages[2], FLAGS);
    table(pages[4])[1] = link_to(pages[3], FLAGS);
}

static void whole_tree(void **state)
{
    (void)state;
    struct page_info *p[5];

    tree(p);
    assert_int_equal(page_pin(d, page_to_mfn(p[4]), PGT_L4), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(count(p[i]), 1);
    assert_int_equal(page_type_of(p[0]->type_info), PGT_WRITABLE);
    assert_int_equal(page_type_of(p[1]->type_info), PGT_L1);
    assert_int_equal(page_pin(d, page_to_mfn(p[4]), PGT_L4), -EINVAL);
    assert_int_equal(page_unpin(d, page_to_mfn(p[4])), 0);
    assert_int_equal(page_unpin(d, page_to_mfn(p[4])), -EINVAL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(count(p[i]), 0);
        assert_int_equal(refs(p[i]), 1);
    }
}

static void failing_validation_unwinds(void **state)
{
    (void)state;
    struct page_info *p[5], *bad = fake_page(d);

    tree(p);
    table(p[1])[500] = link_to(p[2], FLAGS); /* a live L2, writable */
    assert_int_equal(page_pin(d, page_to_mfn(p[4]), PGT_L4), -EINVAL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(count(p[i]), 0);
        assert_int_equal(refs(p[i]), 1);
    }
    table(p[1])[500] = 0;
    table(p[2])[8] = link_to(bad, FLAGS | PTE_PSE); /* XSA-148 */
    assert_int_equal(page_pin(d, page_to_mfn(p[4]), PGT_L4), -EINVAL);
    table(p[2])[8] = link_to(p[3], RO); /* a table of another level */
    assert_int_equal(page_pin(d, page_to_mfn(p[4]), PGT_L4), -EINVAL);
    table(p[2])[8] = link_to(p[2], RO); /* itself */
    assert_int_equal(page_pin(d, page_to_mfn(p[4]), PGT_L4), -EINVAL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(count(p[i]), 0);
        assert_int_equal(refs(p[i]), 1);
    }
}

static void entry_updates(void **state)
{
    (void)state;
    struct page_info *l1 = fake_page(d), *a = fake_page(d), *b = fake_page(d);
    paddr_t at = page_to_mfn(l1) << PAGE_SHIFT;

    assert_int_equal(page_get_and_type(page_to_mfn(l1), d, PGT_L1), 0);
    assert_int_equal(pt_entry_update(d, 1, at, link_to(a, FLAGS), false, d), 0);
    assert_int_equal(count(a), 1);
    /* Flags alone take no references, but are checked. */
    assert_int_equal(pt_entry_update(d, 1, at, link_to(a, FLAGS | PTE_NX | PTE_ACCESSED), false, d), 0);
    assert_int_equal(count(a), 1);
    table(l1)[0] |= PTE_DIRTY;
    assert_int_equal(pt_entry_update(d, 1, at, link_to(a, FLAGS), true, d), 0);
    assert_true(table(l1)[0] & PTE_DIRTY); /* preserved */
    assert_true(table(l1)[0] & PTE_ACCESSED);
    /* Read-only drops the type, not the frame. */
    assert_int_equal(pt_entry_update(d, 1, at, link_to(a, RO), false, d), 0);
    assert_int_equal(count(a), 0);
    assert_int_equal(refs(a), 2);
    assert_int_equal(pt_entry_update(d, 1, at, link_to(b, FLAGS), false, d), 0);
    assert_int_equal(refs(a), 1);
    assert_int_equal(refs(b), 2);
    /* Kernel pages become user pages; global goes. */
    assert_int_equal(pt_entry_update(d, 1, at, link_to(b, PTE_PRESENT | PTE_RW | PTE_GLOBAL), false, d), 0);
    assert_int_equal(table(l1)[0] & (PTE_USER | PTE_GLOBAL), PTE_USER);
    assert_int_equal(pt_entry_update(d, 1, at, link_to(l1, FLAGS), false, d), -EINVAL);
    assert_int_equal(pt_entry_update(d, 1, at + 4, 0, false, d), -EINVAL);
    assert_int_equal(pt_entry_update(d, 1, at, make_pte(1ULL << 38, FLAGS), false, d), -EINVAL); /* too wide */
    assert_int_equal(refs(b), 2);
    assert_int_equal(pt_entry_cmpxchg_l1(d, at, 0x123, 0), -EAGAIN);
    assert_int_equal(refs(b), 2);
    assert_int_equal(pt_entry_update(d, 1, at, 0xabcd0, false, d), 0); /* not present: anything goes */
    assert_int_equal(refs(b), 1);
    page_put_and_type(l1);
}

static void large_page_through_update(void **state)
{
    (void)state;
    struct page_info *p[5];

    tree(p);
    assert_int_equal(page_pin(d, page_to_mfn(p[4]), PGT_L4), 0);
    paddr_t at = (page_to_mfn(p[2]) << PAGE_SHIFT) + 7 * 8;
    pte_t good = table(p[2])[7];

    assert_int_equal(pt_entry_update(d, 2, at, good | PTE_PSE, false, d), -EINVAL);
    assert_int_equal(pt_entry_update(d, 2, at, good | PTE_PCD, false, d), -EINVAL);
    assert_int_equal(pt_entry_update(d, 2, at, good | PTE_GLOBAL, false, d), -EINVAL);
    assert_int_equal(pt_entry_update(d, 2, at, good | PTE_NX, false, d), 0);
    for (u64 slot = HV_SLOT_FIRST; slot <= HV_SLOT_LAST; slot++)
        assert_int_equal(pt_entry_update(d, 4, (page_to_mfn(p[4]) << PAGE_SHIFT) + slot * 8, 0, false, d), -EINVAL);
    assert_int_equal(page_unpin(d, page_to_mfn(p[4])), 0);
}

static void unprivileged(void **state)
{
    (void)state;
    struct domain *u = fake_domain(2, false);
    struct page_info *l1 = fake_page(u), *a = fake_page(u);
    paddr_t at = page_to_mfn(l1) << PAGE_SHIFT;

    assert_int_equal(page_get_and_type(page_to_mfn(l1), u, PGT_L1), 0);
    assert_true(pt_entry_update(u, 1, at, make_pte(0xb8, FLAGS), false, u) < 0);       /* VGA */
    assert_true(pt_entry_update(u, 1, at, make_pte(0x80000, FLAGS), false, u) < 0);    /* a hole */
    assert_true(pt_entry_update(u, 1, at, link_to(a, FLAGS | PTE_PCD), false, u) < 0); /* XSA-402 */
    assert_int_equal(pt_entry_update(u, 1, at, link_to(a, FLAGS), false, u), 0);
    assert_int_equal(pt_entry_update(u, 1, at, 0, false, u), 0);
    page_put_and_type(l1);
    boot_percpu.curr = d->vcpu[0];
}

/* A domain that has been given device memory, and with it a say in how memory is cached; but never what the hypervisor drives. */
static void with_device_memory(void **state)
{
    (void)state;
    struct domain *u = fake_domain(2, false);
    struct page_info *l1 = fake_page(u), *a = fake_page(u);
    paddr_t at = page_to_mfn(l1) << PAGE_SHIFT;

    assert_int_equal(page_get_and_type(page_to_mfn(l1), u, PGT_L1), 0);
    assert_int_equal(io_rights_iomem(&u->io, 0x80000, 0x80001, true), 0);
    assert_int_equal(io_rights_iomem(&u->io, 0xfec00, 0xfeeff, true), 0);
    assert_int_equal(pt_entry_update(u, 1, at, make_pte(0x80001, FLAGS | PTE_PCD), false, u), 0);
    assert_int_equal(pt_entry_update(u, 1, at, make_pte(0x80002, FLAGS), false, u), -EPERM);
    assert_int_equal(pt_entry_update(u, 1, at, make_pte(0xfec00, FLAGS), false, u), -EPERM);
    assert_int_equal(pt_entry_update(u, 1, at, make_pte(0xfee00, FLAGS), false, u), -EPERM);
    assert_int_equal(pt_entry_update(u, 1, at, link_to(a, FLAGS | PTE_PCD), false, u), 0);
    assert_int_equal(pt_entry_update(u, 1, at, 0, false, u), 0);
    page_put_and_type(l1);
    boot_percpu.curr = d->vcpu[0];
}

/* ---- other CPUs ---- */

static u32 clock_now = 1, time_of_b;
static struct page_info *contested;
static bool b_succeeded;

/* CPU B's part, whenever CPU A reads the clock to stamp a frame: flush, map it writable, write, unmap. */
u32 tlb_clock(void)
{
    struct page_info *pg = contested;

    contested = NULL;
    u32 seen = clock_now;

    if (pg) {
        time_of_b = ++clock_now;
        u64 x = READ_ONCE(pg->type_info);

        /* As page_get_type() would: a busy frame is waited for. */
        b_succeeded = !(x & PGT_BUSY) && !page_get_and_type(page_to_mfn(pg), d, PGT_WRITABLE);
        if (b_succeeded)
            page_put_and_type(pg);
    }
    return seen;
}

static void stamp_of_the_last_reference(void **state)
{
    (void)state;
    static const enum page_type types[] = { PGT_WRITABLE, PGT_SEGDESC, PGT_L1 };

    for (u32 quick = 0; quick < 2; quick++)
        for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
            struct page_info *l1 = fake_page(d), *pg = fake_page(d);
            paddr_t at = page_to_mfn(l1) << PAGE_SHIFT;

            if (quick) {
                if (types[i] != PGT_WRITABLE)
                    continue;
                assert_int_equal(page_get_and_type(page_to_mfn(l1), d, PGT_L1), 0);
                assert_int_equal(pt_entry_update(d, 1, at, link_to(pg, FLAGS), false, d), 0);
            } else {
                assert_int_equal(page_get_and_type(page_to_mfn(pg), d, types[i]), 0);
            }
            contested = pg;
            if (quick)
                assert_int_equal(pt_entry_update(d, 1, at, 0, false, d), 0);
            else
                page_put_and_type(pg);
            assert_null(contested);
            assert_int_equal(count(pg), 0);
            assert_false(pg->type_info & PGT_BUSY);
            /* B has a translation from after its flush: its time may not be later than the stamp. */
            assert_true(!b_succeeded || (s32)(time_of_b - pg->tlb_stamp) <= 0);
            assert_int_equal(page_get_and_type(page_to_mfn(pg), d, types[i]), 0);
        }
}

/* A table that held a frame of another domain's cannot be validated again by its owner; it was a table all the same. */
static void refused_revalidation_remembers(void **state)
{
    (void)state;
    struct domain *other = fake_domain(1, false);
    struct page_info *foreign = fake_page(other), *t = fake_page(d), *l2 = fake_page(d);
    mfn_t m = page_to_mfn(t);

    boot_percpu.curr = d->vcpu[0];
    table(l2)[3] = link_to(t, FLAGS);
    assert_int_equal(page_pin(d, page_to_mfn(l2), PGT_L2), 0);
    assert_int_equal(pt_entry_update(d, 1, (m << PAGE_SHIFT) + 8 * 5, link_to(foreign, FLAGS), false, other), 0);
    assert_int_equal(pt_entry_update(d, 2, (page_to_mfn(l2) << PAGE_SHIFT) + 8 * 3, 0, false, d), 0);
    assert_int_equal(count(t), 0);
    u32 flushes = fake_tlb_flushes;

    assert_int_equal(page_pin(d, m, PGT_L1), -EINVAL);
    assert_int_equal(count(t), 0);
    assert_int_equal(page_get_and_type(m, d, PGT_WRITABLE), 0);
    assert_true(fake_tlb_flushes > flushes); /* paging-structure caches may name it */
    page_put_and_type(t);
    assert_int_equal(page_unpin(d, page_to_mfn(l2)), 0);
    table(t)[5] = 0;
    assert_int_equal(page_pin(d, m, PGT_L1), 0); /* nothing else is held against it */
    assert_int_equal(page_unpin(d, m), 0);
}

/* Every way to store an entry that is not present and names memory. */
static void not_present_entries(void **state)
{
    (void)state;
    struct domain *u = fake_domain(3, false);
    struct page_info *l1 = fake_page(u), *fresh = fake_page(u);
    paddr_t at = page_to_mfn(l1) << PAGE_SHIFT;
    pte_t bad = page_to_mfn(l1) << PAGE_SHIFT | PTE_RW;

    u->l1tf_checked = true;
    assert_int_equal(page_get_and_type(page_to_mfn(l1), u, PGT_L1), 0);
    assert_int_equal(pt_entry_update(u, 1, at, bad, false, u), -EPERM);
    assert_int_equal(u->state, DOMAIN_CRASHED);
    u->state = DOMAIN_RUNNING;
    assert_int_equal(pt_entry_cmpxchg_l1(u, at, 0, bad), -EPERM);
    assert_int_equal(u->state, DOMAIN_CRASHED);
    u->state = DOMAIN_RUNNING;
    assert_int_equal(table(l1)[0], 0);
    assert_int_equal(pt_entry_cmpxchg_l1(u, at, 0, ~0xfffULL & PTE_ADDR_MASK), 0); /* inverted, as Linux does it */
    table(fresh)[1] = bad;
    assert_true(page_get_and_type(page_to_mfn(fresh), u, PGT_L1) < 0);
    assert_int_equal(u->state, DOMAIN_CRASHED);
    boot_percpu.curr = d->vcpu[0];
}

/* ---- a random guest ---- */

#define POOL 24
static struct page_info *pool[POOL];

/* What the references of every frame must be, recomputed from pins and validated tables. */
static void audit(void)
{
    u32 want_refs[POOL], want_types[POOL] = { 0 };

    for (u32 i = 0; i < POOL; i++) {
        want_refs[i] = 1;
        if (pool[i]->type_info & PGT_PINNED) {
            want_refs[i]++;
            want_types[i]++;
        }
    }
    for (u32 i = 0; i < POOL; i++) {
        enum page_type t = page_type_of(pool[i]->type_info);

        if (!(pool[i]->type_info & PGT_VALIDATED) || t < PGT_L1 || t > PGT_L4 || !count(pool[i]))
            continue;
        for (u32 e = 0; e < PT_ENTRIES; e++) {
            pte_t entry = table(pool[i])[e];

            if (!(entry & PTE_PRESENT) || (t == PGT_L4 && e >= HV_SLOT_FIRST && e <= HV_SLOT_LAST))
                continue;
            for (u32 k = 0; k < POOL; k++)
                if (pte_mfn(entry) == page_to_mfn(pool[k])) {
                    want_refs[k]++;
                    want_types[k] += t > PGT_L1 || (entry & PTE_RW);
                    if (t > PGT_L1)
                        assert_int_equal(page_type_of(pool[k]->type_info), t - 1);
                    else if (entry & PTE_RW)
                        assert_int_equal(page_type_of(pool[k]->type_info), PGT_WRITABLE);
                }
        }
    }
    for (u32 i = 0; i < POOL; i++) {
        assert_int_equal(refs(pool[i]), want_refs[i]);
        assert_int_equal(count(pool[i]), want_types[i]);
    }
}

static void random_guest(void **state)
{
    (void)state;
    static const u64 flag_choice[] = { FLAGS, RO, FLAGS | PTE_PSE, FLAGS | PTE_NX, 0, RO | PTE_PCD, FLAGS | PTE_GLOBAL };

    for (u32 i = 0; i < POOL; i++)
        pool[i] = fake_page(d);
    srandom(5);
    for (u32 i = 0; i < 60000; i++) {
        struct page_info *a = pool[(u32)random() % POOL], *b = pool[(u32)random() % POOL];
        u64 slot = (u32)random() % 3 ? (u32)random() % 4 : (u32)random() % PT_ENTRIES;
        pte_t e = link_to(b, flag_choice[(u32)random() % ARRAY_SIZE(flag_choice)]);

        switch ((u32)random() % 5) {
        case 0: (void)!page_pin(d, page_to_mfn(a), PGT_L1 + (u32)random() % 4); break;
        case 1: (void)!page_unpin(d, page_to_mfn(a)); break;
        case 2: /* a plain store, which only a page without a table type allows */
            if (page_type_of(a->type_info) < PGT_L1 || !count(a))
                table(a)[slot] = e;
            break;
        default: {
            struct mmu_update u = { (page_to_mfn(a) << PAGE_SHIFT) + slot * 8, e };
            u32 done;

            (void)!do_mmu_update(guest_ptr((u64)&u), 1, guest_ptr((u64)&done), DOMID_SELF);
        }
        }
        if (i % 16 == 0)
            audit();
    }
    for (u32 i = 0; i < POOL; i++)
        (void)!page_unpin(d, page_to_mfn(pool[i]));
    audit();
    for (u32 i = 0; i < POOL; i++) {
        assert_int_equal(refs(pool[i]), 1);
        assert_int_equal(count(pool[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exclusive_types),
        cmocka_unit_test(no_lock_is_held),
        cmocka_unit_test(ownership),
        cmocka_unit_test(own_pages_stay_data),
        cmocka_unit_test(whole_tree),
        cmocka_unit_test(failing_validation_unwinds),
        cmocka_unit_test(entry_updates),
        cmocka_unit_test(large_page_through_update),
        cmocka_unit_test(unprivileged),
        cmocka_unit_test(with_device_memory),
        cmocka_unit_test(stamp_of_the_last_reference),
        cmocka_unit_test(refused_revalidation_remembers),
        cmocka_unit_test(not_present_entries),
        cmocka_unit_test(random_guest),
    };

    return cmocka_run_group_tests_name("page types", tests, setup, NULL);
}
