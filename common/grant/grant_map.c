/* SPDX-License-Identifier: MIT */
/*
 * Mapping and unmapping granted frames. An operation is decided on a copy; what has been taken for one that fails in the end is given back.
 *
 * A mapping holds a pin of the granter's entry and a reference to the granter. The frame's own references belong to what uses it: to the
 * page-table entry, as those of any other entry do, and for a device mapping to the mapping itself. So whoever changes or drops the entry by
 * other means (mmu_update, a table that goes) gives back the entry's references as always, and the frame may go; the pin stays until the
 * handle is unmapped or the mapper ends.
 *
 * The granter is told that a frame is out of use when no CPU has a translation of it any more: a list's entries are cleared first, then
 * the mapper's CPUs flush once, then the pins go.
 */
#include <hv/arch.h>
#include "grant.h"

#define KINDS (GNTMAP_device_map | GNTMAP_host_map)
#define KEPT (KINDS | GNTMAP_readonly | GNTMAP_contains_pte)
#define UNMAP_BATCH 32 /* that one flush serves */

static bool writes(u32 flags) { return !(flags & GNTMAP_readonly); }

/* ---- map ---- */

static force_inline int16_t map_frame(struct arch_walk *w, struct domain *granter, mfn_t mfn, const struct gnttab_map_grant_ref *op)
{
    bool device = op->flags & GNTMAP_device_map;

    /* A device mapping has no page-table entry that would hold the frame. */
    if (device && grant_frame_get(granter, mfn, writes(op->flags)))
        return GNTST_general_error;
    int16_t status = op->flags & GNTMAP_host_map ? arch_grant_map(w, granter, mfn, op->host_addr, op->flags) : GNTST_okay;

    if (status && device)
        grant_frame_put(mfn, writes(op->flags));
    return status;
}

static force_inline int16_t map_one(struct arch_walk *w, struct domain *d, struct domain *granter, struct gnttab_map_grant_ref *op)
{
    u32 handle;
    mfn_t mfn;

    if (unlikely(!granter))
        return GNTST_bad_domain;
    if (unlikely(!(op->flags & KINDS)))
        return GNTST_bad_gntref;
    struct grant_mapping *m = maptrack_new(d, &handle);
    if (unlikely(!m))
        return GNTST_no_device_space;
    int16_t status = grant_pin(granter, op->ref, d->id, writes(op->flags), &mfn);

    if (likely(!status)) {
        status = map_frame(w, granter, mfn, op);
        if (unlikely(status))
            grant_unpin(granter, op->ref, writes(op->flags));
    }
    if (unlikely(status)) {
        maptrack_give(d, handle, m);
        return status;
    }
    domain_get(granter);
    m->granter = owner_of(granter);
    m->ref = op->ref;
    m->mfn = (u32)mfn;
    __atomic_store_n(&m->flags, (op->flags & KEPT) | (u32)granter->id << MAPPING_DOMID_SHIFT, __ATOMIC_RELEASE);
    op->handle = handle;
    op->dev_bus_addr = mfn << PAGE_SHIFT;
    return GNTST_okay;
}

long grant_op_map(struct grant_list *list)
{
    struct domain *d = current->domain;
    struct grant_peer peer __held_peer = GRANT_PEER_SELF;
    struct arch_walk walk = ARCH_WALK_NONE;
    long rc = 0;

    for (u32 i = 0; i < list->count && !rc; i++) {
        guest_ptr_t at = guest_ptr_index(list->at, i, sizeof(struct gnttab_map_grant_ref));
        struct gnttab_map_grant_ref op;

        if (copy_from_guest(&op, at, sizeof(op)))
            return -EFAULT;
        op.status = map_one(&walk, d, op.dom < DOMID_FIRST_RESERVED ? grant_peer(&peer, op.dom) : NULL, &op);
        if (copy_to_guest(guest_ptr_add(at, offsetof(struct gnttab_map_grant_ref, dom)), &op.dom, 16))
            return -EFAULT;
        if ((i & 15) == 15) {
            walk = ARCH_WALK_NONE;
            rc = grant_list_point(list, i + 1, sizeof(op));
        }
    }
    return rc;
}

/* ---- unmap ---- */

/* What is left to do for a handle behind the flush. */
struct unmapped {
    struct grant_mapping *m;
    u32 handle, flags, mfn, gone; /* gone: the kinds that are no longer mapped */
};

