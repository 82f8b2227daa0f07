/* SPDX-License-Identifier: MIT */
/* Memory for mappings of grants. Lock: grant_lock. */
#include "grant.h"

_Static_assert(MAPTRACK_MAX_FRAMES * sizeof(u32) <= PAGE_SIZE, "the list of a domain's maptrack frames is one page");

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

struct grant_mapping *maptrack_more(struct domain *d, u32 *handle)
{
    struct grant_mapping *m;

    spin_lock(&d->grant_lock);
    do
        m = maptrack_take(d, handle); /* another vCPU may have come first, and may empty it again */
    while (!m && maptrack_grow(d));
    spin_unlock(&d->grant_lock);
    return m;
}

void maptrack_free_all(struct domain *d)
{
    for (u32 i = 0; i < d->nr_maptrack_frames; i++)
        hv_free_page(mfn_to_virt(d->maptrack_frames[i]));
    hv_free_page(d->maptrack_frames);
}
