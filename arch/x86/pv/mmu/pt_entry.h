/* SPDX-License-Identifier: MIT */
/*
 * What a guest's page-table entry may say, and the references it takes and gives back: in line, because
 * every update and every entry of a table that is validated comes through here. `level` is a constant
 * or 2 to 4.
 */
#pragma once

#include <hv/x86/cpu.h>
#include <hv/x86/page_ref.h>

/* Entries of L2 to L4 tables name tables: no large pages (XSA-148), write-back caching only, never global. */
#define UPPER_REFUSED (PTE_PSE | PTE_GLOBAL | PTE_PWT | PTE_PCD)

/* pt_validate.c. An L1 entry that maps no frame of page_owner: 0 if it maps I/O memory that both may map; -EINVAL, -EPERM. */
int pt_get_io(struct domain *table_dom, pte_t e, owner_t page_owner);
/* A writable type reference of a frame of which the caller holds a general one: 0, or -EINVAL, and the general one is given back. */
int pt_get_writable(struct page_info *pg) __may_preempt;

/* The entry as it will be stored. */
static force_inline pte_t entry_adjust(unsigned level, pte_t e)
{
    if (!(e & PTE_PRESENT))
        return e;
    /* Guest kernel and user both run in ring 3; user tables simply lack the kernel's part. */
    e |= PTE_USER;
    if (level == 1)
        e &= ~PTE_GLOBAL; /* no guest translation outlives a CR3 load */
    return e;
}

/*
 * L1TF: affected processors look up the L1 data cache by the address in an entry that is not present, and use 44 or 46 address bits for it.
 * An address whose lower 44 bits name no memory is safe with either.
 */
static inline bool l1tf_names_memory(pte_t e)
{
    mfn_t mfn = pte_mfn(e) & ((1ULL << (44 - PAGE_SHIFT)) - 1);

    return !(e & PTE_PRESENT) && mfn && mfn <= max_mfn;
}

/* True: the not-present entry names memory, so it is refused and table_dom is ended (domain_crash()). */
static inline bool l1tf_refused(struct domain *table_dom, pte_t e)
{
    if (likely(!table_dom->l1tf_checked) || !l1tf_names_memory(e))
        return false;
    domain_crash(table_dom,
                 "a not-present page-table entry names memory (L1TF). Use a kernel that inverts such entries (Linux 4.18), or pv-l1tf=no");
    return true;
}

static inline bool frame_in_range(pte_t e) { return pte_mfn(e) < 1ULL << (cpu.phys_bits - PAGE_SHIFT); }

static force_inline int __may_preempt get_l1(struct domain *table_dom, pte_t e, owner_t page_owner)
{
    mfn_t mfn = pte_mfn(e);
    struct page_info *pg = mfn_to_page(mfn);

    if (unlikely(e & PTE_CACHE_MASK) && !io_rights_caching(&table_dom->io))
        return -EINVAL;
    if (unlikely(!mfn_valid(mfn) || !ref_get(pg, page_owner)))
        return pt_get_io(table_dom, e, page_owner);
    if (unlikely(e & PTE_CACHE_MASK))
        __atomic_fetch_or(&pg->ref_info, PGR_UNCACHED, __ATOMIC_RELAXED);
    return !(e & PTE_RW) || likely(type_get_quick(pg, PGT_WRITABLE)) ? 0 : pt_get_writable(pg);
}

/* Takes the references of a present entry in a table of table_dom; an L1 entry maps a frame of page_dom. 0, -EINVAL, -EPERM. */
static force_inline int __may_preempt entry_get(struct domain *table_dom, unsigned level, pte_t e, struct domain *page_dom)
{
    if (level == 1)
        return get_l1(table_dom, e, owner_of(page_dom));
    if (!frame_in_range(e) || (e & UPPER_REFUSED))
        return -EINVAL;
    return page_get_and_type(pte_mfn(e), table_dom, PGT_L1 + (level - 2));
}

static force_inline void __may_preempt entry_put(unsigned level, pte_t e)
{
    mfn_t mfn = pte_mfn(e);
    struct page_info *pg = mfn_to_page(mfn);

    /* An entry that maps I/O memory holds no references. Any other one holds some, and a frame with references keeps its owner. */
    if (!mfn_valid(mfn) || !pg->owner)
        return;
    if ((level > 1 || (e & PTE_RW)) && !type_put_quick(pg, level == 1))
        page_put_type(pg);
    ref_put(pg);
}

/* Machine address of va's entry in a table of `level`, 0: there is no such frame. */
static force_inline paddr_t pt_slot(mfn_t table, u64 va, unsigned level)
{
    return mfn_valid(table) ? (table << PAGE_SHIFT) + PT_INDEX(va, level) * sizeof(pte_t) : 0;
}

/* The same one level below the entry at `at`, which is looked at for that; 0: there is none. */
static force_inline paddr_t pt_descend(paddr_t at, u64 va, unsigned level)
{
    pte_t e = at ? READ_ONCE(*(pte_t *)phys_to_virt(at)) : 0;

    return (e & (PTE_PRESENT | PTE_PSE)) == PTE_PRESENT ? pt_slot(pte_mfn(e), va, level) : 0;
}

/* Machine address of the entry of `level` that va goes through below this L4, 0: none. */
static force_inline paddr_t pt_walk(mfn_t l4, u64 va, unsigned level)
{
    paddr_t at = pt_slot(l4, va, 4);

    if (level < 4)
        at = pt_descend(at, va, 3);
    if (level < 3)
        at = pt_descend(at, va, 2);
    return level < 2 ? pt_descend(at, va, 1) : at;
}
