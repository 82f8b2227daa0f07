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
 */
#pragma once

#include <hv/domain.h>

struct grant_mapping {
    owner_t granter; /* a reference to it */
    u32 ref, mfn;
    u32 flags; /* GNTMAP_*, above them the granter's id; 0: free, or claimed by a vCPU. Changed atomically */
};
CHECK_SIZE(struct grant_mapping, 16);
#define MAPPING_DOMID_SHIFT 16
#define MAPPINGS_PER_PAGE (PAGE_SIZE / sizeof(struct grant_mapping))
#define HEAD_COUNT (1ULL << 32)
/* Of a free one: the next free one's number plus 1. */
#define next_free ref

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

/* Those from the handle on to `last`, which are linked already, are free. One: it is its own last, and claimed. */
static force_inline void maptrack_give(struct domain *d, u32 handle, struct grant_mapping *last)
{
    u64 head = READ_ONCE(d->maptrack_free);

    do
        last->next_free = (u32)head;
    while (!__atomic_compare_exchange_n(&d->maptrack_free, &head, (head & ~(HEAD_COUNT - 1)) | (handle + 1), false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED));
}

struct grant_mapping *maptrack_more(struct domain *d, u32 *handle) __must_check; /* maptrack.c */
/* A claimed one; NULL: the domain may have no more, or there is no memory. It is in use when its flags are stored (release). */
static force_inline struct grant_mapping *__must_check maptrack_new(struct domain *d, u32 *handle)
{
    struct grant_mapping *m = maptrack_take(d, handle);

    return likely(m) ? m : maptrack_more(d, handle);
}

/* Of a guest's handle; its flags are taken away. NULL: there is none, or another vCPU has claimed it. */
static force_inline struct grant_mapping *__must_check maptrack_claim(struct domain *d, u32 handle, u32 *flags)
{
    u32 frames = __atomic_load_n(&d->nr_maptrack_frames, __ATOMIC_ACQUIRE);

    if (handle / MAPPINGS_PER_PAGE >= frames)
        return NULL;
    struct grant_mapping *m = mapping_of(d, (u32)index_nospec(handle, (u64)frames * MAPPINGS_PER_PAGE));
    *flags = __atomic_exchange_n(&m->flags, 0, __ATOMIC_ACQ_REL);
    return *flags ? m : NULL;
}

void maptrack_free_all(struct domain *d); /* for grant_free_domain() */
