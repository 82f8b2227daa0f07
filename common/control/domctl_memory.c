/* SPDX-License-Identifier: MIT */
/* domctl: what a domain's frames are at the moment, for a toolstack that saves them. */
#include "domctl.h"

#include <hv/guest_access.h>

#define FRAMES_MAX 1024

static u64 kind_of(const struct page_info *pg)
{
    u64 x = READ_ONCE(pg->type_info), refs = READ_ONCE(pg->ref_info);
    enum page_type type = page_type_of(x);

    if (refs & PGR_SPECIAL)
        return XEN_DOMCTL_PFINFO_XTAB;
    if (refs & PGR_BROKEN)
        return XEN_DOMCTL_PFINFO_BROKEN; /* who reads it gets a machine check */
    if (!(x & PGT_COUNT_MASK) || type < PGT_L1 || type > PGT_L4)
        return 0;
    return (u64)(type - PGT_L1 + 1) << XEN_DOMCTL_PFINFO_LTAB_SHIFT | (x & PGT_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
}

long domctl_page_info(const struct xen_domctl_getpageframeinfo3 *q, struct domain *d)
{
    if (q->num > FRAMES_MAX)
        return -E2BIG;
    for (u64 i = 0; i < q->num; i++) {
        guest_ptr_t slot = guest_ptr_index(q->array, i, sizeof(u64));
        u64 mfn, kind = XEN_DOMCTL_PFINFO_XTAB;

        if (copy_from_guest(&mfn, slot, sizeof(mfn)))
            return -EFAULT;
        if (mfn_valid(mfn) && page_get(mfn_to_page(mfn), d)) {
            kind = kind_of(mfn_to_page(mfn));
            page_put(mfn_to_page(mfn));
        }
        if (copy_to_guest(slot, &kind, sizeof(kind)))
            return -EFAULT;
        if ((i & 63) == 63)
            preempt_point();
    }
    return 0;
}
