/* SPDX-License-Identifier: MIT */
/* memory_op: what memory a domain has, by its own wish or a toolstack's. */
#include "memory_op.h"

#include <hv/x86/page_table.h>

#define GUEST_MAX_ORDER 9 /* what a domain may ask for in one extent (XSA-31) that has neither devices nor other domains in its care */
#define HARDWARE_MAX_ORDER 12
#define LOW_KEPT (MiB(32) >> PAGE_SHIFT) /* of memory below 4 GiB: for the hardware domain's 32-bit devices */

/* A limit, which depends on the caller: no right to the operation. */
unsigned memory_max_order(void)
{
    const struct domain *d = current->domain;

    return d->is_hardware || d->is_control ? HARDWARE_MAX_ORDER : GUEST_MAX_ORDER;
}

static u64 low_kept(const struct domain *d) { return d->is_hardware ? 0 : LOW_KEPT; }

struct page_info *memory_alloc(struct domain *d, unsigned order, u32 mem_flags)
{
    return page_alloc_for(order, XENMEMF_ADDRESS_BITS(mem_flags), low_kept(d), &d->claim);
}

static void m2p_set_all(struct page_info *pg, u64 n, u64 gpfn)
{
    for (u64 i = 0; i < n; i++)
        m2p_set(page_to_mfn(pg + i), gpfn == INVALID_M2P ? INVALID_M2P : gpfn + i);
}

bool memory_give(struct domain *d, struct page_info *pg, unsigned order, u64 gpfn, u64 had)
{
    u64 n = 1ULL << order;

    for (u64 i = pg->ref_info & PGR_CLEAN ? n : 0; i < n; i++) {
        /* Nothing of another owner's may be left in it (XSA-100). */
        memset(page_to_virt(pg + i), 0, PAGE_SIZE);
        frame_done(i);
    }
    /* First: once the domain has them another vCPU of it may give them back, and what is written then is another domain's. */
    m2p_set_all(pg, n, gpfn);
    if (!domain_assign_pages(d, pg, n, had))
        return true;
    m2p_set_all(pg, n, INVALID_M2P);
    page_free(pg, order);
    return false;
}

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

/* The domain, held. NULL: refused, which the ABI does not call an error; the caller is told how many extents are done. */
static struct domain *domain_of(const struct xen_memory_reservation *r)
{
    struct domain *d = NULL;

    return r->extent_order > memory_max_order() || domain_for_caller(r->domid, &d) ? NULL : d;
}

/* These three do extents from *start on, which they move. 0: no more can be done; -ERESTART: an event of the caller's waits (softirq.h). */
static long add_extents(const struct xen_memory_reservation *r, u64 *start, bool set_gpfn)
{
    struct domain *d __held_domain = domain_of(r);
    long rc = 0;

    for (; d && *start < r->nr_extents && !rc; rc = domain_work_point()) {
        guest_ptr_t slot = guest_ptr_index(r->extent_start, *start, sizeof(u64));
        u64 gpfn = INVALID_M2P, mfn;

        if (set_gpfn && copy_from_guest(&gpfn, slot, sizeof(gpfn)))
            break;
        if (d->state >= DOMAIN_DYING || d->tot_pages + (1ULL << r->extent_order) > d->max_pages)
            break;
        struct page_info *pg = memory_alloc(d, r->extent_order, r->mem_flags);
        if (!pg || !memory_give(d, pg, r->extent_order, gpfn, 0))
            break;
        mfn = page_to_mfn(pg);
        if (r->extent_start.va && copy_to_guest(slot, &mfn, sizeof(mfn)))
            break;
        ++*start;
    }
    return rc;
}

static long increase(const struct xen_memory_reservation *r, u64 *start) { return add_extents(r, start, false); }

static long memory_populate(const struct xen_memory_reservation *r, u64 *start) { return add_extents(r, start, true); }

static long memory_decrease(const struct xen_memory_reservation *r, u64 *start)
{
    struct domain *d __held_domain = domain_of(r);
    long rc = 0;

    for (; d && *start < r->nr_extents && !rc; rc = domain_work_point()) {
        u64 mfn;

        if (copy_from_guest(&mfn, guest_ptr_index(r->extent_start, *start, sizeof(u64)), sizeof(mfn)))
            break;
        for (u64 i = 0; i < 1ULL << r->extent_order; i++) {
            if (release_frame(d, mfn + i))
                return 0;
            frame_done(i);
        }
        ++*start;
    }
    return rc;
}

