/* SPDX-License-Identifier: MIT */
/* memory_op: reservations, exchange, maps. */
#include <hv/boot_info.h>
#include <hv/acpi.h>
#include <hv/domain.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/softirq.h>
#include <hv/x86/page_table.h>
#include <hv/x86/page_type.h>
#include <public/memory.h>

#define GUEST_MAX_ORDER 9 /* what a domain may ask for in one extent (XSA-31) that has neither devices nor other domains in its care */
#define HARDWARE_MAX_ORDER 12
#define LOW_KEPT (MiB(32) >> PAGE_SHIFT) /* of memory below 4 GiB: for the hardware domain's 32-bit devices */

/* A preemption point behind every 64th frame: interrupts are off in between, and an extent may have thousands. */
static void frame_done(u64 i)
{
    if ((i & 63) == 63)
        preempt_point();
}

/* A limit, which depends on the caller: no right to the operation. */
static unsigned max_order(const struct domain *d) { return d->is_hardware || d->is_control ? HARDWARE_MAX_ORDER : GUEST_MAX_ORDER; }

/* Takes the frame from its owner; freed when the last reference goes. */
static long release_frame(struct domain *d, mfn_t mfn)
{
    if (!mfn_valid(mfn) || !page_get(mfn_to_page(mfn), d))
        return -EINVAL;
    struct page_info *pg = mfn_to_page(mfn);
    long rc = -EINVAL;

    if (!(pg->ref_info & PGR_SPECIAL) && (__atomic_fetch_and(&pg->ref_info, ~PGR_ALLOCATED, __ATOMIC_ACQ_REL) & PGR_ALLOCATED)) {
        page_put(pg);
        rc = 0;
    }
    page_put(pg);
    return rc;
}

static void give_frames(struct domain *d, struct page_info *pg, unsigned order, u64 gpfn)
{
    for (u64 i = 0; i < 1ULL << order; i++) {
        /* Nothing of another owner's may be left in it (XSA-100). */
        memset(page_to_virt(pg + i), 0, PAGE_SIZE);
        if (domain_assign_pages(d, pg + i, 1))
            page_free(pg + i, 0); /* the caller has checked the limit; a race loses frames of the extent only */
        else
            m2p_set(page_to_mfn(pg + i), gpfn == INVALID_M2P ? INVALID_M2P : gpfn + i);
        frame_done(i);
    }
}

static struct page_info *frames_for(const struct domain *d, unsigned order, u32 flags)
{
    return page_alloc_keeping(order, XENMEMF_ADDRESS_BITS(flags), d->is_hardware ? 0 : LOW_KEPT);
}

static struct page_info *populate_allocate(struct domain *d, unsigned order, u32 flags)
{
    if (d->state >= DOMAIN_DYING || d->tot_pages + (1ULL << order) > d->max_pages)
        return NULL;
    return frames_for(d, order, flags);
}

/* The domain, held. NULL: refused, which the ABI does not call an error; the caller is told how many extents are done. */
static struct domain *domain_of(const struct xen_memory_reservation *r)
{
    struct domain *d = NULL;

    return r->extent_order > max_order(current->domain) || domain_for_caller(r->domid, &d) ? NULL : d;
}

static long add_extents(const struct xen_memory_reservation *r, u64 start, bool set_gpfn)
{
    struct domain *d __held_domain = domain_of(r);

    for (; d && start < r->nr_extents; start++) {
        guest_ptr_t slot = guest_ptr_index(r->extent_start, start, sizeof(u64));
        u64 gpfn = INVALID_M2P, mfn;

        if (set_gpfn && copy_from_guest(&gpfn, slot, sizeof(gpfn)))
            break;
        struct page_info *pg = populate_allocate(d, r->extent_order, r->mem_flags);

        if (!pg)
            break;
        give_frames(d, pg, r->extent_order, gpfn);
        mfn = page_to_mfn(pg);
        if (r->extent_start.va && copy_to_guest(slot, &mfn, sizeof(mfn)))
            break;
        preempt_point();
    }
    return (long)start;
}

static long increase(const struct xen_memory_reservation *r, u64 start) { return add_extents(r, start, false); }

static long memory_populate(const struct xen_memory_reservation *r, u64 start) { return add_extents(r, start, true); }

