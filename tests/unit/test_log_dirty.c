/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdlib.h>

#include <hv/arch.h>
#include <hv/hypercall.h>
#include <hv/pv.h>
#include <hv/x86/pv/log_dirty.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>
#include <public/domctl.h>

/*
 * The real log_dirty.c with page_type.c, pt_validate.c and pt_update.c: a random guest whose processor walks the tables that it really runs on,
 * and a toolstack that remembers what it has been told of. Copies permit no more than the guest's own tables; nothing changes untold.
 */

#define POOL 40
#define FLAGS (PTE_PRESENT | PTE_RW | PTE_USER)

static struct domain *d;
static struct vcpu *v;
static struct page_info *pool[POOL];
static u8 remembered[POOL][PAGE_SIZE], bitmap[POOL / 8];

int segdesc_page_validate(struct page_info *pg) { return pg ? 0 : 0; }
int domain_pause(struct domain *of) { return of ? 0 : 0; }
void domain_unpause(struct domain *of) { (void)of; }
void arch_domain_unload(const struct domain *of) { (void)of; }
void grant_mark_dirty(const struct domain *of) { (void)of; }
void tlb_load_cr3(u64 cr3) { assert_int_equal(cr3 >> PAGE_SHIFT, v->pv.run_l4[0]); }
void pv_traps_changed(struct vcpu *of) { (void)of; }
void xpti_load_l4(struct vcpu *of, bool user, mfn_t mfn) { assert_false(of && user && mfn && of == of + 1); }

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    d = fake_domain(1, false);
    v = d->vcpu[0];
    d->state = DOMAIN_RUNNING;
    d->pv.log.lock = (spinlock_t)SPINLOCK_INIT(LOCK_LOG_DIRTY);
    d->pv.perdomain_l3 = hv_alloc_page();
    v->pv.guest_kernel_mode = true;
    return 0;
}

static pte_t *table(const struct page_info *pg) { return page_to_virt(pg); }
static pte_t link_to(const struct page_info *pg, u64 flags) { return make_pte(page_to_mfn(pg), flags); }
static paddr_t slot_of(const struct page_info *pg, u64 slot) { return (page_to_mfn(pg) << PAGE_SHIFT) + slot * 8; }
static bool in_use(const struct page_info *pg, enum page_type t)
{
    return page_type_of(pg->type_info) == t && (pg->type_info & PGT_COUNT_MASK) && (pg->type_info & PGT_VALIDATED);
}

static long op(u32 what, u8 *to)
{
    static struct domain toolstack;
    static struct vcpu its = { .domain = &toolstack };
    struct xen_domctl_shadow_op o = { .op = what, .dirty_bitmap = guest_ptr((u64)to), .pages = POOL };

    boot_percpu.curr = &its;
    long rc = log_dirty_op(&o, d);
    boot_percpu.curr = v;
    assert_int_equal(o.pages, POOL);
    return rc;
}

/* ---- the processor ---- */

/* The entry that the walk for va ends at; all: what it and those above permit. */
static pte_t *walk_from(mfn_t l4, u64 va, pte_t *all)
{
    pte_t *t = mfn_to_virt(l4);

    *all = FLAGS;
    for (unsigned level = 4; level > 1; level--) {
        pte_t e = t[PT_INDEX(va, level)];

        *all &= e;
        if (!(e & PTE_PRESENT))
            return NULL;
        t = mfn_to_virt(pte_mfn(e));
    }
    *all &= t[PT_INDEX(va, 1)];
    return t + PT_INDEX(va, 1);
}

static bool allows(pte_t all, bool write) { return (all & PTE_PRESENT) && (!write || (all & PTE_RW)); }

