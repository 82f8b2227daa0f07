/* SPDX-License-Identifier: MIT */
/*
 * References and types of frames, the common cases in line; page_type.c has the rest and the rules.
 * For the code that checks page tables: everybody else calls page_get() and its like.
 */
#pragma once

#include <hv/x86/page_type.h>
#include <hv/x86/tlb.h>

/* Takes a type reference where nothing is to be validated or flushed; false: page_get_type() must. */
static force_inline bool type_get_quick(struct page_info *pg, enum page_type type)
{
    u64 x = READ_ONCE(pg->type_info), settled = (u64)type << PGT_TYPE_SHIFT | PGT_VALIDATED;

    /* At count 0 only PGT_WRITABLE can match: other types lose PGT_VALIDATED with their last reference. */
    if ((x & ~(PGT_PINNED | PGT_COUNT_MASK)) != settled || (u32)x == (u32)PGT_COUNT_MASK)
        return false;
    return __atomic_compare_exchange_n(&pg->type_info, &x, x + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/*
 * The last reference goes: PGT_BUSY is set, nobody takes another one before `end` is stored.
 *
 * CPU A drops the last writable mapping of a frame, CPU B maps it once more, writes, unmaps it without a flush. If
 * A took the stamp first and the reference after, B could do all its part in between, a flush at its
 * start included: the count is 1 again, A's exchange succeeds, and the stamp is older than B's time
 * although B has a writable translation. With the frame busy B waits, or came first and A finds two references.
 */
static force_inline void type_put_end(struct page_info *pg, u64 end)
{
    pg->tlb_stamp = tlb_clock();
    __atomic_store_n(&pg->type_info, end, __ATOMIC_RELEASE);
}

/* Gives back a type reference: any of a writable frame; of other types all but the last one. False: page_put_type() must. */
static force_inline bool type_put_quick(struct page_info *pg, bool writable)
{
    u64 x = READ_ONCE(pg->type_info);

    if ((x & PGT_BUSY) || (u32)x < (writable ? 1 : 2))
        return false;
    bool last = writable && (u32)x == 1;
    if (!__atomic_compare_exchange_n(&pg->type_info, &x, last ? x | PGT_BUSY : x - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    if (last)
        type_put_end(pg, PGT_IN_USE(PGT_WRITABLE));
    return true;
}

/* A general reference, if the frame is in use and `owner` is its owner. */
static force_inline bool ref_get(struct page_info *pg, owner_t owner)
{
    u64 x = READ_ONCE(pg->ref_info);

    do {
        /* Count 0: free. A count that would wrap is refused like a wrong owner. */
        if ((u32)x + 1 < 2 || READ_ONCE(pg->owner) != owner)
            return false;
    } while (!__atomic_compare_exchange_n(&pg->ref_info, &x, x + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    /*
     * CPU A, here, reads the owner and takes a reference. In between CPU B may free the frame, and it may be given to another domain: A would
     * hold a frame of a domain that it did not ask for. Now that the reference is there the owner cannot change, so A looks once more.
     */
    if (likely(READ_ONCE(pg->owner) == owner))
        return true;
    page_put(pg);
    return false;
}

static force_inline void ref_put(struct page_info *pg)
{
    u64 x = READ_ONCE(pg->ref_info);

    /* page_put() takes the last one, with which the frame goes back to the allocator, and any other where a CPU came in between. */
    if ((u32)x < 2 || !__atomic_compare_exchange_n(&pg->ref_info, &x, x - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        page_put(pg);
}
