/*
 * Frames with damaged memory. A free one leaves the allocator at once; one in use is marked, never
 * becomes a page table or descriptor page again, and is not given back when it is released.
 */
#include <hv/cmdline.h>
#include <hv/lib.h>
#include <hv/mm.h>
#include <hv/printk.h>

#define MAX_BAD_RANGES 32

static struct {
    mfn_t first, last;
} bad[MAX_BAD_RANGES];
static u32 nr_bad;

/* MFN or MFN-MFN, comma-separated; numbers in C notation, as in Xen. */
static int parse_badpage(const char *p, void *var)
{
    (void)var;
    while (*p && nr_bad < MAX_BAD_RANGES) {
        const char *end;
        mfn_t first = parse_u64(p, &end), last = first;

        if (end == p)
            return -EINVAL;
        if (*end == '-') {
            p = end + 1;
            last = parse_u64(p, &end);
            if (end == p || last < first)
                return -EINVAL;
        }
        bad[nr_bad].first = first;
        bad[nr_bad++].last = last;
        if (*end && *end != ',')
            return -EINVAL;
        p = *end ? end + 1 : end;
    }
    return *p ? -EINVAL : 0;
}
OPTION("badpage", parse_badpage, nr_bad);

void bad_frames_reserve(void)
{
    for (u32 i = 0; i < nr_bad; i++) {
        boot_alloc_reserve(bad[i].first << PAGE_SHIFT, (bad[i].last + 1) << PAGE_SHIFT);
        printk(LOG_INFO "badpage: frames %lx to %lx are not used\n", bad[i].first, bad[i].last);
    }
}

void bad_frames_mark(void)
{
    for (u32 i = 0; i < nr_bad; i++)
        for (mfn_t m = bad[i].first; m <= bad[i].last && m <= max_mfn; m++)
            if (mfn_valid(m))
                mfn_to_page(m)->ref_info |= PGR_BROKEN;
}

enum frame_owner frame_owner(mfn_t mfn)
{
    if (!mfn_valid(mfn))
        return FRAME_NONE;
    const struct page_info *pg = mfn_to_page(mfn);
    u64 refs = READ_ONCE(pg->ref_info);

    if (refs & PGR_BROKEN && !pg->owner)
        return FRAME_RETIRED;
    if (pg->owner)
        return refs & PGR_SPECIAL ? FRAME_HYPERVISOR : FRAME_GUEST;
    return page_is_free(mfn) ? FRAME_FREE : FRAME_HYPERVISOR;
}

enum frame_owner page_retire(mfn_t mfn)
{
    enum frame_owner owner = frame_owner(mfn);

    if (owner == FRAME_FREE && !page_take_free(mfn))
        owner = frame_owner(mfn); /* somebody was faster */
    if (owner == FRAME_FREE || owner == FRAME_GUEST)
        __atomic_fetch_or(&mfn_to_page(mfn)->ref_info, PGR_BROKEN, __ATOMIC_RELAXED);
    return owner;
}
