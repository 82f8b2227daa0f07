/* SPDX-License-Identifier: MIT */
/* Memory for mappings of grants, and the list of all that there are. Lock: grant_lock. */
#include <hv/console.h>
#include <hv/printk.h>
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

    spin_lock_scope(&d->grant_lock);
    do
        m = maptrack_take(d, handle); /* another vCPU may have come first, and may empty it again */
    while (!m && maptrack_grow(d));
    return m;
}

void maptrack_free_all(struct domain *d)
{
    for (u32 i = 0; i < d->nr_maptrack_frames; i++)
        hv_free_page(mfn_to_virt(d->maptrack_frames[i]));
    hv_free_page(d->maptrack_frames);
}

#define PRINTED_MAX 100 /* mappings of a domain */

static void print_grants(void)
{
    for_each_domain(d) {
        u32 handles = d->nr_maptrack_frames * (u32)MAPPINGS_PER_PAGE, found = 0;

        printk("Domain %u: %u of %u grant frames, %u of %u maptrack frames\n", d->id, d->nr_grant_frames, d->max_grant_frames,
               d->nr_maptrack_frames, d->max_maptrack_frames);
        for (u32 h = 0; h < handles; h++) {
            const struct grant_mapping *m = mapping_of(d, h);
            u32 flags = READ_ONCE(m->flags);

            if (flags && found++ < PRINTED_MAX)
                printk("  handle %u: reference %u of d%u, frame %#x,%s%s%s\n", h, m->ref, flags >> MAPPING_DOMID_SHIFT, m->mfn,
                       flags & GNTMAP_host_map ? " mapped" : "", flags & GNTMAP_device_map ? " for a device" : "",
                       flags & GNTMAP_readonly ? " read-only" : "");
        }
        if (found > PRINTED_MAX)
            printk("  and %u more\n", found - PRINTED_MAX);
    }
}
KEYHANDLER('g', print_grants, "grants: what each domain has mapped of others",
           "A dead domain (`q`) stays while others have something of it mapped: this says who. The first hundred mappings of each domain; "
           "a page of "
           "256 handles is a maptrack frame, 512 references are a grant frame");
