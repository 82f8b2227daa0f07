/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: which of a guest's frames have been written to, for a toolstack that copies them while the guest runs.
 *
 * While writes are logged the guest runs on copies of its page tables. A copy's entry permits no more than the guest's own: it is not present
 * until the guest's has its accessed bit, and is writable only if that has its dirty bit too and the frame is not PGT_LOGGED. What a copy does
 * not permit faults. log_dirty_fault() walks the guest's own tables, sets the bits there that a processor would set, takes PGT_LOGGED away
 * from a frame that is to be written to, and makes the entry in the copy. So the guest's tables hold what it and the processor wrote there, and
 * processors never write to a copy. A copy is made when it is first walked through, and may be forgotten at any time.
 *
 * A table of level 1 to 3 with a copy is PGT_COPIED. page_info.tlb_stamp, which has no other use while it is a table, names the copy, and updates
 * come to log_dirty_exchange(), which changes both under one lock. For L4 tables, each vCPU has two of its own, for kernel and user mode,
 * which log_dirty_l4_changed() follows up. So no copy has an entry that its table has not, when what that named may be freed.
 * Frames for all this are a share of the guest's memory; when there are none left, all copies are forgotten.
 *
 * A round ends with the domain paused and in no CPU (arch_domain_unload()): copies are forgotten, each frame gets PGT_LOGGED, those that had it
 * not are reported. New frames have it not, nor frames of another type than before.
 *
 * Lock: pv_domain.log.lock. It may be held over a TLB flush (tlb.c), and over pt_updates_wait(): an update holds no lock, nor waits for one.
 */
#include <hv/grant.h>
#include <hv/guest_access.h>
#include <hv/pv.h>
#include <hv/x86/pv/log_dirty.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/tlb.h>
#include <public/domctl.h>
#include "pt_exchange.h"

/* Copies: a share of the guest's memory, and as many as are forgotten at one go with interrupts off. */
#define COPIES_OF(frames) MIN(64 + (frames) / 64, 8192ULL)

/* ---- copies: the lock is held ---- */

/* The guest's entry, as a processor may use it without a fault. */
static pte_t permitted(unsigned level, pte_t e)
{
    if (level > 1 || (e & (PTE_PRESENT | PTE_ACCESSED)) != (PTE_PRESENT | PTE_ACCESSED))
        return 0; /* upper entries are made by the walk that needs them */
    bool logged = mfn_valid(pte_mfn(e)) && (READ_ONCE(mfn_to_page(pte_mfn(e))->type_info) & PGT_LOGGED);

    return !(e & PTE_DIRTY) || logged ? e & ~PTE_RW : e;
}

static mfn_t root_of(const struct vcpu *v, bool user) { return v->domain->pv.log.first + 2 * v->id + user; }

static void set_root(struct vcpu *v, bool user, unsigned slot, pte_t e)
{
    WRITE_ONCE(((pte_t *)mfn_to_virt(root_of(v, user)))[slot], e);
    if (xpti_active())
        WRITE_ONCE(v->pv.xpti.l4[user][slot], e);
}

static void clear_root(struct vcpu *v, bool user)
{
    for (unsigned slot = 0; slot < PT_ENTRIES; slot++)
        if (slot < HV_SLOT_FIRST || slot > HV_SLOT_LAST)
            set_root(v, user, slot, 0);
}

static void forget_copy(struct log_dirty *l, struct page_info *copy)
{
    __atomic_fetch_and(&mfn_to_page(copy->type_info)->type_info, ~PGT_COPIED, __ATOMIC_SEQ_CST);
    copy->type_info = 0;
    copy->tlb_stamp = tlb_clock(); /* a CPU may still walk it: copy_of() */
    copy->next = l->free;
    l->free = (u32)page_to_mfn(copy);
}

static void forget_copies(struct domain *d)
{
    struct log_dirty *l = &d->pv.log;

    for_each_vcpu(d, v)
        for (unsigned user = 0; user < 2; user++)
            clear_root(v, user);
    for (struct page_info *copy = mfn_to_page(l->first) + 2 * d->max_vcpus; copy < mfn_to_page(l->first) + l->count; copy++)
        if (copy->type_info)
            forget_copy(l, copy);
}

/* NULL: no frame is left for it. */
static struct page_info *copy_of(struct log_dirty *l, struct page_info *table, unsigned level)
{
    if (READ_ONCE(table->type_info) & PGT_COPIED)
        return mfn_to_page(table->tlb_stamp);
    if (!l->free)
        return NULL;
    struct page_info *copy = mfn_to_page(l->free);

    l->free = copy->next;
    tlb_flush_since(copy->tlb_stamp); /* it may have been a copy of another level */
    __atomic_fetch_or(&table->type_info, PGT_COPIED, __ATOMIC_SEQ_CST);
    pt_updates_wait(table); /* those that have found it without */
    table->tlb_stamp = (u32)page_to_mfn(copy);
    copy->type_info = page_to_mfn(table);
    for (unsigned i = 0; i < PT_ENTRIES; i++)
        ((pte_t *)page_to_virt(copy))[i] = permitted(level, ((const pte_t *)page_to_virt(table))[i]);
    return copy;
}

