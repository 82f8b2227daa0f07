/* SPDX-License-Identifier: MIT */
/*
 * Changing single entries of live tables. Each is one compare-and-exchange: whoever replaces an
 * entry owns exactly the references that the replaced one held, so updates need no lock, and no
 * reference of the table: percpu.updating keeps it a table for the exchange.
 */
#include <hv/hypercall.h>
#include <hv/x86/pv/mmu.h>
#include "pt_entry.h"
#include "pt_exchange.h"

/* Nothing that references depend on differs; remaining flags still have to be permitted (XSA-182). */
static force_inline bool same_references(unsigned level, pte_t a, pte_t b)
{
    /* PTE_CACHE_MASK holds the large-page bit of upper levels. */
    u64 relevant = PTE_PRESENT | PTE_ADDR_MASK | PTE_CACHE_MASK | (level == 1 ? PTE_RW : PTE_GLOBAL);

    return (a & b & PTE_PRESENT) && !((a ^ b) & relevant);
}

static force_inline bool in_hypervisor_slot(unsigned level, paddr_t at)
{
    u64 slot = (at & (PAGE_SIZE - 1)) / sizeof(pte_t);

    return level == 4 && slot >= HV_SLOT_FIRST && slot <= HV_SLOT_LAST;
}

void pt_updates_wait(const struct page_info *pg)
{
    smp_mb();
    for_each_cpu(c, cpuset_without(cpuset_read(&cpus_online), this_cpu()->id))
        while (__atomic_load_n(&c->updating, __ATOMIC_ACQUIRE) == pg && cpu_is_online(c)) {
            tlb_serve();
            cpu_relax();
        }
}

/* One attempt to replace `old`. The new entry's references are taken before it is stored, the old one's given back after it was replaced. */
static force_inline int pt_entry_exchange(struct domain *table_dom, unsigned level, pte_t *p, pte_t old, pte_t val, struct domain *page_dom,
                                          enum exchanged *result)
{
    bool same = same_references(level, old, val);
    int rc = 0;

    if (!(val & PTE_PRESENT))
        rc = l1tf_refused(table_dom, val) ? -EPERM : 0;
    else if (!same)
        rc = entry_get(table_dom, level, val, page_dom);
    if (rc)
        return rc;
    *result = exchange_in_table(owner_of(table_dom), level, p, old, val);
    pte_t drop = *result == EXCHANGED ? old : val;
    if (level == 4)
        pv_l4_changed(table_dom, p); /* first: entry_put() may free the L3 table that the old entry named */
    if (!same && (drop & PTE_PRESENT))
        entry_put(level, drop);
    return *result == EXCHANGED ? 0 : -EAGAIN;
}

static force_inline int pt_entry_prepare_update(struct domain *table_dom, unsigned level, paddr_t at, pte_t val, bool preserve_ad,
                                                struct domain *page_dom)
{
    pte_t *p = phys_to_virt(at);
    enum exchanged result = EXCHANGED;
    int rc;

    if ((at & 7) || in_hypervisor_slot(level, at))
        return -EINVAL;
    val = entry_adjust(level, val);
    do {
        pte_t old = READ_ONCE(*p);
        pte_t ad = preserve_ad && (old & PTE_PRESENT) ? old & (PTE_ACCESSED | PTE_DIRTY) : 0;

        rc = pt_entry_exchange(table_dom, level, p, old, val | ad, page_dom, &result);
    } while (unlikely(rc == -EAGAIN && result == ENTRY_CHANGED));
    return rc;
}

int pt_entry_update(struct domain *table_dom, unsigned level, paddr_t at, pte_t val, bool preserve_ad, struct domain *page_dom)
{
    return level == 1 ? pt_entry_prepare_update(table_dom, 1, at, val, preserve_ad, page_dom) :
                        pt_entry_prepare_update(table_dom, level, at, val, preserve_ad, page_dom);
}

int pt_entry_cmpxchg_l1(struct domain *table_dom, paddr_t at, pte_t expected, pte_t val)
{
    enum exchanged result;

    return pt_entry_exchange(table_dom, 1, phys_to_virt(at), expected, entry_adjust(1, val), table_dom, &result);
}

/* ---- hypercalls ---- */

struct update_target {
    struct domain *table_dom, *page_dom;
};

/* The frame is no page table (yet): a plain store, as the guest could do itself. */
static long store_word(const struct update_target *t, paddr_t at, u64 val)
{
    mfn_t mfn = at >> PAGE_SHIFT;
    int rc = page_get_and_type(mfn, t->table_dom, PGT_WRITABLE);

    if (rc)
        return rc;
    WRITE_ONCE(*(u64 *)phys_to_virt(at & ~7ULL), val);
    page_put_written(mfn_to_page(mfn));
    return 0;
}

static long update_table(const struct update_target *t, paddr_t at, u64 val, bool preserve_ad)
{
    mfn_t mfn = at >> PAGE_SHIFT;

    if (!mfn_valid(mfn))
        return -EINVAL;
    for (u32 turns = 0;;) {
        u64 x = READ_ONCE(mfn_to_page(mfn)->type_info);
        enum page_type type = page_type_of(x);
        long rc;

        if (!(x & PGT_COUNT_MASK) || type < PGT_L1 || type > PGT_L4)
            return store_word(t, at, val);
        if (!page_owned_by(mfn_to_page(mfn), t->table_dom))
            return -EINVAL;
        rc = pt_entry_update(t->table_dom, type - PGT_L1 + 1, at, val, preserve_ad, t->page_dom);
        if (rc != -EAGAIN)
            return rc;
        preempt_wait(&turns); /* another vCPU validates the table or tears it down: until it is through, the type tells nothing */
    }
}

