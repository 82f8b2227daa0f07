/* SPDX-License-Identifier: MIT */
/* dom0_mem= and dom0_max_vcpus=: Xen's syntax, and what becomes of them on this machine. */
#include <hv/cmdline.h>
#include <hv/dom0.h>
#include <hv/printk.h>

/* [-][SIZE][+][PERCENT%]; all 0: not given. */
struct amount {
    u64 bytes, percent;
    bool negative;
};

struct dom0_memory {
    struct amount size, min, max;
};

static struct dom0_memory opt_memory;

static bool parse_amount(const char *p, struct amount *a)
{
    const char *end, *number;

    *a = (struct amount){ .negative = *p == '-' };
    p += a->negative;
    number = p;
    a->percent = parse_u64(p, &end);
    if (*end != '%') {
        a->percent = 0;
        a->bytes = parse_size(p, &end);
        if (end > p && *end == '+') {
            number = end + 1;
            a->percent = parse_u64(number, &end);
            if (*end != '%')
                return false;
        }
    }
    if (end == number || a->percent > 100)
        return false;
    return !end[*end == '%'];
}

static int parse_dom0_mem(const char *p, void *var)
{
    struct dom0_memory *m = var;
    char word[64];

    if (!*p)
        return -EINVAL;
    while (list_next(&p, word, sizeof(word))) {
        bool min = !strncmp(word, "min:", 4), max = !strncmp(word, "max:", 4);

        if (!parse_amount(min || max ? word + 4 : word, min ? &m->min : max ? &m->max : &m->size))
            return -EINVAL;
    }
    return *p ? -EINVAL : 0;
}
OPTION("dom0_mem", parse_dom0_mem, opt_memory,
       "`SIZE[,min:SIZE][,max:SIZE]`: dom0's memory. A size may be `-SIZE`, which leaves that much to others, `N%` of what "
       "is free once the kernel is unpacked, or `SIZE+N%`. `max:` also bounds what dom0 can ask for later. Without a suffix "
       "it is KiB: `dom0_mem=512` is 512 KiB",
       "what is free once the kernel is unpacked, less 1/16 of it (at most 128 MiB)");

static bool given(const struct amount *a) { return a->bytes || a->percent; }

static u64 pages_of(const struct amount *a, u64 available)
{
    u64 pages = (a->bytes >> PAGE_SHIFT) + available * a->percent / 100;

    return a->negative ? available - MIN(available, pages) : pages;
}

u64 dom0_choose_pages(u64 available, u64 *max_pages)
{
    const struct dom0_memory *m = &opt_memory;
    u64 pages = available - MIN(available / 16, MiB(128) >> PAGE_SHIFT);

    if (given(&m->size))
        pages = pages_of(&m->size, available);
    if (given(&m->min))
        pages = MAX(pages, pages_of(&m->min, available));
    *max_pages = NO_PAGE_LIMIT;
    if (given(&m->max)) {
        *max_pages = pages_of(&m->max, available);
        if (given(&m->min) && pages_of(&m->min, available) > *max_pages)
            printk(LOG_WARN "dom0_mem: min: is %lu MiB, more than max:, which is %lu MiB and counts\n", pages_of(&m->min, available) >> 8,
                   *max_pages >> 8);
        pages = MIN(pages, *max_pages);
    }
    /* Some memory stays for what dom0's vCPUs need beside it, whatever was asked for. */
    u64 most = available - MIN(available / 16, MiB(4) >> PAGE_SHIFT);
    if (pages > most) {
        printk(LOG_WARN "dom0_mem: %lu MiB asked for, %lu MiB are free; dom0 gets %lu\n", pages >> 8, available >> 8, most >> 8);
        pages = most;
    }
    return pages;
}

static struct vcpu_range {
    u32 min, max;
} opt_vcpus = { 1, ~0u };

/* N, MIN-MAX, MIN- or -MAX. */
static int parse_vcpus(const char *p, void *var)
{
    struct vcpu_range *r = var;
    const char *end;
    u64 first = parse_u64(p, &end), min = 1, max = ~0u;
    bool some = end > p;

    if (some)
        min = max = first;
    if (*end == '-') {
        const char *second = end + 1;
        u64 last = parse_u64(second, &end);

        some |= end > second;
        max = end > second ? last : ~0u;
    }
    if (*end || !some || !min || min > max || max > ~0u)
        return -EINVAL;
    *r = (struct vcpu_range){ (u32)min, (u32)max };
    return 0;
}
OPTION("dom0_max_vcpus", parse_vcpus, opt_vcpus,
       "vCPUs of dom0, up to 32: `N`, or `MIN-MAX`, `MIN-`, `-MAX` for one per CPU within these bounds", "one per CPU");

u32 dom0_choose_vcpus(u32 cpus)
{
    u32 wanted = MAX(opt_vcpus.min, MIN(opt_vcpus.max, cpus)), n = MIN(wanted, (u32)XEN_LEGACY_MAX_VCPUS);

    if (n < wanted)
        printk(LOG_INFO "dom0 gets %u vCPUs, not %u: more are not offered\n", n, wanted);
    return n;
}