/* ---- what the guest does ---- */

/* As a processor walks: for this access, setting the bits that it sets, also of the error code. True: the access is tried again. */
static bool walk(struct vcpu *v, u64 va, u32 *error)
{
    bool user = !v->pv.guest_kernel_mode, write = *error & PFEC_WRITE;
    struct page_info *table = mfn_to_page(v->pv.base[user]), *copy = NULL;
    pte_t wanted = (write ? PTE_RW : 0) | (*error & PFEC_FETCH ? PTE_NX : 0), denied = 0;

    for (unsigned level = 4;; level--) {
        unsigned i = PT_INDEX(va, level);
        pte_t *p = (pte_t *)page_to_virt(table) + i, e = READ_ONCE(*p);
        pte_t used = e | PTE_ACCESSED | (write && level == 1 ? PTE_DIRTY : 0);

        denied |= (e ^ PTE_RW) & wanted;
        *error = e & PTE_PRESENT ? *error | PFEC_PRESENT : *error & ~(u32)PFEC_PRESENT;
        if (!(e & PTE_PRESENT) || (level == 1 && denied))
            return false;
        if (used != e && exchange(p, e, used) != EXCHANGED)
            return true; /* an L4 entry that changes: the access faults again */
        if (used != e)
            page_mark_dirty(table);
        table = mfn_to_page(pte_mfn(e));
        if (level == 1) {
            if (write && mfn_valid(pte_mfn(e)))
                page_mark_dirty(table);
            WRITE_ONCE(((pte_t *)page_to_virt(copy))[i], permitted(1, used));
            return true;
        }
        struct page_info *next = copy_of(&v->domain->pv.log, table, level - 1);
        if (!next) {
            forget_copies(v->domain); /* it faults again */
            return true;
        }
        pte_t link = make_pte(page_to_mfn(next), used & ~PTE_ADDR_MASK);
        if (level == 4)
            set_root(v, user, i, link);
        else
            WRITE_ONCE(((pte_t *)page_to_virt(copy))[i], link);
        copy = next;
    }
}

bool log_dirty_fault(struct vcpu *v, u64 va, u32 *error)
{
    if (likely(!v->domain->pv.log.on) || !guest_range_ok(va, 1))
        return false;
    spin_lock_scope(&v->domain->pv.log.lock);
    return walk(v, va, error);
}

enum exchanged log_dirty_exchange(owner_t table_owner, unsigned level, pte_t *p, pte_t old, pte_t val)
{
    struct page_info *table = mfn_to_page(virt_to_mfn(p));
    struct domain *d = mfn_to_virt(table_owner);
    enum exchanged result = NOT_THAT_TABLE;

    spin_lock_scope(&d->pv.log.lock);
    if (update_begin(table, table_owner, level, PGT_LOGGED | PGT_COPIED))
        result = exchange(p, old, val);
    if (result == EXCHANGED) {
        page_mark_dirty(table);
        if (READ_ONCE(table->type_info) & PGT_COPIED)
            WRITE_ONCE(((pte_t *)mfn_to_virt(table->tlb_stamp))[(u64)p % PAGE_SIZE / sizeof(pte_t)], permitted(level, val));
    }
    update_end();
    return result;
}

/* Its L3 table may go next: the slot leaves the vCPUs that run on it. */
void log_dirty_l4_changed(struct domain *d, const pte_t *entry)
{
    spin_lock_scope(&d->pv.log.lock);
    if (!d->pv.log.on)
        return;
    for_each_vcpu(d, v)
        for (unsigned user = 0; user < 2; user++)
            if (v->pv.base[user] == virt_to_mfn(entry))
                set_root(v, user, (u64)entry % PAGE_SIZE / sizeof(pte_t), 0);
}

void log_dirty_forget(struct page_info *table)
{
    struct log_dirty *l = &page_owner(table)->pv.log;

    spin_lock_scope(&l->lock);
    if (READ_ONCE(table->type_info) & PGT_COPIED)
        forget_copy(l, mfn_to_page(table->tlb_stamp));
}

/* At once: log_dirty_l4_changed() has to find the old table in base[], or nothing of it in the vCPU's own. */
void log_dirty_note_base(struct vcpu *v, bool user, mfn_t mfn)
{
    spin_lock_scope(&v->domain->pv.log.lock);
    v->pv.base[user] = mfn;
    v->pv.run_l4[user] = mfn ? root_of(v, user) : 0;
    clear_root(v, user);
}

/* ---- on and off: the domain is paused, and in no CPU ---- */

static void switch_on(struct domain *d, bool on)
{
    spin_lock(&d->pv.log.lock);
    forget_copies(d);
    d->pv.log.on = on;
    spin_unlock(&d->pv.log.lock);
    for_each_vcpu(d, v) {
        pv_note_base(v, false, v->pv.base[0]);
        pv_note_base(v, true, v->pv.base[1]);
        pv_traps_changed(v);
    }
}

