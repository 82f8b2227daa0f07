/* SPDX-License-Identifier: MIT */
/*
 * References and types of frames: the only writer of type counts.
 *
 * A frame has at most one type at a time; its type count says how many uses rely on it. A frame
 * of a table type or PGT_SEGDESC has no writable mapping, because that would be another type.
 * The first reference of a table type validates the whole table, the last one drops what its
 * entries hold. Both run with PGT_BUSY set; whoever needs the frame meanwhile waits, running
 * other vCPUs. Long work has preemption points and is never restarted: a vCPU keeps its stack.
 *
 * Waiting cannot cycle: validation waits only for frames of a lower level, and a frame of
 * another level is refused, not waited for (so there are no linear page tables).
 *
 * A frame changes type only after every CPU has flushed what it may remember of the old one: the
 * type stays when the last reference goes, and when a validation is refused, to say that there was one.
 */
#include <hv/printk.h>
#include <hv/domain.h>
#include <hv/x86/page_ref.h>
#include <hv/x86/page_table.h>

bool page_get(struct page_info *pg, const struct domain *d) { return ref_get(pg, owner_of(d)); }

static void flush_cache_of(struct page_info *pg)
{
    char *p = page_to_virt(pg);

    for (u64 i = 0; i < PAGE_SIZE; i += 64)
        clflush(p + i);
}

/* page_lock held. Takes the frame out of its owner's list. True: it was the last one. */
static bool list_remove(struct domain *d, const struct page_info *pg)
{
    if (pg->prev)
        mfn_to_page(pg->prev)->next = pg->next;
    else
        d->page_list = pg->next;
    if (pg->next)
        mfn_to_page(pg->next)->prev = pg->prev;
    return !--d->tot_pages;
}

/* The last reference is gone: back to the allocator. */
static void page_release_frame(struct page_info *pg)
{
    struct domain *d = page_owner(pg);

    /* Type references hold general ones, so none is left. */
    ASSERT(!(pg->type_info & PGT_COUNT_MASK));
    if (pg->ref_info & PGR_SPECIAL) { /* no domain maps the hypervisor's page any more; domain_free() frees it */
        pg->owner = 0;
        domain_put(d);
        return;
    }
    spin_lock(&d->page_lock);
    bool last = list_remove(d, pg);
    spin_unlock(&d->page_lock);
    if (pg->ref_info & PGR_UNCACHED)
        flush_cache_of(pg);
    m2p_set(page_to_mfn(pg), INVALID_M2P);
    page_free(pg, 0);
    if (last)
        domain_put(d);
}

void page_put(struct page_info *pg)
{
    u64 left = __atomic_sub_fetch(&pg->ref_info, 1, __ATOMIC_ACQ_REL);

    if (unlikely(!(left & PGR_COUNT_MASK)))
        page_release_frame(pg);
}

static bool needs_validation(enum page_type type) { return type >= PGT_L1; }

static void wait_while_busy(struct page_info *pg)
{
    for (u32 turns = 0; READ_ONCE(pg->type_info) & PGT_BUSY;)
        preempt_wait(&turns);
}

static int page_type_validate(struct page_info *pg, enum page_type type)
{
    if (READ_ONCE(pg->ref_info) & PGR_UNCACHED) {
        /* The CPU walks tables through the cache; the guest may have written around it (XSA-402). */
        flush_cache_of(pg);
        __atomic_fetch_and(&pg->ref_info, ~PGR_UNCACHED, __ATOMIC_RELAXED);
    }
    /*
     * Damaged memory is never promoted: processors would walk it. Nor are the hypervisor's own pages, also when their domain has ended and
     * the hypervisor's type reference is gone: it writes to them (wallclock_publish()) without asking for a type.
     */
    if (READ_ONCE(pg->ref_info) & (PGR_BROKEN | PGR_SPECIAL))
        return -EINVAL;
    return pv_frame_validate(pg, type);
}

