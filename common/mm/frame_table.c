/* SPDX-License-Identifier: MIT */
/* The frame table: one struct page_info for each frame of RAM and of the holes beside it. */
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/domain.h>
#include <hv/printk.h>
#include <hv/x86/page_table.h>

_Static_assert(MAX_MFN <= 0xffffffff, "frame numbers are indices of 32 bits");

mfn_t max_mfn __ro_after_init;
u64 total_ram_pages __ro_after_init;
bool frame_chunks[MAX_CHUNKS] __ro_after_init;

void frame_table_init(void)
{
    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct memory_range *r = &boot_info.ranges[i];
        mfn_t first = r->start >> PAGE_SHIFT, end = (r->end + PAGE_SIZE - 1) >> PAGE_SHIFT;

        if (r->type != E820_RAM)
            continue;
        if (end > MAX_MFN + 1) {
            printk(LOG_WARN "memory above %lu GiB is not used\n", (MAX_MFN + 1) >> 18);
            end = MAX_MFN + 1;
            if (first >= end)
                continue;
        }
        total_ram_pages += end - first;
        max_mfn = MAX(max_mfn, end - 1);
        for (mfn_t m = ROUND_DOWN(first, FRAMES_PER_CHUNK); m < end; m += FRAMES_PER_CHUNK) {
            if (frame_chunks[m / FRAMES_PER_CHUNK])
                continue;
            frame_chunks[m / FRAMES_PER_CHUNK] = true;
            if (hv_map((u64)mfn_to_page(m), boot_alloc(MiB(2), MiB(2)), MiB(2), HV_RW))
                panic(PANIC_BOOT_MEMORY, "no memory for the frame table"); /* boot: boot_alloc() has said more */
        }
    }
}
BOOT_STEP(frame_table_init, NEEDS(consoles, memory_map, boot_allocator), GIVES(frame_table), EVERYWHERE);