/* The next frame behind pg that has none of these bits, or another one behind some that have; pg is let go of. NULL: the first; there is none. */
static struct page_info *next_frame(struct domain *d, struct page_info *pg, u64 mask)
{
    struct page_info *next = page_list_next(d, pg, mask, 0);

    if (pg)
        page_put(pg);
    preempt_point();
    return next;
}

/* How many frames are not PGT_LOGGED. They get `mark`, and a bit by the number that the guest has given them. */
static u32 each_dirty(struct domain *d, u64 mark, u8 *bits, u64 count)
{
    u32 dirty = 0;

    for (struct page_info *pg = NULL; (pg = next_frame(d, pg, PGT_LOGGED));) {
        u64 pfn = m2p_get(page_to_mfn(pg));

        if (__atomic_fetch_or(&pg->type_info, mark, __ATOMIC_SEQ_CST) & PGT_LOGGED)
            continue; /* a place to go on from */
        pt_updates_wait(pg);
        dirty++;
        if (pfn < count)
            bits[index_nospec(pfn, count) / 8] |= (u8)(1u << pfn % 8);
    }
    return dirty;
}

static void all_dirty(struct domain *d)
{
    for (struct page_info *pg = NULL; (pg = next_frame(d, pg, 0));)
        page_mark_dirty(pg);
}

/* One block: two L4 tables for each vCPU, the rest for copies. Where memory is in pieces, fewer. */
static bool alloc_frames(struct domain *d)
{
    struct log_dirty *l = &d->pv.log;
    struct page_info *first;
    u32 roots = 2 * d->max_vcpus, copies = (u32)COPIES_OF(d->tot_pages);

    while (!(first = page_alloc_contiguous(roots + copies)))
        if ((copies /= 2) < 32)
            return false;
    l->first = (u32)page_to_mfn(first);
    l->count = roots + copies;
    for (u32 i = 0; i < roots; i++)
        pv_fill_hypervisor_slots(d, page_to_virt(first + i));
    for (u32 i = roots; i < l->count; i++)
        first[i].type_info = page_to_mfn(first + i); /* of itself, until forget_copies() */
    return true;
}

static int start(struct domain *d)
{
    if (!alloc_frames(d))
        return -ENOMEM;
    switch_on(d, true);
    each_dirty(d, PGT_LOGGED, NULL, 0);
    return 0;
}

void log_dirty_end(struct domain *d)
{
    struct log_dirty *l = &d->pv.log;

    if (!l->on)
        return;
    switch_on(d, false);
    all_dirty(d);
    page_free_range(l->first, l->count);
    l->free = 0;
}

/* ---- the toolstack's operations ---- */

/* What the hypervisor and other domains may write to at any time. */
static void mark_shared(struct domain *d)
{
    for_each_vcpu(d, v) {
        struct page_info *pages[] = { READ_ONCE(v->info_page), READ_ONCE(v->fifo_control_page) }; /* a reset may come in between */

        for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
            if (pages[i])
                page_mark_dirty(pages[i]);
    }
    for (u32 i = 0; i < d->fifo_nr_pages; i++)
        page_mark_dirty(d->fifo_pages[i]);
    grant_mark_dirty(d);
}

static int report(struct domain *d, struct xen_domctl_shadow_op *op)
{
    struct log_dirty *l = &d->pv.log;
    bool clean = op->op == XEN_DOMCTL_SHADOW_OP_CLEAN;
    u64 bytes = op->dirty_bitmap.va ? op->pages / 8 + !!(op->pages % 8) : 0;
    u8 *bits = hv_alloc(bytes);

    if (!bits)
        return -ENOMEM;
    mark_shared(d);
    if (clean) {
        spin_lock_scope(&l->lock);
        forget_copies(d);
    }
    op->stats[1] = each_dirty(d, clean ? PGT_LOGGED : 0, bits, bytes * 8);
    bool told = !copy_to_guest(op->dirty_bitmap, bits, bytes);
    hv_free(bits);
    if (!told)
        all_dirty(d); /* for the next time */
    return told ? 0 : -EFAULT;
}

long log_dirty_op(struct xen_domctl_shadow_op *op, struct domain *d)
{
    bool enable = op->op == XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    bool tells = op->op == XEN_DOMCTL_SHADOW_OP_CLEAN || op->op == XEN_DOMCTL_SHADOW_OP_PEEK;

    if (!enable && !tells && op->op != XEN_DOMCTL_SHADOW_OP_OFF)
        return -EOPNOTSUPP;
    if (enable == d->pv.log.on || d == current->domain || d->state >= DOMAIN_DYING)
        return -EINVAL;
    long rc = domain_pause(d);
    if (rc)
        return rc;
    arch_domain_unload(d);
    if (enable)
        rc = start(d);
    else if (tells)
        rc = report(d, op);
    else
        log_dirty_end(d);
    domain_unpause(d);
    return rc;
}
