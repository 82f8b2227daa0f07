/* SPDX-License-Identifier: MIT */
/*
 * Between the files of common/grant. The granter is the domain whose frame it is; the mapper has it mapped, under a handle.
 *
 * Neither side's lock is held while frames are used: a shared entry and its pins change under a bit of the pins' own (pin.h), a mapping
 * belongs to whoever has claimed its handle (maptrack.h).
 */
#pragma once

#include <hv/grant.h>
#include <hv/guest_access.h>
#include <public/grant_table.h>
#include "maptrack.h"
#include "pin.h"

/* ---- lists of operations ---- */
/* Of operations, as the caller gave it, or what is left of it: one that is long is left where the caller's events wait (softirq.h). */
struct grant_list {
    guest_ptr_t at;
    u32 count;
};
/* The first `done` operations of this size are done. 0; -ERESTART: the list is the rest, for later. */
static inline long __may_preempt __must_check grant_list_point(struct grant_list *l, u32 done, u32 size)
{
    if (done == l->count)
        return 0;
    long rc = domain_work_point();
    if (rc)
        *l = (struct grant_list){ guest_ptr_index(l->at, done, size), l->count - done };
    return rc;
}
/* The other domain of an operation: held from one operation of a list to the next, most of which name the same. At first the caller's own. */
struct grant_peer {
    domid_t id;
    struct domain *d;
};
#define GRANT_PEER_SELF \
    (struct grant_peer) { .id = current->domain->id, .d = current->domain }
static inline void grant_peer_done(struct grant_peer *p) { domain_done(p->d); }
#define __held_peer __attribute__((cleanup(grant_peer_done)))
struct domain *grant_peer_find(struct grant_peer *p, domid_t id) __must_check;
/* NULL: there is no such domain, or it is dying. */
static inline struct domain *__must_check grant_peer(struct grant_peer *p, domid_t id)
{
    return likely(p->d && p->id == id) ? p->d : grant_peer_find(p, id);
}

/* ---- uses of a frame that no page-table entry holds ---- */
/* A reference to a frame of d's, and the type that writing needs. GNTST_*. */
static inline int16_t __may_preempt __must_check grant_frame_get(struct domain *d, mfn_t mfn, bool write)
{
    if (!mfn_valid(mfn) || !page_owned_by(mfn_to_page(mfn), d))
        return GNTST_bad_page;
    if (write)
        return page_get_and_type(mfn, d, PGT_WRITABLE) ? GNTST_general_error : GNTST_okay;
    return page_get(mfn_to_page(mfn), d) ? GNTST_okay : GNTST_bad_page;
}
static inline void __may_preempt grant_frame_put(mfn_t mfn, bool write)
{
    if (write)
        page_put_written(mfn_to_page(mfn));
    else
        page_put(mfn_to_page(mfn));
}

/* Handlers */
long grant_op_map(struct grant_list *list) __may_preempt;
long grant_op_unmap(struct grant_list *list) __may_preempt;
long grant_op_unmap_and_replace(struct grant_list *list) __may_preempt;
long grant_op_copy(struct grant_list *list) __may_preempt;
