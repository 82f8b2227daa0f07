/* SPDX-License-Identifier: MIT */
/*
 * Allocation before the page allocator: takes from the top of RAM ranges, below 4 GiB first if
 * nothing else is asked (early mappings reach there), around what is reserved.
 */
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/lib.h>
#include <hv/mm.h>
#include <hv/panic.h>

#define MAX_RESERVED (BOOT_MAX_MEMORY_RANGES + 64) /* one in each range that something is taken from, modules, badpage= */

static struct {
    paddr_t start, end;
} reserved[MAX_RESERVED]; /* sorted by start, disjoint */
static u32 nr_reserved;

void boot_alloc_reserve(paddr_t start, paddr_t end)
{
    u32 i = 0, j;

    start = ROUND_DOWN(start, PAGE_SIZE);
    end = ROUND_UP(end, PAGE_SIZE);
    while (i < nr_reserved && reserved[i].end < start)
        i++;
    for (j = i; j < nr_reserved && reserved[j].start <= end; j++) {
        start = MIN(start, reserved[j].start);
        end = MAX(end, reserved[j].end);
    }
    if (j == i && nr_reserved == MAX_RESERVED)
        panic(PANIC_BOOT_MEMORY, "more than %u separate boot reservations", MAX_RESERVED);
    /* [i, j) become one entry */
    memmove(&reserved[i + 1], &reserved[j], (nr_reserved - j) * sizeof(reserved[0]));
    nr_reserved = nr_reserved - (j - i) + 1;
    reserved[i].start = start;
    reserved[i].end = end;
}

static bool ready;

bool boot_alloc_ready(void) { return ready; }

void boot_alloc_init(void)
{
    boot_alloc_reserve(0, MiB(1));
    boot_alloc_reserve(boot_info.image_phys, boot_info.image_phys + IMAGE_MAX_SIZE);
    boot_alloc_reserve(boot_info.info_start, boot_info.info_end);
    for (u32 i = 0; i < boot_info.nr_modules; i++)
        boot_alloc_reserve(boot_info.modules[i].start, boot_info.modules[i].end);
    bad_frames_reserve();
    ready = true;
}
BOOT_STEP(boot_alloc_init, NEEDS(memory_map, modules), GIVES(boot_allocator), EVERYWHERE);

/* Highest aligned place of the size inside [lo, hi) that touches no reservation; 0: none. */
static paddr_t find_below(paddr_t lo, paddr_t hi, u64 size, u64 align)
{
    for (u32 i = nr_reserved;; i--) {
        paddr_t gap_start = i ? MAX(reserved[i - 1].end, lo) : lo;
        paddr_t gap_end = i < nr_reserved ? MIN(reserved[i].start, hi) : hi;

        if (gap_end > gap_start && gap_end - gap_start >= size) {
            paddr_t at = ROUND_DOWN(gap_end - size, align);

            if (at >= gap_start)
                return at;
        }
        if (!i)
            return 0;
    }
}

paddr_t boot_alloc(u64 size, u64 align) { return boot_alloc_filled(size, align, 0); }

paddr_t boot_alloc_filled(u64 size, u64 align, u8 with)
{
    size = ROUND_UP(size, PAGE_SIZE);
    for (u32 i = boot_info.nr_ranges; i--;) {
        const struct memory_range *r = &boot_info.ranges[i];

        if (r->type != E820_RAM || r->start >= GiB(512))
            continue;
        paddr_t at = find_below(ROUND_UP(r->start, PAGE_SIZE), ROUND_DOWN(MIN(r->end, GiB(512)), PAGE_SIZE), size, align);
        if (at) {
            boot_alloc_reserve(at, at + size);
            memset(phys_to_virt(at), with, size);
            return at;
        }
    }
    panic(PANIC_BOOT_MEMORY, "too little memory: %lu KiB for the hypervisor's tables were not to be had. Give the machine more memory.",
          size >> 10);
}

void boot_alloc_finish(void)
{
    bad_frames_mark();
    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct memory_range *r = &boot_info.ranges[i];
        paddr_t at = ROUND_UP(r->start, PAGE_SIZE), end = ROUND_DOWN(r->end, PAGE_SIZE);

        if (r->type != E820_RAM)
            continue;
        end = MIN(end, (max_mfn + 1) << PAGE_SHIFT);
        for (u32 j = 0; j <= nr_reserved && at < end; j++) {
            paddr_t stop = j < nr_reserved ? MIN(reserved[j].start, end) : end;

            if (stop > at)
                page_free_new(at >> PAGE_SHIFT, (stop - at) >> PAGE_SHIFT);
            if (j < nr_reserved)
                at = MAX(at, reserved[j].end);
        }
    }
}
BOOT_STEP(boot_alloc_finish, NEEDS(options, frame_table, direct_map), GIVES(page_allocator), EVERYWHERE);
