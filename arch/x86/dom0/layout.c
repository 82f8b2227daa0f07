/* SPDX-License-Identifier: MIT */
/*
 * Where the things lie that dom0 starts with, by its kernel's notes and by the sizes. The kernel's numbers are not trusted: sums are made of
 * offsets, which are small, and an address is looked at before one is added to it.
 */
#include <hv/dom0.h>
#include <hv/x86/page_table.h>

#define SPARE_BYTES KiB(512)
#define LOWER_HALF_END (1ULL << 47)

bool guest_owns_range(u64 start, u64 size)
{
    u64 end = start + size;

    return size && end > start && (end <= LOWER_HALF_END || start >= HV_VIRT_END);
}

static u64 layout_pages(u64 bytes) { return (bytes >> PAGE_SHIFT) + !!(bytes & (PAGE_SIZE - 1)); }

/* Page tables of levels 1 to 3 that map [start, end). */
static u64 tables_for(u64 start, u64 end)
{
    u64 n = 0;

    for (unsigned level = 1; level < 4; level++)
        n += ((end - 1) >> PT_SHIFT(level + 1)) - (start >> PT_SHIFT(level + 1)) + 1;
    return n;
}

static u64 layout_take_pages(u64 *next, u64 count)
{
    u64 first = *next;

    *next += count;
    return first;
}

/* [start_info, v_end). The tables map themselves: one more until they fit. The L4 counts too. */
static bool place_tables(struct dom0_layout *l)
{
    l->tables = l->start_info + PAGE_SIZE;
    for (l->nr_tables = 1;; l->nr_tables++) {
        l->stack = l->tables + l->nr_tables * PAGE_SIZE;
        l->v_end = l->v_start + ROUND_UP(l->stack + PAGE_SIZE + SPARE_BYTES - l->v_start, MiB(4));
        if (!guest_owns_range(l->v_start, l->v_end - l->v_start))
            return false;
        if (tables_for(l->v_start, l->v_end) + 1 <= l->nr_tables)
            return true;
    }
}

static bool place_p2m(const struct elf_image *e, struct dom0_layout *l)
{
    u64 size = l->nr_p2m_pages << PAGE_SHIFT;

    if ((e->init_p2m & (PAGE_SIZE - 1)) || !guest_owns_range(e->init_p2m, size) ||
        (e->init_p2m < l->v_end && e->init_p2m + size > l->v_start))
        return false;
    l->p2m = e->init_p2m;
    l->nr_p2m_tables = tables_for(l->p2m, l->p2m + size);
    l->p2m_pfn = layout_take_pages(&l->nr_used, l->nr_p2m_pages + l->nr_p2m_tables);
    return true;
}

int dom0_layout(const struct elf_image *e, u64 initrd_bytes, u64 nr_pages, struct dom0_layout *l, const char **why)
{
    u64 next = layout_pages(e->paddr_end - e->paddr_offset), start = e->virt_base;

    *l = (struct dom0_layout){ .v_start = start,
                               .kernel_start = start + (e->paddr_start - e->paddr_offset),
                               .kernel_end = start + (next << PAGE_SHIFT),
                               .nr_initrd_pages = layout_pages(initrd_bytes),
                               .nr_p2m_pages = layout_pages(nr_pages * sizeof(u64)) };
    if (!e->mod_start_pfn)
        l->initrd_pfn = layout_take_pages(&next, l->nr_initrd_pages);
    if (!e->has_init_p2m) {
        l->p2m_pfn = layout_take_pages(&next, l->nr_p2m_pages);
        l->p2m = start + (l->p2m_pfn << PAGE_SHIFT);
    }
    l->start_info = start + (next << PAGE_SHIFT);
    bool sound = initrd_bytes < LOWER_HALF_END && guest_owns_range(start, (next << PAGE_SHIFT) + MiB(4)) && place_tables(l);
    l->nr_used = (l->v_end - start) >> PAGE_SHIFT;
    if (e->mod_start_pfn)
        l->initrd_pfn = layout_take_pages(&l->nr_used, l->nr_initrd_pages);
    if (!sound || (e->has_init_p2m && !place_p2m(e, l)))
        return refuse_kernel(why, -EINVAL,
                             "the kernel's addresses make no sense: there is no room for its p2m list or for what follows it");
    return 0;
}

u64 dom0_layout_max_pages(const struct elf_image *e, u64 initrd_bytes)
{
    u64 end = e->virt_base < LOWER_HALF_END ? LOWER_HALF_END : 0, room = end - e->virt_base;
    u64 used = e->paddr_end - e->paddr_offset + (e->mod_start_pfn ? 0 : initrd_bytes) + MiB(16);

    /* A p2m list in the initial mapping takes 8 bytes a page and leaves the kernel half of the room. */
    return e->has_init_p2m ? ~0ULL : room > used ? (room - used) / 2 / sizeof(u64) : 0;
}
