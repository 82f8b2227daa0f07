/* SPDX-License-Identifier: MIT */
/*
 * Between the files of common/grant. The granter is the domain whose frame it is; the mapper has it mapped, under a handle.
 *
 * Neither side's lock is held while frames are used: a shared entry and its pins change under a bit of the pins' own (grant_pin.c), a
 * mapping belongs to whoever has claimed its handle (maptrack.c).
 */
#ifndef COMMON_GRANT_H
#define COMMON_GRANT_H

#include <hv/domain.h>
#include <hv/grant.h>
#include <hv/guest_access.h>
#include <public/grant_table.h>

/* ---- grant_pin.c: uses of a granter's frames ---- */
#define REFS_PER_FRAME (PAGE_SIZE / sizeof(struct grant_entry_v1))
#define PINS_PER_PAGE (PAGE_SIZE / sizeof(u32))
/* One more use of the frame that the granter grants to this domain. GNTST_*; the frame's number is the granter's word, and still to be checked. */
int16_t grant_pin(const struct domain *granter, u32 ref, domid_t to, bool write, mfn_t *mfn) __must_check;
void grant_unpin(const struct domain *granter, u32 ref, bool write);
int16_t grant_swap(const struct domain *d, u32 a, u32 b) __must_check; /* two entries, if neither is in use */

/* ---- maptrack.c: a mapper's mappings, by their handles ---- */
struct grant_mapping {
    owner_t granter; /* a reference to it */
    u32 ref, mfn;
    u32 flags; /* GNTMAP_*; 0: free, or claimed by a vCPU. Changed atomically */
};
CHECK_SIZE(struct grant_mapping, 16);
#define MAPPINGS_PER_PAGE (PAGE_SIZE / sizeof(struct grant_mapping))
/* A claimed one; NULL: the domain may have no more, or there is no memory. It is in use when its flags are stored (release). */
struct grant_mapping *maptrack_new(struct domain *d, u32 *handle) __must_check;
/* Of a guest's handle; its flags are taken away. NULL: there is none, or another vCPU has claimed it. */
struct grant_mapping *maptrack_claim(struct domain *d, u32 handle, u32 *flags) __must_check;
void maptrack_free(struct domain *d, struct grant_mapping *m, u32 handle); /* it is claimed, and its handle free again */
void maptrack_free_all(struct domain *d);                                  /* for grant_free_domain() */

/* ---- lists of operations ---- */
struct grant_list {
    guest_ptr_t at;
    u32 count;
};
/* The other domain of an operation: held from one operation of a list to the next, most of which name the same. */
struct grant_peer {
    domid_t id;
    struct domain *d;
};
static inline void grant_peer_done(struct grant_peer *p) { domain_done(p->d); }
#define __held_peer __attribute__((cleanup(grant_peer_done)))
/* NULL: there is no such domain, or it is dying. */
struct domain *grant_peer_find(struct grant_peer *p, domid_t id) __must_check;

/* Handlers; the argument is a struct grant_list. */
long grant_op_map(void *list) __may_preempt;
long grant_op_unmap(void *list) __may_preempt;
long grant_op_unmap_and_replace(void *list) __may_preempt;
long grant_op_copy(void *list) __may_preempt;

#endif
