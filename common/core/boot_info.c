/* SPDX-License-Identifier: MIT */
/* The memory map in one form: sorted, disjoint, most restrictive type where ranges overlap. */
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/printk.h>
#include <hv/x86/cpu.h>

struct boot_info boot_info __ro_after_init;

#define ADDRESSES_END (1ULL << 52) /* of any processor */

/* RAM that no processor could reach is a mistake, as a whole; what only this one cannot reach is cut off. */
static paddr_t reachable_end(paddr_t start, paddr_t end)
{
    u64 limit = 1ULL << cpu.phys_bits;

    if (end <= limit)
        return end;
    bool sound = end <= ADDRESSES_END && start < limit;
    printk(LOG_WARN "Memory map: RAM at %lx to %lx cannot be: it is %s\n", start, end,
           sound ? "cut where the processor's addresses end" : "left out");
    return sound ? limit : start;
}

void boot_info_add_memory(struct boot_info *bi, paddr_t start, paddr_t end, u32 type)
{
    if (end > start && type == E820_RAM)
        end = reachable_end(start, end);
    if (end <= start)
        return;
    if (bi->nr_ranges < BOOT_MAX_MEMORY_RANGES) {
        bi->ranges[bi->nr_ranges++] = (struct memory_range){ start, end, type };
        return;
    }
    bi->nr_dropped++;
    /* RAM can be done without; what forbids the use of RAM cannot. */
    for (u32 i = bi->nr_ranges; type != E820_RAM && i--;)
        if (bi->ranges[i].type == E820_RAM) {
            bi->ranges[i] = (struct memory_range){ start, end, type };
            return;
        }
}

void boot_info_add_e820(struct boot_info *bi, paddr_t start, u64 size, u32 type)
{
    paddr_t end = start + size < start ? ~0ULL : start + size;

    boot_info_add_memory(bi, start, end, type >= E820_RAM && type <= E820_UNUSABLE ? type : E820_RESERVED);
}

void boot_info_copy_line(char *to, size_t room, const void *line, size_t size, const char *whose)
{
    if (!copy_words(to, room, line, size))
        printk(LOG_WARN "The command line %s is longer than %zu characters: what follows '%s' is cut off\n", whose, room - 1,
               to + MAX(strlen(to), (size_t)30) - 30);
}

bool boot_info_add_module(struct boot_info *bi, paddr_t start, paddr_t end, const char *cmdline, size_t size)
{
    if (end < start || end > 1ULL << cpu.phys_bits) {
        printk(LOG_ERR "Boot module at %lx to %lx: it %s\n", start, end,
               end < start ? "ends before it starts" : "lies beyond the processor's addresses");
        return false;
    }
    if (bi->nr_modules == BOOT_MAX_MODULES) {
        printk(LOG_WARN "Boot module at %lx to %lx is not used: there are more than %u\n", start, end, BOOT_MAX_MODULES);
        return true;
    }
    struct boot_module *m = &bi->modules[bi->nr_modules++];
    m->start = start;
    m->end = end;
    boot_info_copy_line(m->cmdline, sizeof(m->cmdline), cmdline, size, "of a module");
    return true;
}

/* The type at a point, over the raw ranges: what is not plain RAM wins. */
static u32 raw_type(const struct memory_range *r, u32 n, paddr_t at)
{
    u32 type = 0;

    for (u32 i = 0; i < n; i++)
        if (at >= r[i].start && at < r[i].end)
            type = MAX(type, r[i].type);
    return type;
}

static void sort_points(paddr_t *p, u32 n)
{
    for (u32 i = 1; i < n; i++)
        for (u32 j = i; j && p[j - 1] > p[j]; j--) {
            paddr_t t = p[j];

            p[j] = p[j - 1];
            p[j - 1] = t;
        }
}

void boot_info_sort_memory(struct boot_info *bi)
{
    static struct memory_range raw[BOOT_MAX_MEMORY_RANGES];
    static paddr_t points[2 * BOOT_MAX_MEMORY_RANGES];
    u32 n = bi->nr_ranges, np = 0;

    memcpy(raw, bi->ranges, n * sizeof(raw[0]));
    for (u32 i = 0; i < n; i++) {
        points[np++] = raw[i].start;
        points[np++] = raw[i].end;
    }
    sort_points(points, np);
    bi->nr_ranges = 0;
    for (u32 i = 0; i + 1 < np; i++) {
        u32 type = raw_type(raw, n, points[i]);
        struct memory_range *last = bi->nr_ranges ? &bi->ranges[bi->nr_ranges - 1] : NULL;

        if (points[i] == points[i + 1] || !type)
            continue;
        if (last && last->type == type && last->end == points[i])
            last->end = points[i + 1];
        else if (bi->nr_ranges < BOOT_MAX_MEMORY_RANGES)
            bi->ranges[bi->nr_ranges++] = (struct memory_range){ points[i], points[i + 1], type };
        else
            bi->nr_dropped++;
    }
    if (bi->nr_dropped)
        printk(LOG_WARN "Memory map: more than %u entries. %u are left out; their memory is not used\n", BOOT_MAX_MEMORY_RANGES,
               bi->nr_dropped);
}
BOOT_STEP(boot_info_sort_memory, NEEDS(loader_information), GIVES(memory_map), EVERYWHERE);

static const struct memory_range *range_at(const struct boot_info *bi, paddr_t addr)
{
    for (u32 i = 0; i < bi->nr_ranges; i++)
        if (addr >= bi->ranges[i].start && addr < bi->ranges[i].end)
            return &bi->ranges[i];
    return NULL;
}

u32 boot_info_memory_type(const struct boot_info *bi, paddr_t addr)
{
    const struct memory_range *r = range_at(bi, addr);

    return r ? r->type : 0;
}

static bool ranges_apart(paddr_t start, paddr_t end, paddr_t other_start, paddr_t other_end)
{
    return other_end <= start || other_start >= end;
}

bool boot_info_has_ram(const struct boot_info *bi, paddr_t start, paddr_t end)
{
    for (u32 i = 0; i < bi->nr_ranges; i++)
        if (bi->ranges[i].type == E820_RAM && !ranges_apart(start, end, bi->ranges[i].start, bi->ranges[i].end))
            return true;
    return false;
}

bool boot_info_place_is_free(const struct boot_info *bi, paddr_t start, paddr_t end, u32 nr_modules)
{
    const struct memory_range *r = range_at(bi, start); /* neighbours of one type are one range */
    bool free = r && r->type == E820_RAM && end <= r->end && ranges_apart(start, end, bi->info_start, bi->info_end) &&
                ranges_apart(start, end, bi->image_phys, bi->image_phys + IMAGE_MAX_SIZE);

    for (u32 i = 0; i < nr_modules; i++)
        free &= ranges_apart(start, end, bi->modules[i].start, bi->modules[i].end);
    return free;
}