static long memory_decrease(const struct xen_memory_reservation *r, u64 start)
{
    struct domain *d __held_domain = domain_of(r);

    for (; d && start < r->nr_extents; start++) {
        u64 mfn;

        if (copy_from_guest(&mfn, guest_ptr_index(r->extent_start, start, sizeof(u64)), sizeof(mfn)))
            break;
        for (u64 i = 0; i < 1ULL << r->extent_order; i++) {
            if (release_frame(d, mfn + i))
                return (long)start;
            frame_done(i);
        }
        preempt_point();
    }
    return (long)start;
}

/* ---- exchange: the guest's frames against others of a wanted shape ---- */

struct exchange {
    struct xen_memory_exchange op;
    u64 in_per_chunk, out_per_chunk; /* extents; one of them is 1 */
    unsigned chunk_order;
    mfn_t *frames; /* what the chunk's list names */
};

static bool array_ok(const struct xen_memory_reservation *r)
{
    return r->nr_extents <= ~0ULL / 8 && guest_range_ok(r->extent_start.va, r->nr_extents * 8);
}

static long exchange_check(const struct xen_memory_exchange *e)
{
    const struct xen_memory_reservation *in = &e->in, *out = &e->out;

    if (in->domid != DOMID_SELF || out->domid != DOMID_SELF)
        return -EPERM;
    if (in->extent_order > max_order(current->domain) || out->extent_order > max_order(current->domain))
        return -EPERM;
    if (in->nr_extents > ~0ULL >> in->extent_order || out->nr_extents > ~0ULL >> out->extent_order ||
        in->nr_extents << in->extent_order != out->nr_extents << out->extent_order || e->nr_exchanged > in->nr_extents)
        return -EINVAL;
    /* Arrays that lie in guest memory to their last element (XSA-29, 212), and whole chunks only. */
    if (!array_ok(in) || !array_ok(out))
        return -EFAULT;
    unsigned big = MAX(in->extent_order, out->extent_order);

    return (in->nr_extents << in->extent_order) & ((1ULL << big) - 1) ? -EINVAL : 0;
}

/*
 * Takes a frame that has no use but the owner's: what is left is one reference, the caller's. A frame that a list names twice is
 * refused the second time, and no other vCPU can give it away meanwhile.
 */
