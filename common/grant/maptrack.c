/* SPDX-License-Identifier: MIT */
/*
 * What a domain has mapped of others: a struct grant_mapping for each handle, in pages that come as they are needed and go with the domain.
 *
 * Free ones are a stack without a lock, whose head has the number of the first one (plus 1) below and a count above:
 *
 *   CPU A (maptrack_take()):    reads the head, and in the first one the number of the second one; makes that the head
 *   CPU B:                      takes the first one and the second one, and gives back the first one
 *
 * A's exchange fails, because B has moved the count. Otherwise the second one, which B uses, would be free. Its memory stays, so A may look at
 * a mapping that is not free any more. The count has 32 bits, and A has interrupts off: it does not come round in between.
 *
 * Lock: grant_lock, for more pages.
 */
#include <hv/lib.h>
#include <hv/nospec.h>
#include "grant.h"

#define HEAD_COUNT (1ULL << 32)
/* Of a free one: the next free one's number plus 1. */
#define next_free ref

_Static_assert(MAPTRACK_MAX_FRAMES * sizeof(u32) <= PAGE_SIZE, "the list of a domain's maptrack frames is one page");

static force_inline struct grant_mapping *mapping_of(const struct domain *d, u32 handle)
{
    return (struct grant_mapping *)mfn_to_virt(d->maptrack_frames[handle / MAPPINGS_PER_PAGE]) + handle % MAPPINGS_PER_PAGE;
}

static force_inline struct grant_mapping *maptrack_take(struct domain *d, u32 *handle)
{
    u64 head = READ_ONCE(d->maptrack_free), next;
    struct grant_mapping *m;

    do {
        if (!(u32)head)
            return NULL;
        m = mapping_of(d, (u32)head - 1);
        next = ((head + HEAD_COUNT) & ~(HEAD_COUNT - 1)) | READ_ONCE(m->next_free);
    } while (!__atomic_compare_exchange_n(&d->maptrack_free, &head, next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    *handle = (u32)head - 1;
    return m;
}

/* Those from the handle on to `last`, which are linked already. */
static force_inline void maptrack_give(struct domain *d, u32 handle, struct grant_mapping *last)
{
    u64 head = READ_ONCE(d->maptrack_free);

    do
        last->next_free = (u32)head;
    while (!__atomic_compare_exchange_n(&d->maptrack_free, &head, (head & ~(HEAD_COUNT - 1)) | (handle + 1), false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED));
}

/* grant_lock held. A page more; false: that is not to be had. */
static bool maptrack_grow(struct domain *d)
{
    u32 n = d->nr_maptrack_frames, first = n * (u32)MAPPINGS_PER_PAGE;

    if (n >= d->max_maptrack_frames)
        return false;
    if (!d->maptrack_frames)
        d->maptrack_frames = hv_alloc_page();
    struct grant_mapping *page = d->maptrack_frames ? hv_alloc_page() : NULL;

    if (!page)
        return false;
    for (u32 i = 0; i + 1 < MAPPINGS_PER_PAGE; i++)
        page[i].next_free = first + i + 2;
    d->maptrack_frames[n] = (u32)virt_to_mfn(page);
    __atomic_store_n(&d->nr_maptrack_frames, n + 1, __ATOMIC_RELEASE);
    maptrack_give(d, first, page + MAPPINGS_PER_PAGE - 1);
    return true;
}

static noinline struct grant_mapping *maptrack_more(struct domain *d, u32 *handle)
{
    struct grant_mapping *m;

    spin_lock(&d->grant_lock);
    do
        m = maptrack_take(d, handle); /* another vCPU may have come first, and may empty it again */
    while (!m && maptrack_grow(d));
    spin_unlock(&d->grant_lock);
    return m;
}

struct grant_mapping *maptrack_new(struct domain *d, u32 *handle)
{
    struct grant_mapping *m = maptrack_take(d, handle);

    return likely(m) ? m : maptrack_more(d, handle);
}

struct grant_mapping *maptrack_claim(struct domain *d, u32 handle, u32 *flags)
{
    u32 frames = __atomic_load_n(&d->nr_maptrack_frames, __ATOMIC_ACQUIRE);

    if (handle / MAPPINGS_PER_PAGE >= frames)
        return NULL;
    struct grant_mapping *m = mapping_of(d, (u32)index_nospec(handle, (u64)frames * MAPPINGS_PER_PAGE));

    *flags = __atomic_exchange_n(&m->flags, 0, __ATOMIC_ACQ_REL);
    return *flags ? m : NULL;
}

void maptrack_free(struct domain *d, struct grant_mapping *m, u32 handle) { maptrack_give(d, handle, m); }

void maptrack_free_all(struct domain *d)
{
    for (u32 i = 0; i < d->nr_maptrack_frames; i++)
        hv_free_page(mfn_to_virt(d->maptrack_frames[i]));
    hv_free_page(d->maptrack_frames);
}