/* An access by the tables that the guest runs on; false: a page fault of the guest's. */
static bool cpu_access(u64 va, bool write, u8 value)
{
    for (u32 tries = 0;; tries++) {
        pte_t all, all_own, *e = walk_from(v->pv.run_l4[0], va, &all), *own = walk_from(v->pv.base[0], va, &all_own);

        if (allows(all, write)) {
            /* What a processor would write to the entry is there, in the guest's own as well: it never has to. */
            pte_t bits = PTE_ACCESSED | (write ? PTE_DIRTY : 0);
            assert_true(own && (*own & *e & bits) == bits && !((*own ^ *e) & PTE_ADDR_MASK));
            if (write)
                ((u8 *)mfn_to_virt(pte_mfn(*e)))[va % PAGE_SIZE] = value;
            return true;
        }
        assert_true(tries < 2);
        u32 error = (all & PTE_PRESENT ? PFEC_PRESENT : 0) | (write ? PFEC_WRITE : 0);
        if (!log_dirty_fault(v, va, &error)) {
            assert_false(allows(all_own, write));
            assert_int_equal(error, (all_own & PTE_PRESENT ? PFEC_PRESENT : 0) | (write ? PFEC_WRITE : 0));
            return false;
        }
        assert_true(allows(all_own, write));
    }
}

/* ---- what holds at any time ---- */

static mfn_t copy_named(const struct page_info *pg) { return pg->type_info & PGT_COPIED ? pg->tlb_stamp : 0; }

/* A table's copy, if it has one, has no entry that it has not. */
static void check_copies(void)
{
    for (u32 e = 0; e < HV_SLOT_FIRST; e++) {
        pte_t has = ((pte_t *)mfn_to_virt(v->pv.run_l4[0]))[e], own = ((pte_t *)mfn_to_virt(v->pv.base[0]))[e];

        assert_true(!has || pte_mfn(has) == copy_named(mfn_to_page(pte_mfn(own))));
    }
    for (u32 i = 0; i < POOL; i++)
        for (enum page_type t = PGT_L1; t <= PGT_L4; t++) {
            if (!in_use(pool[i], t))
                continue;
            if (!copy_named(pool[i]))
                continue;
            const struct page_info *copy = mfn_to_page(copy_named(pool[i]));
            assert_true(t < PGT_L4 && copy->type_info == page_to_mfn(pool[i]));
            for (u32 e = 0; e < PT_ENTRIES; e++) {
                pte_t has = table(copy)[e], own = table(pool[i])[e];

                if (!has)
                    continue;
                assert_true(own & PTE_ACCESSED & has);
                if (t == PGT_L1)
                    assert_true(!(has & ~own));
                else
                    assert_int_equal(pte_mfn(has), copy_named(mfn_to_page(pte_mfn(own))));
                if (t == PGT_L1 && (has & PTE_RW))
                    assert_true((own & PTE_DIRTY) && !(mfn_to_page(pte_mfn(has))->type_info & PGT_LOGGED));
            }
        }
}

/* A round of the toolstack's. */
static void clean(void)
{
    assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap), 0);
    for (u32 i = 0; i < POOL; i++)
        if (bitmap[i / 8] >> i % 8 & 1)
            memcpy(remembered[i], page_to_virt(pool[i]), PAGE_SIZE);
        else
            assert_memory_equal(remembered[i], page_to_virt(pool[i]), PAGE_SIZE);
}

/* ---- the guest ---- */

/* pool[0..3]: L1 to L4 that it runs on; [4]: another L4, with the same L3. */
static void build(void)
{
    for (u32 i = 0; i < POOL; i++) {
        pool[i] = fake_page(d);
        m2p_set(page_to_mfn(pool[i]), i);
    }
    for (u32 i = 1; i < 4; i++)
        table(pool[i])[0] = link_to(pool[i - 1], FLAGS);
    table(pool[4])[0] = link_to(pool[2], FLAGS);
    for (u32 i = 5; i < 12; i++)
        table(pool[0])[i] = link_to(pool[i], FLAGS);
    assert_int_equal(page_pin(d, page_to_mfn(pool[4]), PGT_L4), 0);
    assert_int_equal(pv_set_base(v, false, page_to_mfn(pool[3])), 0);
    assert_int_equal(v->pv.run_l4[0], page_to_mfn(pool[3]));
}

