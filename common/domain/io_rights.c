/* SPDX-License-Identifier: MIT */
/* Rights to device memory, ports and interrupts, as sets of each domain. */
#include <hv/io_rights.h>

void io_rights_init(struct io_rights *r, bool all)
{
    *r = (struct io_rights){ .lock = SPINLOCK_INIT(LOCK_LEAF) };
    if (!all)
        return;
    r->iomem[r->nr_iomem++] = (struct iomem_range){ 0, MAX_IOMEM };
    memset(r->ports, 0xff, sizeof(r->ports));
    memset(r->pirqs, 0xff, sizeof(r->pirqs));
}

static void io_rights_drop_range(struct io_rights *r, u32 i) { r->iomem[i] = r->iomem[--r->nr_iomem]; }

static void io_rights_add_range(struct io_rights *r, mfn_t first, mfn_t last)
{
    r->iomem[r->nr_iomem++] = (struct iomem_range){ first, last };
}

/* Joins the new range with all that it touches or overlaps. */
static int iomem_allow(struct io_rights *r, mfn_t first, mfn_t last)
{
    u32 touched = 0;

    for (u32 i = 0; i < r->nr_iomem; i++)
        touched += r->iomem[i].first <= last + 1 && first <= r->iomem[i].last + 1;
    if (!touched && r->nr_iomem == MAX_IOMEM_RANGES)
        return -ENOSPC;
    for (u32 i = r->nr_iomem; i--;)
        if (r->iomem[i].first <= last + 1 && first <= r->iomem[i].last + 1) {
            first = MIN(first, r->iomem[i].first);
            last = MAX(last, r->iomem[i].last);
            io_rights_drop_range(r, i);
        }
    io_rights_add_range(r, first, last);
    return 0;
}

/* Cuts the range out of those that overlap it. At most one of them has something left on both sides and becomes two. */
static int iomem_refuse(struct io_rights *r, mfn_t first, mfn_t last)
{
    for (u32 i = r->nr_iomem; i--;) {
        struct iomem_range was = r->iomem[i];

        if (was.first > last || first > was.last)
            continue;
        bool before = was.first<first, after = was.last> last;
        if (before && after && r->nr_iomem == MAX_IOMEM_RANGES)
            return -ENOSPC;
        io_rights_drop_range(r, i);
        if (before)
            io_rights_add_range(r, was.first, first - 1);
        if (after)
            io_rights_add_range(r, last + 1, was.last);
    }
    return 0;
}

int io_rights_iomem(struct io_rights *r, mfn_t first, mfn_t last, bool allow)
{
    if (first > last || last > MAX_IOMEM)
        return -EINVAL;
    spin_lock_scope(&r->lock);
    return allow ? iomem_allow(r, first, last) : iomem_refuse(r, first, last);
}

static void set_bit(u64 *bits, u32 n, bool to)
{
    if (to)
        atomic_test_and_set_bit(n, bits);
    else
        atomic_test_and_clear_bit(n, bits);
}

int io_rights_ports(struct io_rights *r, u32 first, u32 count, bool allow)
{
    if (first > NR_PORTS || count > NR_PORTS - first)
        return -EINVAL;
    for (u32 port = first; port < first + count; port++)
        set_bit(r->ports, (u16)port, allow);
    return 0;
}

int io_rights_pirq(struct io_rights *r, u32 pirq, bool allow)
{
    if (pirq >= MAX_PIRQS)
        return -EINVAL;
    set_bit(r->pirqs, (u32)index_nospec(pirq, MAX_PIRQS), allow);
    return 0;
}

bool io_rights_has_iomem(struct io_rights *r, mfn_t first, mfn_t last)
{
    spin_lock_scope(&r->lock);
    for (u32 i = 0; i < r->nr_iomem; i++)
        if (r->iomem[i].first <= first && last <= r->iomem[i].last)
            return true;
    return false;
}