static bool frame_claim(struct domain *d, mfn_t mfn)
{
    if (!mfn_valid(mfn) || !page_get(mfn_to_page(mfn), d))
        return false;
    struct page_info *pg = mfn_to_page(mfn);
    u64 seen = READ_ONCE(pg->ref_info), kept = seen & PGR_UNCACHED;

    if (seen == (kept | PGR_ALLOCATED | 2) && !(READ_ONCE(pg->type_info) & PGT_COUNT_MASK) &&
        __atomic_compare_exchange_n(&pg->ref_info, &seen, kept | 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return true;
    page_put(pg);
    return false;
}

static mfn_t chunk_frame(const struct exchange *x, u64 i)
{
    return x->frames[i >> x->op.in.extent_order] + (i & ((1ULL << x->op.in.extent_order) - 1));
}

/* How many of the chunk's frames could be claimed. */
static u64 claim_chunk(const struct exchange *x)
{
    u64 i = 0;

    for (; i < 1ULL << x->chunk_order && frame_claim(current->domain, chunk_frame(x, i)); i++)
        frame_done(i);
    return i;
}

static void exchange_unclaim(const struct exchange *x, u64 n)
{
    for (u64 i = 0; i < n; i++) {
        __atomic_fetch_or(&mfn_to_page(chunk_frame(x, i))->ref_info, PGR_ALLOCATED, __ATOMIC_RELEASE);
        frame_done(i);
    }
}

static struct page_info *fresh_frames(const struct exchange *x, u64 chunk, long *rc)
{
    const struct xen_memory_reservation *out = &x->op.out;
    struct page_info *fresh = frames_for(current->domain, x->chunk_order, out->mem_flags);
    u64 gpfn;

    *rc = fresh ? 0 : -ENOMEM;
    for (u64 i = 0; i < x->out_per_chunk && !*rc; i++)
        *rc = copy_from_guest(&gpfn, guest_ptr_index(out->extent_start, chunk * x->out_per_chunk + i, 8), 8);
    if (!*rc || !fresh)
        return fresh;
    page_free_range(page_to_mfn(fresh), 1ULL << x->chunk_order);
    return NULL;
}

static long exchange_chunk(struct exchange *x, u64 chunk)
{
    struct domain *d = current->domain;
    struct xen_memory_reservation *in = &x->op.in, *out = &x->op.out;
    u64 gpfn, mfn, nr = 1ULL << x->chunk_order;
    long rc = -EINVAL;

    /* Read once: other vCPUs of the domain run meanwhile, and may write to the list. */
    if (copy_from_guest(x->frames, guest_ptr_index(in->extent_start, chunk * x->in_per_chunk, sizeof(mfn_t)),
                        x->in_per_chunk * sizeof(mfn_t)))
        return -EFAULT;
    u64 claimed = claim_chunk(x);
    struct page_info *fresh = claimed == nr ? fresh_frames(x, chunk, &rc) : NULL;

    if (!fresh) {
        exchange_unclaim(x, claimed);
        return rc;
    }
    /* From here on nothing fails that could leave the guest with less than it had. */
    for (u64 i = 0; i < nr; i++) {
        page_put(mfn_to_page(chunk_frame(x, i)));
        frame_done(i);
    }
    for (u64 i = 0; i < x->out_per_chunk; i++) {
        guest_ptr_t slot = guest_ptr_index(out->extent_start, chunk * x->out_per_chunk + i, 8);

        if (copy_from_guest(&gpfn, slot, 8))
            gpfn = INVALID_M2P;
        mfn = page_to_mfn(fresh) + (i << out->extent_order);
        give_frames(d, mfn_to_page(mfn), out->extent_order, gpfn);
        if (copy_to_guest(slot, &mfn, 8))
            domain_crash(d, "memory_exchange: the result array went away during the call");
    }
    return 0;
}

static long memory_exchange(void *arg)
{
    const guest_ptr_t at = *(const guest_ptr_t *)arg;
    struct exchange x;

    if (copy_from_guest(&x.op, at, sizeof(x.op)))
        return -EFAULT;
    long rc = exchange_check(&x.op);

    if (rc)
        return rc;
    x.chunk_order = MAX(x.op.in.extent_order, x.op.out.extent_order);
    x.in_per_chunk = 1ULL << (x.chunk_order - x.op.in.extent_order);
    x.out_per_chunk = 1ULL << (x.chunk_order - x.op.out.extent_order);
    u64 chunks = x.op.in.nr_extents / x.in_per_chunk, chunk = x.op.nr_exchanged / x.in_per_chunk;

    x.frames = hv_alloc(x.in_per_chunk * sizeof(mfn_t));
    if (!x.frames)
        return -ENOMEM;
    for (; chunk < chunks && !rc; chunk++) {
        rc = exchange_chunk(&x, chunk);
        if (rc)
            break;
        preempt_point();
    }
    hv_free(x.frames);
    x.op.nr_exchanged = chunk * x.in_per_chunk;
    /* Chunks that are done are told of errors, too. */
    if (copy_to_guest(guest_ptr_add(at, offsetof(struct xen_memory_exchange, nr_exchanged)), &x.op.nr_exchanged, sizeof(x.op.nr_exchanged)))
        return -EFAULT;
    return rc;
}

/* ---- maps ---- */

/* The machine's map as dom0 should see it: the firmware's, with the interrupt controllers reserved. */
static u32 machine_map(struct e820entry *out, u32 max)
{
    u32 n = 0;

    for (u32 i = 0; i < boot_info.nr_ranges && n < max; i++) {
        const struct memory_range *r = &boot_info.ranges[i];

        out[n++] = (struct e820entry){ r->start, r->end - r->start, r->type };
    }
    for (u32 i = 0; i < acpi.nr_io_apics && n < max; i++)
        if (!boot_info_memory_type(&boot_info, acpi.io_apics[i].address))
            out[n++] = (struct e820entry){ acpi.io_apics[i].address, PAGE_SIZE, E820_RESERVED };
    if (n < max && !boot_info_memory_type(&boot_info, acpi.local_apic))
        out[n++] = (struct e820entry){ acpi.local_apic, PAGE_SIZE, E820_RESERVED };
    return n;
}

#define MACHINE_MAP_MAX (BOOT_MAX_MEMORY_RANGES + ACPI_MAX_IO_APICS + 1u)

static long machine_memory_map(void *arg)
{
    struct xen_memory_map *m = arg;
    struct e820entry *map = hv_alloc(MACHINE_MAP_MAX * sizeof(*map));

    if (!map)
        return -ENOMEM;
    m->nr_entries = machine_map(map, MIN(m->nr_entries, MACHINE_MAP_MAX));
    long rc = copy_to_guest(m->buffer, map, m->nr_entries * sizeof(*map));

    hv_free(map);
    return rc;
}

static long machphys_mapping(void *arg)
{
    *(struct xen_machphys_mapping *)arg = (struct xen_machphys_mapping){ RO_M2P_VIRT_START, RO_M2P_VIRT_END, max_mfn };
    return 0;
}

/* The first frames of the M2P table's chunks; where nothing is RAM, that of the chunk before. */
static long machphys_mfn_list(void *arg)
{
    struct xen_machphys_mfn_list *list = arg;
    mfn_t mfn, told = 0;

    for (list->nr_extents = 0; list->nr_extents < list->max_extents && m2p_chunk(list->nr_extents, &mfn); list->nr_extents++) {
        told = mfn ? mfn : told;
        if (copy_to_guest(guest_ptr_index(list->extent_start, list->nr_extents, sizeof(told)), &told, sizeof(told)))
            return -EFAULT;
    }
    return 0;
}

static long maximum_ram_page(void *arg)
{
    (void)arg;
    return (long)max_mfn;
}

static long reservation(domid_t id, bool maximum)
{
    struct domain *d __held_domain = NULL;
    long rc = domain_for_caller(id, &d);

    if (rc)
        return rc;
    return (long)(maximum ? MIN(d->max_pages, 0xffffffffULL) : d->tot_pages);
}

static long current_reservation(void *arg) { return reservation(*(const domid_t *)arg, false); }

static long maximum_reservation(void *arg) { return reservation(*(const domid_t *)arg, true); }

enum { ON_ARGUMENT, ON_EXTENTS }; /* subop.how */

static const struct subop rows[] = {
    [XENMEM_increase_reservation] = { ANYBODY, ARG_IN(struct xen_memory_reservation), .how = ON_EXTENTS, .on_extents = increase },
    [XENMEM_decrease_reservation] = { ANYBODY, ARG_IN(struct xen_memory_reservation), .how = ON_EXTENTS, .on_extents = memory_decrease },
    [XENMEM_populate_physmap] = { ANYBODY, ARG_IN(struct xen_memory_reservation), .how = ON_EXTENTS, .on_extents = memory_populate },
    [XENMEM_maximum_ram_page] = { ANYBODY, ARG_NONE, .run = maximum_ram_page },
    [XENMEM_current_reservation] = { ANYBODY, ARG_IN(domid_t), .run = current_reservation },
    [XENMEM_maximum_reservation] = { ANYBODY, ARG_IN(domid_t), .run = maximum_reservation },
    [XENMEM_machine_memory_map] = { CONTROL | HARDWARE, ARG_IN_OUT(struct xen_memory_map), .run = machine_memory_map },
    [XENMEM_machphys_mapping] = { ANYBODY, ARG_OUT(struct xen_machphys_mapping), .run = machphys_mapping },
    [XENMEM_machphys_mfn_list] = { CONTROL, ARG_IN_OUT(struct xen_machphys_mfn_list), .run = machphys_mfn_list },
    [XENMEM_exchange] = { ANYBODY, ARG_BY_HAND(struct xen_memory_exchange), .run = memory_exchange },
};

/* start: extents that an earlier part of the call has done. */
static long call(const struct subop *row, void *arg, void *start)
{
    return row->how == ON_EXTENTS ? row->on_extents(arg, *(const u64 *)start) : row->run(arg);
}

const struct subops memory_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_memory_op, .call = call };

long do_memory_op(u64 cmd, guest_ptr_t arg)
{
    u64 start = cmd >> MEMOP_EXTENT_SHIFT;

    return subop_dispatch(&memory_op_table, cmd & MEMOP_CMD_MASK, arg, &start);
}