/* Memory is kept free for a domain that is to have so many frames in all; 0: no longer. */
static long claim_pages(const struct xen_memory_reservation *r)
{
    struct domain *d __held_domain = NULL;
    u64 n = r->nr_extents;
    long rc = r->extent_start.va || r->extent_order || r->mem_flags ? -EINVAL : domain_for_caller(r->domid, &d);

    if (rc)
        return rc;
    spin_lock_scope(&d->page_lock);
    if (n && (d->state >= DOMAIN_DYING || d->claim || n <= d->tot_pages || n > d->max_pages))
        return -EINVAL;
    return page_claim(&d->claim, n ? n - d->tot_pages : 0, low_kept(d));
}

static long current_reservation(__unused const domid_t *id, struct domain *d) { return (long)d->tot_pages; }

static long maximum_reservation(__unused const domid_t *id, struct domain *d) { return (long)d->max_pages; }

/* Pages that guests share behind their backs, and what that saves. */
static long nothing_shared(void) { return 0; }

static long get_vnumainfo(__unused const domid_t *id) { return -EOPNOTSUPP; /* no domain has a topology of memory */ }

enum { ON_ARGUMENT, ON_EXTENTS }; /* subop.how */
#define WITH_START (u64 *)NULL

static const struct subop rows[] = {
    [XENMEM_increase_reservation] = { ANYBODY, ARG_IN(struct xen_memory_reservation, increase, WITH_START), .how = ON_EXTENTS },
    [XENMEM_decrease_reservation] = { ANYBODY, ARG_IN(struct xen_memory_reservation, memory_decrease, WITH_START), .how = ON_EXTENTS },
    [XENMEM_populate_physmap] = { ANYBODY, ARG_IN(struct xen_memory_reservation, memory_populate, WITH_START), .how = ON_EXTENTS },
    [XENMEM_maximum_ram_page] = { ANYBODY, ARG_NONE(maximum_ram_page) },
    [XENMEM_current_reservation] = { OWN_OR_CONTROL, ARG_IN(domid_t, current_reservation, WITH_DOMAIN) },
    [XENMEM_maximum_reservation] = { OWN_OR_CONTROL, ARG_IN(domid_t, maximum_reservation, WITH_DOMAIN) },
    [XENMEM_machphys_mfn_list] = { CONTROL, ARG_IN_OUT(struct xen_machphys_mfn_list, machphys_mfn_list) },
    [XENMEM_memory_map] = { ANYBODY, ARG_IN_OUT(struct xen_memory_map, memory_map) },
    [XENMEM_machine_memory_map] = { CONTROL | HARDWARE, ARG_IN_OUT(struct xen_memory_map, machine_memory_map) },
    [XENMEM_exchange] = { ANYBODY, ARG_BY_HAND(struct xen_memory_exchange, memory_exchange) },
    [XENMEM_machphys_mapping] = { ANYBODY, ARG_OUT(struct xen_machphys_mapping, machphys_mapping) },
    [XENMEM_set_memory_map] = { CONTROL, ARG_IN(struct xen_foreign_memory_map, set_memory_map) },
    [XENMEM_maximum_gpfn] = { OWN_OR_CONTROL, ARG_IN(domid_t, maximum_gpfn, WITH_DOMAIN) },
    [XENMEM_get_sharing_freed_pages] = { ANYBODY, ARG_NONE(nothing_shared) },
    [XENMEM_get_sharing_shared_pages] = { ANYBODY, ARG_NONE(nothing_shared) },
    [XENMEM_claim_pages] = { CONTROL, ARG_IN(struct xen_memory_reservation, claim_pages) },
    [XENMEM_get_vnumainfo] = { OWN_OR_CONTROL, ARG_IN(domid_t, get_vnumainfo) },
    [XENMEM_acquire_resource] = { CONTROL, ARG_IN_OUT(struct xen_mem_acquire_resource, acquire_resource) },
};

/* start: extents that an earlier part of the call has done. */
static long call(const struct subop *row, void *arg, void *start)
{
    u64 *done = start;
    long rc = row->run(arg, done);

    if (row->how != ON_EXTENTS)
        return rc;
    if (rc != -ERESTART)
        return (long)*done;
    const u64 cmd = (u64)(row - rows) | *done << MEMOP_EXTENT_SHIFT;
    return hypercall_again(__HYPERVISOR_memory_op, &cmd, 1);
}

const struct subops memory_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_memory_op, .call = call };

long do_memory_op(u64 cmd, guest_ptr_t arg)
{
    u64 start = cmd >> MEMOP_EXTENT_SHIFT;

    return subop_dispatch(&memory_op_table, cmd & MEMOP_CMD_MASK, arg, &start);
}
