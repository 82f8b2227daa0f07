/* SPDX-License-Identifier: MIT */
/*
 * Frames with damaged memory. A free one leaves the allocator at once; one in use is marked, never
 * becomes a page table or descriptor page again, and is not given back when it is released.
 */
#include <hv/cmdline.h>
#include <hv/mm.h>
#include <hv/printk.h>

#define MAX_BAD_RANGES 32

static struct {
    u32 nr;
    struct {
        mfn_t first, last;
    } ranges[MAX_BAD_RANGES];
} bad;

/* MFN or MFN-MFN, comma-separated; numbers in C notation, as in Xen. */
static int parse_badpage(const char *p, void *var)
{
    typeof(bad) *b = var;
    char word[40];

    while (list_next(&p, word, sizeof(word))) {
        const char *end;
        mfn_t first = parse_u64(word, &end), last = first;
        bool number = end > word;

        if (number && *end == '-') {
            const char *second = end + 1;

            last = parse_u64(second, &end);
            number = end > second;
        }
        if (!number || *end || last < first || last >= 1ULL << (64 - PAGE_SHIFT) || b->nr == MAX_BAD_RANGES)
            return -EINVAL;
        b->ranges[b->nr].first = first;
        b->ranges[b->nr++].last = last;
    }
    return *p ? -EINVAL : 0;
}
OPTION("badpage", parse_badpage, bad,
       "`MFN[-MFN][,...]`: machine frames that are not to be used; decimal, or hexadecimal with `0x` as the "
       "messages show them",
       "none");

void bad_frames_reserve(void)
{
    for (u32 i = 0; i < bad.nr; i++) {
        boot_alloc_reserve(bad.ranges[i].first << PAGE_SHIFT, (bad.ranges[i].last + 1) << PAGE_SHIFT);
        printk(LOG_INFO "badpage: frames %#lx to %#lx are not used\n", bad.ranges[i].first, bad.ranges[i].last);
    }
}

void bad_frames_mark(void)
{
    for (u32 i = 0; i < bad.nr; i++)
        for (mfn_t m = bad.ranges[i].first; m <= bad.ranges[i].last && m <= max_mfn; m++)
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
        owner = frame_owner(mfn); /* it has been allocated meanwhile */
    if (owner == FRAME_FREE || owner == FRAME_GUEST)
        __atomic_fetch_or(&mfn_to_page(mfn)->ref_info, PGR_BROKEN, __ATOMIC_RELAXED);
    return owner;
}
