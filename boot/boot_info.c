/* The memory map in one form: sorted, disjoint, most restrictive type where ranges overlap. */
#include <hv/boot_info.h>
#include <hv/lib.h>
#include <hv/printk.h>

struct boot_info boot_info;

void boot_info_add_memory(struct boot_info *bi, paddr_t start, paddr_t end, u32 type)
{
    if (end <= start)
        return;
    if (bi->nr_ranges == BOOT_MAX_MEMORY_RANGES) {
        printk(LOG_WARN "memory map: more than %u entries, the rest is not used\n", BOOT_MAX_MEMORY_RANGES);
        return;
    }
    bi->ranges[bi->nr_ranges++] = (struct memory_range){ start, end, type };
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
        else
            boot_info_add_memory(bi, points[i], points[i + 1], type);
    }
}

u32 boot_info_memory_type(const struct boot_info *bi, paddr_t addr)
{
    for (u32 i = 0; i < bi->nr_ranges; i++)
        if (addr >= bi->ranges[i].start && addr < bi->ranges[i].end)
            return bi->ranges[i].type;
    return 0;
}
