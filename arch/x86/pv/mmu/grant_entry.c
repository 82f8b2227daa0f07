/* SPDX-License-Identifier: MIT */
/* Page-table entries that map granted frames. The entry is the guest's like any other, but for the owner of its frame. */
#include <hv/guest_access.h>
#include <hv/x86/pv/mmu.h>
#include <public/grant_table.h>
#include "pt_entry.h"
#include "pt_exchange.h"

#define AVAIL_SHIFT 9 /* the guest's bits of an entry, three of which a grant's flags can set */
#define AVAIL_BITS 7u

static force_inline pte_t entry_for(mfn_t mfn, u32 flags)
{
    return make_pte(mfn, PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY | (flags & GNTMAP_readonly ? 0 : PTE_RW) |
                             (u64)(flags >> GNTMAP_guest_avail0_shift & AVAIL_BITS) << AVAIL_SHIFT);
}

/* Machine address of the entry, 0: there is none. */
static force_inline paddr_t entry_at(struct arch_walk *w, u64 at, u32 flags)
{
    if (unlikely(flags & GNTMAP_contains_pte))
        return !(at & 7) && mfn_valid(at >> PAGE_SHIFT) ? at : 0;
    if (at >> PT_SHIFT(2) != w->region) {
        paddr_t entry = guest_range_ok(at, 1) ? pt_walk(current->pv.base[0], at, 1) : 0;

        if (!entry)
            return 0;
        *w = (struct arch_walk){ at >> PT_SHIFT(2), entry & PAGE_MASK };
    }
    return w->table + PT_INDEX(at, 1) * sizeof(pte_t);
}

/*
 * Replaces an L1 entry of the caller's that equals `expected` where `mask` has bits. The caller gives the references that val needs, and gets
 * those that *old has. 0; -EINVAL: it is another entry, or the frame is no L1 table of the domain's (any more).
 */
static force_inline int entry_replace(paddr_t at, pte_t expected, pte_t mask, pte_t val, pte_t *old)
{
    owner_t owner = owner_of(current->domain);
    pte_t *p = phys_to_virt(at);
    enum exchanged result;

    do {
        *old = READ_ONCE(*p);
        if ((*old ^ expected) & mask)
            return -EINVAL;
        result = exchange_in_table(owner, 1, p, *old, val);
    } while (unlikely(result == ENTRY_CHANGED));
    return result == EXCHANGED ? 0 : -EINVAL;
}

static force_inline void put_if_present(pte_t e)
{
    if (e & PTE_PRESENT)
        entry_put(1, e);
}

int16_t arch_grant_map(struct arch_walk *w, struct domain *owner, mfn_t mfn, u64 at, u32 flags)
{
    pte_t e = entry_for(mfn, flags), old;
    paddr_t entry = entry_at(w, at, flags);
    struct page_info *pg = mfn_to_page(mfn);

    if (!entry)
        return GNTST_general_error;
    /* I/O memory is never granted, whatever the caller may map of it. */
    if (!mfn_valid(mfn) || !ref_get(pg, owner_of(owner)))
        return GNTST_bad_page;
    if ((e & PTE_RW) && unlikely(!type_get_quick(pg, PGT_WRITABLE)) && pt_get_writable(pg))
        return GNTST_general_error;
    int rc = entry_replace(entry, 0, 0, e, &old);
    put_if_present(unlikely(rc) ? e : old);
    return rc ? GNTST_general_error : GNTST_okay;
}

/* What a grant of these flags has stored, and still has to be there. */
#define SAME (PTE_ADDR_MASK | PTE_PRESENT | PTE_RW)

/* The entry for another address takes its place. */
static noinline int16_t replace_by(paddr_t entry, pte_t mapped, u64 from)
{
    paddr_t at = entry_at(&ARCH_WALK_NONE, from, 0);
    pte_t moved, old;

    /* First as it looks now: only a guest that changes it meanwhile loses the other entry. */
    if (!at || ((READ_ONCE(*(pte_t *)phys_to_virt(entry)) ^ mapped) & SAME) || entry_replace(at, 0, 0, 0, &moved))
        return GNTST_general_error;
    int rc = entry_replace(entry, mapped, SAME, moved, &old);
    put_if_present(rc ? moved : old);
    return rc ? GNTST_general_error : GNTST_okay;
}

int16_t arch_grant_unmap(struct arch_walk *w, mfn_t mfn, u64 at, u32 flags, u64 from)
{
    pte_t mapped = entry_for(mfn, flags), old;
    paddr_t entry = entry_at(w, at, flags);

    if (!entry)
        return GNTST_general_error;
    if (unlikely(from))
        return replace_by(entry, mapped, from);
    if (entry_replace(entry, mapped, SAME, 0, &old))
        return GNTST_general_error;
    entry_put(1, old);
    return GNTST_okay;
}