static void step(void)
{
    static const u64 flag_choice[] = { FLAGS, FLAGS, PTE_PRESENT, FLAGS | PTE_ACCESSED, FLAGS | PTE_ACCESSED | PTE_DIRTY, 0 };
    struct page_info *a = pool[(u32)random() % POOL], *b = pool[(u32)random() % POOL];
    u64 va = (u64)((u32)random() % 4) << PT_SHIFT((u32)random() % 3 + 2) | ((u32)random() % 16) << PAGE_SHIFT | ((u32)random() & 0xfff);
    u64 slot = (u32)random() % 16;
    pte_t e = link_to(b, flag_choice[(u32)random() % ARRAY_SIZE(flag_choice)]);

    switch ((u32)random() % 14) {
    case 0: (void)!page_pin(d, page_to_mfn(a), PGT_L1 + (u32)random() % 3); break;
    case 1: (void)!page_unpin(d, page_to_mfn(a == pool[4] ? pool[5] : a)); break;
    case 2: (void)!pv_set_base(v, false, page_to_mfn(pool[(u32)random() % 2 + 3])); break;
    case 3 ... 5: {
        struct mmu_update u = { slot_of(a == pool[3] || a == pool[4] ? pool[0] : a, slot), e };
        u32 done;

        (void)!do_mmu_update(guest_ptr((u64)&u), 1, guest_ptr((u64)&done), DOMID_SELF);
        break;
    }
    case 6: (void)!pt_entry_cmpxchg_l1(d, slot_of(a, slot), table(a)[slot], table(a)[slot] & ~(PTE_ACCESSED | PTE_DIRTY)); break;
    case 8:
        (void)!pt_entry_update(d, 4, slot_of(pool[(u32)random() % 2 + 3], (u32)random() % 2),
                               (u32)random() % 2 ? link_to(pool[2], FLAGS) : e, false, d);
        break;
    case 7: (void)!pt_entry_update(d, 1 + (u32)random() % 3, slot_of(pool[(u32)random() % 3], (u32)random() % 4), e, false, d); break;
    default: (void)cpu_access(va, (u32)random() & 1, (u8)random());
    }
}

static void random_guest(void **state)
{
    (void)state;
    u64 before = page_free_count() - POOL;

    build();
    srandom(7);
    for (u32 times = 0; times < 4; times++) {
        assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap), -EINVAL);
        assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL), 0);
        assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL), -EINVAL);
        assert_int_not_equal(v->pv.run_l4[0], v->pv.base[0]);
        /* Hardly any frames for copies, the second time. */
        for (u32 left = 3, m = d->pv.log.free; times == 1 && left && m; left--) {
            u32 next = mfn_to_page(m)->next;

            if (left == 1)
                mfn_to_page(m)->next = 0;
            m = next;
        }
        for (u32 i = 0; i < POOL; i++)
            memcpy(remembered[i], page_to_virt(pool[i]), PAGE_SIZE);
        for (u32 i = 0; i < 40000; i++) {
            step();
            if (i % 16 == 0)
                check_copies();
            if (i % 128 == 0)
                clean();
        }
        clean();
        assert_int_equal(op(XEN_DOMCTL_SHADOW_OP_OFF, NULL), 0);
        assert_int_equal(v->pv.run_l4[0], v->pv.base[0]);
        assert_true(page_free_count() + 1 >= before); /* one page more for small allocations, the first time */
        for (u32 i = 0; i < POOL; i++)
            assert_false(pool[i]->type_info & (PGT_LOGGED | PGT_COPIED | PGT_BUSY));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_guest) };

    return cmocka_run_group_tests_name("log-dirty", tests, setup, NULL);
}
