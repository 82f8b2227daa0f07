/* SPDX-License-Identifier: MIT */
/*
 * Which uses hold a frame, and as what: references and types (mm/page_type.c; docs/pv-mmu.md has the rules). page_ref.h has the common
 * cases in line. What takes or drops a table's type may run other vCPUs.
 */
#pragma once

#include <hv/mm.h>

#define PGT_TYPE_SHIFT 60
enum page_type { PGT_NONE, PGT_WRITABLE, PGT_L1, PGT_L2, PGT_L3, PGT_L4, PGT_SEGDESC };
#define PGT_PINNED (1ULL << 59)
#define PGT_VALIDATED (1ULL << 58)
#define PGT_BUSY (1ULL << 57)   /* one vCPU validates or tears down; others wait */
#define PGT_LOGGED (1ULL << 56) /* log-dirty has told of the frame since it was written to last, or got its type */
#define PGT_COPIED (1ULL << 55) /* a page table that has a copy: log_dirty.c */
#define PGT_COUNT_MASK 0xffffffffULL
#define PGT_IN_USE(type) ((u64)(type) << PGT_TYPE_SHIFT | PGT_VALIDATED)
#define PGT_USE_MASK PGT_IN_USE(15)

static inline enum page_type page_type_of(u64 type_info) { return (enum page_type)(type_info >> PGT_TYPE_SHIFT); }

/* For log-dirty: the frame has been written to by other means than the guest's own mappings. */
static inline void page_mark_dirty(struct page_info *pg)
{
    if (unlikely(READ_ONCE(pg->type_info) & PGT_LOGGED))
        __atomic_fetch_and(&pg->type_info, ~PGT_LOGGED, __ATOMIC_SEQ_CST);
}

/* A general reference, if d owns the frame. */
bool page_get(struct page_info *pg, const struct domain *d) __must_check;
void page_put(struct page_info *pg); /* gives it back; the last one frees the frame. No lock from page_lock's rank on is held */
/* A type reference; the caller holds a general one. 0, -EINVAL (other type, or contents refused). */
int page_get_type(struct page_info *pg, enum page_type type) __may_preempt __must_check;
void page_put_type(struct page_info *pg) __may_preempt; /* the caller keeps a general reference */
/* Both. mfn is checked. */
int page_get_and_type(mfn_t mfn, struct domain *d, enum page_type type) __may_preempt __must_check;
void page_put_and_type(struct page_info *pg) __may_preempt; /* both */
/* The same, of a frame that the caller has written to. */
static inline void __may_preempt page_put_written(struct page_info *pg)
{
    page_mark_dirty(pg);
    page_put_and_type(pg);
}
/* Pin: a type reference that the guest holds by hypercall. */
int page_pin(struct domain *d, mfn_t mfn, enum page_type type) __may_preempt __must_check;
int page_unpin(struct domain *d, mfn_t mfn) __may_preempt __must_check; /* 0; -EINVAL: it was not pinned, or is not d's */
/*
 * For the end of a domain. The frame behind `after` (which the caller holds; NULL: the first) in its list, with a reference; NULL: there is none.
 * The next one whose type_info has these bits under the mask, or another one behind some that have not.
 */
struct page_info *page_list_next(struct domain *d, const struct page_info *after, u64 mask, u64 type) __must_check;
/* The same: what an L1, L2 or L3 table has entries for goes, the table stays one. No CPU walks it; the caller holds it. Others are let be. */
void page_empty_table(struct page_info *pg) __may_preempt;
/* Frees frames that nobody but the dying domain itself holds, some at a time. How many; 0: there are none where it has looked. */
u32 page_free_unused(struct domain *d) __must_check;
void page_disown(struct page_info *pg) __may_preempt; /* neither pinned nor its owner's any more; the caller holds it */
/* Consistency of one frame, for the audit key: NULL or what is wrong. */
void page_audit(struct domain *d);

/*
 * What the kind of guest makes of a frame that becomes a page table or a page of descriptors, and no longer is one: pt_validate.c. The frame
 * is BUSY. 0, or -EINVAL: its contents are refused.
 */
int pv_frame_validate(struct page_info *pg, enum page_type type) __may_preempt __must_check;
void pv_frame_invalidate(struct page_info *pg, enum page_type type) __may_preempt; /* gives back what its entries hold */