static force_inline int16_t unmap_host(struct arch_walk *w, const struct gnttab_unmap_grant_ref *op, mfn_t mfn, u32 flags, bool replace)
{
    if (!replace || !op->dev_bus_addr)
        return arch_grant_unmap(w, mfn, op->host_addr, flags, 0);
    return flags & GNTMAP_contains_pte ? GNTST_general_error : arch_grant_unmap(w, mfn, op->host_addr, flags, op->dev_bus_addr);
}

/* replace: dev_bus_addr is struct gnttab_unmap_and_replace's new_addr. */
static force_inline int16_t unmap_one(struct arch_walk *w, struct domain *d, const struct gnttab_unmap_grant_ref *op, bool replace,
                                      struct unmapped *u)
{
    u32 flags;
    struct grant_mapping *m = maptrack_claim(d, op->handle, &flags);
    int16_t status = GNTST_okay;

    *u = (struct unmapped){ .m = m };
    if (unlikely(!m))
        return GNTST_bad_handle;
    bool device = !replace && op->dev_bus_addr && (flags & GNTMAP_device_map), host = op->host_addr && (flags & GNTMAP_host_map);
    if (device && op->dev_bus_addr != (u64)m->mfn << PAGE_SHIFT)
        status = GNTST_bad_dev_addr;
    else if (host)
        status = unmap_host(w, op, m->mfn, flags, replace);
    u->handle = op->handle;
    u->flags = flags;
    u->mfn = m->mfn;
    u->gone = status ? 0 : (device ? GNTMAP_device_map : 0) | (host ? GNTMAP_host_map : 0);
    /*
     * With its last kind the mapping stays claimed until unmap_end(). What is left of it may be unmapped by the same list, or at once by another
     * vCPU, that gives back the handle for others: so the mapping is not looked at any more then.
     */
    if (flags & KINDS & ~u->gone)
        __atomic_store_n(&m->flags, flags & ~u->gone, __ATOMIC_RELEASE);
    return status;
}

/* No CPU has a translation of what was unmapped any more. */
static void unmap_end(struct domain *d, const struct unmapped *u)
{
    struct grant_mapping *m = u->m;

    if (u->gone & GNTMAP_device_map)
        grant_frame_put(u->mfn, writes(u->flags));
    if (u->flags & KINDS & ~u->gone)
        return;
    struct domain *granter = mfn_to_virt(m->granter);
    if (writes(u->flags))
        page_mark_dirty(mfn_to_page(m->mfn));
    grant_unpin(granter, m->ref, writes(u->flags));
    maptrack_give(d, u->handle, m);
    domain_put(granter);
}

static long unmap_list(struct grant_list *list, bool replace)
{
    struct domain *d = current->domain;
    struct unmapped done[UNMAP_BATCH];
    long rc = 0;

    for (u32 i = 0; i < list->count && !rc;) {
        struct arch_walk walk = ARCH_WALK_NONE;
        u32 n = 0, flush = 0, end = MIN(list->count, i + UNMAP_BATCH);

        for (; i < end && !rc; i++) {
            guest_ptr_t at = guest_ptr_index(list->at, i, sizeof(struct gnttab_unmap_grant_ref));
            struct gnttab_unmap_grant_ref op;

            rc = copy_from_guest(&op, at, sizeof(op));
            if (rc)
                break;
            struct unmapped *u = done + n;
            op.status = unmap_one(&walk, d, &op, replace, u);
            flush |= u->gone; /* also of the last device mapping: another vCPU may have cleared the entry, and not have flushed yet */
            n += u->gone != 0;
            rc = copy_to_guest(guest_ptr_add(at, offsetof(struct gnttab_unmap_grant_ref, handle)), &op.handle, 8);
        }
        if (flush)
            arch_flush_caller();
        for (u32 k = 0; k < n; k++)
            unmap_end(d, &done[k]);
        if (!rc)
            rc = grant_list_point(list, i, sizeof(struct gnttab_unmap_grant_ref));
    }
    return rc;
}

long grant_op_unmap(struct grant_list *list) { return unmap_list(list, false); }
long grant_op_unmap_and_replace(struct grant_list *list) { return unmap_list(list, true); }

/* ---- the mapper's end ---- */

int grant_release_mappings(struct domain *d)
{
    for (; d->kill_index < d->nr_maptrack_frames * MAPPINGS_PER_PAGE; d->kill_index++) {
        struct unmapped u = { .handle = d->kill_index, .gone = KINDS };

        u.m = maptrack_claim(d, u.handle, &u.flags);
        if (u.m) {
            u.mfn = u.m->mfn;
            u.gone &= u.flags;
            unmap_end(d, &u);
        }
        if ((d->kill_index & 63) == 63 && domain_work_point()) {
            d->kill_index++;
            return -ERESTART;
        }
    }
    return 0;
}