static long update_m2p(const struct update_target *t, paddr_t at, u64 pfn)
{
    mfn_t mfn = at >> PAGE_SHIFT;

    if (!mfn_valid(mfn) || !page_get(mfn_to_page(mfn), t->page_dom))
        return -EINVAL;
    m2p_set(mfn, pfn);
    page_mark_dirty(mfn_to_page(mfn)); /* the page of that number has other contents now */
    page_put(mfn_to_page(mfn));
    return 0;
}

static long apply_update(const struct update_target *t, const struct mmu_update *u)
{
    switch (u->ptr & 3) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE: return update_table(t, u->ptr & ~3ULL, u->val, false);
    case MMU_PT_UPDATE_PRESERVE_AD: return update_table(t, u->ptr & ~3ULL, u->val, true);
    default: return update_m2p(t, u->ptr & ~3ULL, u->val);
    }
}

/*
 * rc: an error that the caller has found already, or 0. A call that is continued has MMU_UPDATE_PREEMPTED in its count, and what has been done
 * before stands at done_at.
 */
static force_inline long apply_updates(const struct update_target *t, guest_ptr_t updates, u64 nr_updates, guest_ptr_t done_at, long rc)
{
    u32 count = (u32)nr_updates & ~MMU_UPDATE_PREEMPTED, done = 0, before = 0;

    if (unlikely((u32)nr_updates & MMU_UPDATE_PREEMPTED) && done_at.va && copy_from_guest(&before, done_at, sizeof(before)))
        return -EFAULT;
    for (; !rc && done < count; done++) {
        struct mmu_update u;

        rc = copy_from_guest(&u, guest_ptr_index(updates, done, sizeof(u)), sizeof(u));
        if (!rc)
            rc = apply_update(t, &u);
        if (rc)
            break;
        if ((done & 63) == 63)
            rc = domain_work_point();
    }
    before += done;
    if (done_at.va && copy_to_guest(done_at, &before, sizeof(before)))
        return -EFAULT;
    if (likely(rc != -ERESTART))
        return rc;
    const u64 rest[] = { guest_ptr_index(updates, done, sizeof(struct mmu_update)).va, (count - done) | MMU_UPDATE_PREEMPTED };

    return hypercall_again(__HYPERVISOR_mmu_update, rest, ARRAY_SIZE(rest));
}

/* Page tables or frames of other domains: domids has the domain of the frames below, that of the tables plus 1 above (0: the caller's). */
static noinline long update_of_others(guest_ptr_t updates, u64 count, guest_ptr_t done_at, u64 domids)
{
    struct domain *table_dom __held_domain = NULL, *page_dom __held_domain = NULL;
    long rc = domain_for_caller((u32)domids >> 16 ? (domid_t)((domids >> 16) - 1) : DOMID_SELF, &table_dom);

    if (!rc)
        rc = domain_of_frames((domid_t)domids, &page_dom);
    if (!rc && page_dom != table_dom && page_dom != domain_io && !table_dom->is_control)
        rc = -EPERM; /* a guest's tables map its own frames, and what it is granted */
    return apply_updates(&(struct update_target){ table_dom, page_dom }, updates, count, done_at, rc);
}

long do_mmu_update(guest_ptr_t updates, u64 count, guest_ptr_t done_at, u64 domids)
{
    struct domain *self = current->domain;

    if (likely((u32)domids == DOMID_SELF))
        return apply_updates(&(struct update_target){ self, self }, updates, count, done_at, 0);
    return update_of_others(updates, count, done_at, domids);
}

static int flush_after(u64 va, u64 flags)
{
    u64 type = flags & UVMF_FLUSHTYPE_MASK, whom = flags & ~(u64)UVMF_FLUSHTYPE_MASK;

    if (!type || (type == UVMF_INVLPG && !is_canonical(va)))
        return 0;
    if (whom)
        return pv_flush_vcpus(current->domain, whom == UVMF_ALL ? GUEST_NULL : guest_ptr(whom), type == UVMF_INVLPG ? va : 0);
    if (type == UVMF_INVLPG)
        invlpg(va);
    else
        tlb_flush_local();
    return 0;
}

static long update_va(u64 va, u64 val, u64 flags, struct domain *page_dom)
{
    struct vcpu *v = current;
    paddr_t at = guest_range_ok(va, 1) ? pt_walk(v->pv.base[0], va, 1) : 0;

    if (!at)
        return -EINVAL;
    long rc = pt_entry_update(v->domain, 1, at, val, false, page_dom);
    if (rc == -EAGAIN)
        return -EINVAL; /* another vCPU took the table away meanwhile */
    int flushed = flush_after(va, flags);
    return rc ? rc : flushed;
}

long do_update_va_mapping_otherdomain(u64 va, u64 entry, u64 flags, u64 domid)
{
    struct domain *page_dom __held_domain = NULL;
    long rc = domain_of_frames((domid_t)domid, &page_dom);

    return rc ? rc : update_va(va, entry, flags, page_dom);
}

long do_update_va_mapping(u64 va, u64 entry, u64 flags) { return update_va(va, entry, flags, current->domain); }