/* Count 0 to 1: this vCPU alone decides what the frame becomes. */
static int acquire_first(struct page_info *pg, u64 old, enum page_type type)
{
    u64 base = (u64)type << PGT_TYPE_SHIFT;
    bool flush = page_type_of(old) != PGT_NONE && page_type_of(old) != type;
    /* PGT_BUSY until the flush and the validation are done: nobody else uses the new type while a TLB has translations of the old one. */
    u64 busy = base | 1 | (needs_validation(type) || flush ? PGT_BUSY : PGT_VALIDATED);

    if (!__atomic_compare_exchange_n(&pg->type_info, &old, busy, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return -EAGAIN;
    if (flush)
        tlb_flush_since(pg->tlb_stamp);
    if (!(busy & PGT_BUSY))
        return 0;
    int rc = needs_validation(type) ? page_type_validate(pg, type) : 0;

    /*
     * A refused frame keeps its type at count 0. It has not been used as such this time, but if it had this type before, nothing was
     * flushed above, and CPUs may still have translations from then: whoever takes it for another type flushes.
     */
    __atomic_store_n(&pg->type_info, rc ? base : base | PGT_VALIDATED | 1, __ATOMIC_RELEASE);
    return rc;
}

int page_get_type(struct page_info *pg, enum page_type type)
{
    assert_may_preempt();
    for (;;) {
        u64 x = READ_ONCE(pg->type_info);

        if (!(x & PGT_COUNT_MASK)) {
            int rc = acquire_first(pg, x, type);

            if (rc != -EAGAIN)
                return rc;
            continue;
        }
        if (page_type_of(x) != type || (x & PGT_COUNT_MASK) == PGT_COUNT_MASK)
            return -EINVAL;
        if (x & PGT_BUSY) {
            wait_while_busy(pg);
            continue;
        }
        if (__atomic_compare_exchange_n(&pg->type_info, &x, x + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return 0;
    }
}

/* The caller has set PGT_BUSY on the last reference. */
static void put_last_type(struct page_info *pg, enum page_type type)
{
    pv_frame_invalidate(pg, type);
    /* The type stays, at count 0: whoever takes the frame for another type flushes what CPUs have of this one. */
    type_put_end(pg, (u64)type << PGT_TYPE_SHIFT | (needs_validation(type) ? 0 : PGT_VALIDATED));
}

void page_put_type(struct page_info *pg)
{
    assert_may_preempt();
    for (;;) {
        u64 x = READ_ONCE(pg->type_info);

        /* Every put follows a get of ours; guests cannot name one. */
        ASSERT(x & PGT_COUNT_MASK);
        if (x & PGT_BUSY) {
            wait_while_busy(pg);
            continue;
        }
        bool last = (x & PGT_COUNT_MASK) == 1;
        if (!__atomic_compare_exchange_n(&pg->type_info, &x, last ? (x | PGT_BUSY) & ~PGT_VALIDATED : x - 1, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        if (last)
            put_last_type(pg, page_type_of(x));
        return;
    }
}

int page_get_and_type(mfn_t mfn, struct domain *d, enum page_type type)
{
    if (!mfn_valid(mfn) || !ref_get(mfn_to_page(mfn), owner_of(d)))
        return -EINVAL;
    struct page_info *pg = mfn_to_page(mfn);
    int rc = type_get_quick(pg, type) ? 0 : page_get_type(pg, type);
    if (rc)
        page_put(pg);
    return rc;
}

void page_put_and_type(struct page_info *pg)
{
    if (!type_put_quick(pg, false))
        page_put_type(pg);
    ref_put(pg);
}

static bool page_type_unpin(struct page_info *pg)
{
    bool was = __atomic_fetch_and(&pg->type_info, ~PGT_PINNED, __ATOMIC_ACQ_REL) & PGT_PINNED;

    if (was)
        page_put_and_type(pg);
    return was;
}

int page_pin(struct domain *d, mfn_t mfn, enum page_type type)
{
    int rc = page_get_and_type(mfn, d, type);

    if (rc)
        return rc;
    if (__atomic_fetch_or(&mfn_to_page(mfn)->type_info, PGT_PINNED, __ATOMIC_SEQ_CST) & PGT_PINNED) {
        page_put_and_type(mfn_to_page(mfn));
        return -EINVAL;
    }
    /*
     *   CPU A (here):             pins; reads the state
     *   CPU B (domain_kill()):    sets DOMAIN_DYING; looks at every frame for a pin (page_disown())
     *
     * A sees that the domain is dying, or B sees the pin. Otherwise a pin would stay that nobody takes away, and the domain with it.
     */
    if (unlikely(READ_ONCE(d->state) >= DOMAIN_DYING)) {
        page_type_unpin(mfn_to_page(mfn));
        return -EINVAL;
    }
    return 0;
}

int page_unpin(struct domain *d, mfn_t mfn)
{
    if (!mfn_valid(mfn) || !page_get(mfn_to_page(mfn), d))
        return -EINVAL;
    struct page_info *pg = mfn_to_page(mfn);
    bool was = page_type_unpin(pg);
    page_put(pg);
    return was ? 0 : -EINVAL;
}

/* How many frames of a list one hold of page_lock passes. */
#define LIST_STRIDE 256

struct page_info *page_list_next(struct domain *d, const struct page_info *after, u64 mask, u64 type)
{
    u32 passed = 0;

    spin_lock_scope(&d->page_lock);
    for (u32 next = after ? after->next : d->page_list; next;) {
        struct page_info *pg = mfn_to_page(next);

        /* A reference that is refused: page_release_frame() is about to take the frame out. */
        if ((passed++ >= LIST_STRIDE || (READ_ONCE(pg->type_info) & mask) == type) && ref_get(pg, owner_of(d)))
            return pg;
        next = pg->next;
    }
    return NULL;
}

u32 page_free_unused(struct domain *d)
{
    struct page_info *unused[64];
    u32 n = 0;
    bool last = false;

    spin_lock(&d->page_lock);
    u32 mfn = d->page_list;
    for (u32 passed = 0; mfn && n < ARRAY_SIZE(unused) && passed < LIST_STRIDE; passed++) {
        struct page_info *pg = mfn_to_page(mfn);
        u64 owners = PGR_ALLOCATED | 1;

        mfn = pg->next;
        /* No other reference, so no type either; and nobody gets one any more. */
        if (__atomic_compare_exchange_n(&pg->ref_info, &owners, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            last = list_remove(d, pg);
            unused[n++] = pg;
        }
    }
    spin_unlock(&d->page_lock);
    for (u32 i = 0; i < n; i++)
        m2p_set(page_to_mfn(unused[i]), INVALID_M2P);
    page_free_each(unused, n);
    if (last)
        domain_put(d);
    return n;
}

void page_empty_table(struct page_info *pg)
{
    u64 x = READ_ONCE(pg->type_info);
    enum page_type type = page_type_of(x);

    if (type < PGT_L1 || type > PGT_L3 || (x & (PGT_VALIDATED | PGT_BUSY)) != PGT_VALIDATED ||
        !__atomic_compare_exchange_n(&pg->type_info, &x, x | PGT_BUSY, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return; /* somebody drops it already, or looks at it: it is emptied with its last reference */
    pv_frame_invalidate(pg, type);
    memset(page_to_virt(pg), 0, PAGE_SIZE);
    __atomic_fetch_and(&pg->type_info, ~PGT_BUSY, __ATOMIC_RELEASE);
}

void page_disown(struct page_info *pg)
{
    page_type_unpin(pg);
    if (__atomic_fetch_and(&pg->ref_info, ~PGR_ALLOCATED, __ATOMIC_ACQ_REL) & PGR_ALLOCATED)
        page_put(pg);
}

/* Counts of one domain's frames by type, and what cannot be. */
void page_audit(struct domain *d)
{
    u64 by_type[8] = { 0 }, bad = 0, pages = 0;

    spin_lock(&d->page_lock);
    for (u32 m = d->page_list; m; m = mfn_to_page(m)->next) {
        struct page_info *pg = mfn_to_page(m);
        u64 count = pg->type_info & PGT_COUNT_MASK, refs = pg->ref_info & PGR_COUNT_MASK;

        pages++;
        by_type[count ? page_type_of(pg->type_info) : PGT_NONE]++;
        if (count > refs || !refs || !page_owned_by(pg, d) || ((pg->type_info & PGT_PINNED) && !count)) {
            if (!bad++)
                printk(LOG_ERR "  frame %#x: type %016lx references %016lx\n", m, pg->type_info, pg->ref_info);
        }
    }
    u64 owned = d->tot_pages;
    spin_unlock(&d->page_lock);
    printk("  unused %lu writable %lu L1 %lu L2 %lu L3 %lu L4 %lu descriptors %lu: audit %s, %lu bad\n", by_type[PGT_NONE],
           by_type[PGT_WRITABLE], by_type[PGT_L1], by_type[PGT_L2], by_type[PGT_L3], by_type[PGT_L4], by_type[PGT_SEGDESC],
           bad || pages != owned ? "FAILED" : "ok", bad);
}
