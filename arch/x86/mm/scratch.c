/* SPDX-License-Identifier: MIT */
/*
 * Boot's large buffers: in one piece by address, of whatever frames are free. So the unpacked kernel, the decompressors' windows
 * and dom0's p2m need no contiguous memory, however large the machine or broken up its memory is.
 *
 * They lie in an L4 slot that is the guests' in every other address space; it goes with scratch_end(). Behind each buffer
 * one page is not mapped. Boot only, on one CPU: no lock.
 */
#include <hv/x86/page_table.h>

static u64 next = SCRATCH_VIRT_START;

void *scratch_alloc(u64 bytes)
{
    u64 start = next, size = ROUND_UP(bytes, PAGE_SIZE);

    if (size < bytes || size >= SCRATCH_VIRT_END - next)
        return NULL;
    next += size + PAGE_SIZE;
    for (u64 va = start; va < start + size; va += PAGE_SIZE) {
        struct page_info *pg = page_alloc(0, 0);

        if (!pg || hv_map(va, page_to_mfn(pg) << PAGE_SHIFT, PAGE_SIZE, HV_RW)) {
            if (pg)
                page_free(pg, 0);
            scratch_free((void *)start);
            return NULL;
        }
    }
    return (void *)start;
}

bool scratch_holds(const void *p) { return (u64)p - SCRATCH_VIRT_START < SCRATCH_VIRT_END - SCRATCH_VIRT_START; }

void scratch_free(void *p)
{
    pte_t e;

    for (u64 va = (u64)p; scratch_holds(p) && (e = hv_lookup(va)); va += PAGE_SIZE) {
        hv_unmap(va, PAGE_SIZE);
        page_free(mfn_to_page(pte_mfn(e)), 0);
    }
}

struct page_info *scratch_page(const void *p) { return mfn_to_page(pte_mfn(hv_lookup((u64)p))); }

void scratch_end(void) { hv_drop_slot(PT_INDEX(SCRATCH_VIRT_START, 4)); }
