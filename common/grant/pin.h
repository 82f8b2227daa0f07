/* SPDX-License-Identifier: MIT */
/*
 * Uses of granted frames: how many a grant reference has (its pins), and what the granter sees of them in the shared entry (GTF_reading,
 * GTF_writing).
 *
 * The granter's own copy of an entry is in memory that it writes at any time. Here it is one word of 64 bits: it is read once, judged, and the
 * bits are set by a compare-and-exchange that fails if the granter has changed anything meanwhile. In line, since each mapping and each
 * copy comes through here.
 */
#pragma once

#include <hv/domain.h>
#include <public/grant_table.h>

#define REFS_PER_FRAME (PAGE_SIZE / sizeof(struct grant_entry_v1))
#define PINS_PER_PAGE (PAGE_SIZE / sizeof(u32))

/* Pins of a reference. The bit is a lock, held for a few instructions by a CPU that waits for nobody meanwhile (grant_swap(): for a later one). */
#define PIN_LOCKED 1u
#define PIN_USE 2u /* a count in bits 1 to 15 */
#define PIN_USES 0xfffeu
#define PIN_WRITE 0x10000u /* a count of those that write, in the bits above */
#define PIN_WRITES 0xffff0000u

/* An entry as a word. */
#define ENTRY_DOMID_SHIFT 16
#define ENTRY_DOMID (0xffffULL << ENTRY_DOMID_SHIFT)
#define ENTRY_FRAME_SHIFT 32

/* A granter that changes its entry all the time is not waited for. */
#define TRIES 16

static force_inline u32 pin_of(bool write) { return write ? PIN_USE + PIN_WRITE : PIN_USE; }
static force_inline u64 bits_of(bool write) { return write ? GTF_reading | GTF_writing : GTF_reading; }

static force_inline u64 *entry_of(const struct domain *d, u32 ref)
{
    return (u64 *)d->grant_frames[ref / REFS_PER_FRAME] + ref % REFS_PER_FRAME;
}

static force_inline u32 *pins_of(const struct domain *d, u32 ref) { return d->grant_pins[ref / PINS_PER_PAGE] + ref % PINS_PER_PAGE; }

/* A guest's word for one: it is bounded, or there is none. */
static force_inline bool find_ref(const struct domain *d, u32 *ref)
{
    u32 count = __atomic_load_n(&d->nr_grant_frames, __ATOMIC_ACQUIRE) * (u32)REFS_PER_FRAME;
    bool found = *ref < count;

    *ref = (u32)index_nospec(*ref, count);
    return found;
}

static force_inline u32 pins_lock(u32 *pins)
{
    u32 x = READ_ONCE(*pins);

    while ((x & PIN_LOCKED) || !__atomic_compare_exchange_n(pins, &x, x | PIN_LOCKED, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        cpu_relax();
        x = READ_ONCE(*pins);
    }
    return x;
}

static force_inline void pins_unlock(u32 *pins, u32 x) { __atomic_store_n(pins, x, __ATOMIC_RELEASE); }

/* Pins are locked. The entry grants what is asked for, and says now that it is in use; the word, or 0. */
static force_inline u64 entry_mark(u64 *entry, domid_t to, bool write)
{
    u64 judged = ENTRY_DOMID | GTF_type_mask | (write ? GTF_readonly : 0), x = READ_ONCE(*entry);

    for (u32 i = 0; i < TRIES; i++) {
        u64 marked = x | bits_of(write);

        if ((x & judged) != ((u64)to << ENTRY_DOMID_SHIFT | GTF_permit_access))
            return 0;
        if (x == marked || __atomic_compare_exchange_n(entry, &x, marked, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return marked;
    }
    return 0;
}

/* One more use of the frame that the granter grants to this domain. GNTST_*; the frame's number is the granter's word, and still to be checked. */
static force_inline int16_t __must_check grant_pin(const struct domain *granter, u32 ref, domid_t to, bool write, mfn_t *mfn)
{
    if (unlikely(!find_ref(granter, &ref)))
        return GNTST_bad_gntref;
    u32 *pins = pins_of(granter, ref), x = pins_lock(pins);
    bool full = (x & PIN_USES) == PIN_USES;
    u64 entry = full ? 0 : entry_mark(entry_of(granter, ref), to, write);
    pins_unlock(pins, entry ? x + pin_of(write) : x);
    *mfn = entry >> ENTRY_FRAME_SHIFT;
    return entry ? GNTST_okay : full ? GNTST_no_space : GNTST_general_error;
}

static force_inline void grant_unpin(const struct domain *granter, u32 ref, bool write)
{
    u32 *pins = pins_of(granter, ref), x = pins_lock(pins) - pin_of(write);
    u64 over = (x & PIN_USES ? 0 : GTF_reading) | (x & PIN_WRITES ? 0 : GTF_writing);

    /* Before the pins are let go: a use that comes then marks the entry anew. */
    if (over && (READ_ONCE(*entry_of(granter, ref)) & over))
        __atomic_fetch_and((u16 *)entry_of(granter, ref), (u16)~over, __ATOMIC_SEQ_CST);
    pins_unlock(pins, x);
}

/* Exchanges two entries, if neither is in use. GNTST_*. */
static inline int16_t __must_check grant_swap(const struct domain *d, u32 a, u32 b)
{
    if (!find_ref(d, &a) || !find_ref(d, &b))
        return GNTST_bad_gntref;
    if (a == b)
        return GNTST_okay;
    u32 *first = pins_of(d, MIN(a, b)), *second = pins_of(d, MAX(a, b)), x = pins_lock(first), y = pins_lock(second);
    bool unused = !((x | y) & PIN_USES);
    if (unused)
        *entry_of(d, b) = __atomic_exchange_n(entry_of(d, a), READ_ONCE(*entry_of(d, b)), __ATOMIC_SEQ_CST);
    pins_unlock(second, y);
    pins_unlock(first, x);
    return unused ? GNTST_okay : GNTST_eagain;
}
