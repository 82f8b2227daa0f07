/* SPDX-License-Identifier: MIT */
/* memory_op, exchange: a domain's frames against others of a wanted shape. */
#include "memory_op.h"

#include <hv/x86/page_table.h>

struct exchange {
    struct xen_memory_exchange op;
    struct domain *d;
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

    if (in->extent_order > memory_max_order() || out->extent_order > memory_max_order())
        return -EPERM;
    if (in->domid != out->domid || in->nr_extents > ~0ULL >> in->extent_order || out->nr_extents > ~0ULL >> out->extent_order ||
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

    for (; i < 1ULL << x->chunk_order && frame_claim(x->d, chunk_frame(x, i)); i++)
        frame_done(i);
    return i;
}

/*
 * The claimed frame is its owner's again.
 *
 *   CPU A (here):             makes the claim the owner's reference, with one of its own; reads the state
 *   CPU B (domain_kill()):    sets DOMAIN_DYING; takes the owner's reference of every frame away (page_disown())
 *
 * A sees that the domain is dying, or B sees the owner's reference. Otherwise it would stay, and the domain with it.
 */
static void frame_unclaim(const struct domain *d, struct page_info *pg)
{
    __atomic_fetch_add(&pg->ref_info, PGR_ALLOCATED + 1, __ATOMIC_SEQ_CST);
    if (unlikely(READ_ONCE(d->state) >= DOMAIN_DYING))
        page_disown(pg);
    page_put(pg);
}

static void exchange_unclaim(const struct exchange *x, u64 n)
{
    for (u64 i = 0; i < n; i++) {
        frame_unclaim(x->d, mfn_to_page(chunk_frame(x, i)));
        frame_done(i);
    }
}

static struct page_info *fresh_frames(const struct exchange *x, u64 chunk, long *rc)
{
    const struct xen_memory_reservation *out = &x->op.out;
    struct page_info *fresh = memory_alloc(x->d, x->chunk_order, out->mem_flags);
    u64 gpfn;

    *rc = fresh ? 0 : -ENOMEM;
    for (u64 i = 0; i < x->out_per_chunk && !*rc; i++) {
        guest_ptr_t slot = guest_ptr_index(out->extent_start, chunk * x->out_per_chunk + i, 8);

        *rc = copy_from_guest(&gpfn, slot, 8) || copy_to_guest(slot, &gpfn, 8) ? -EFAULT : 0; /* it will take the answer, too */
    }
    if (!*rc || !fresh)
        return fresh;
    page_free_range(page_to_mfn(fresh), 1ULL << x->chunk_order);
    return NULL;
}

static long exchange_chunk(struct exchange *x, u64 chunk)
{
    struct xen_memory_reservation *in = &x->op.in, *out = &x->op.out;
    u64 gpfn, mfn, nr = 1ULL << x->chunk_order, had = READ_ONCE(x->d->tot_pages);
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
        if (memory_give(x->d, mfn_to_page(mfn), out->extent_order, gpfn, had) && copy_to_guest(slot, &mfn, 8))
            domain_crash(current->domain, "memory_exchange: the result array went away during the call");
    }
    return 0;
}

/* Chunks from op.nr_exchanged on, which it moves. -ERESTART: an event of the caller's waits. */
static long exchange_chunks(struct exchange *x)
{
    u64 chunks = x->op.in.nr_extents / x->in_per_chunk, chunk = x->op.nr_exchanged / x->in_per_chunk;
    long rc = 0;

    x->frames = hv_alloc(x->in_per_chunk * sizeof(mfn_t));
    if (!x->frames)
        return -ENOMEM;
    while (chunk < chunks && !rc) {
        rc = exchange_chunk(x, chunk);
        chunk += !rc;
        rc = rc ? rc : domain_work_point();
    }
    hv_free(x->frames);
    x->op.nr_exchanged = chunk * x->in_per_chunk;
    return rc;
}

static long exchange_for(struct exchange *x)
{
    struct domain *d __held_domain = NULL;
    long rc = exchange_check(&x->op) ?: domain_for_caller(x->op.in.domid, &d);

    if (rc)
        return rc;
    x->d = d;
    x->chunk_order = MAX(x->op.in.extent_order, x->op.out.extent_order);
    x->in_per_chunk = 1ULL << (x->chunk_order - x->op.in.extent_order);
    x->out_per_chunk = 1ULL << (x->chunk_order - x->op.out.extent_order);
    return exchange_chunks(x);
}

long memory_exchange(const guest_ptr_t *at)
{
    struct exchange x;

    if (copy_from_guest(&x.op, *at, sizeof(x.op)))
        return -EFAULT;
    long rc = exchange_for(&x);

    /* Chunks that are done are told of errors, too. */
    if (copy_to_guest(guest_ptr_add(*at, offsetof(struct xen_memory_exchange, nr_exchanged)), &x.op.nr_exchanged,
                      sizeof(x.op.nr_exchanged)))
        return -EFAULT;
    return rc == -ERESTART ? hypercall_again(__HYPERVISOR_memory_op, NULL, 0) : rc;
}
