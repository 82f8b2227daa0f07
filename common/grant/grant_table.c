/* SPDX-License-Identifier: MIT */
/* Grant tables, version 1: the frames and their sizes, and the table of operations. Lock: grant_lock, for more frames. */
#include <hv/hypercall.h>
#include "grant.h"

static int grant_grow_table(struct domain *d, u32 frames)
{
    for (u32 n; (n = d->nr_grant_frames) < frames;) {
        u32 **pins = &d->grant_pins[n * REFS_PER_FRAME / PINS_PER_PAGE];

        if (!*pins)
            *pins = hv_alloc_page();
        d->grant_frames[n] = *pins ? hv_alloc_page() : NULL;
        if (!d->grant_frames[n])
            return -ENOMEM;
        domain_share_page(d, mfn_to_page(virt_to_mfn(d->grant_frames[n])), PGT_WRITABLE);
        __atomic_store_n(&d->nr_grant_frames, n + 1, __ATOMIC_RELEASE); /* last: grant_pin() takes no lock */
    }
    return 0;
}

int grant_init_domain(struct domain *d) { return grant_grow_table(d, MIN(1u, d->max_grant_frames)); }

int grant_shared_frame(struct domain *d, u32 n, mfn_t *mfn)
{
    spin_lock_scope(&d->grant_lock);
    int rc = n >= d->max_grant_frames || d->state >= DOMAIN_DYING ? -EINVAL : grant_grow_table(d, n + 1);
    if (!rc)
        *mfn = virt_to_mfn(d->grant_frames[index_nospec(n, GRANT_MAX_FRAMES)]);
    return rc;
}

void grant_destroy(struct domain *d)
{
    spin_lock(&d->grant_lock); /* from here on there are no more: see op_setup_table() */
    u32 n = d->nr_grant_frames;
    spin_unlock(&d->grant_lock);
    for (u32 i = 0; i < n; i++)
        page_put_and_type(mfn_to_page(virt_to_mfn(d->grant_frames[i])));
}

void grant_free_domain(struct domain *d)
{
    for (u32 i = 0; i < d->nr_grant_frames; i++)
        hv_free_page(d->grant_frames[i]);
    for (u32 i = 0; i < ARRAY_SIZE(d->grant_pins); i++)
        hv_free_page(d->grant_pins[i]);
    maptrack_free_all(d);
}

/* References 0 and 1 are the store's and the console's, whose daemons map the frames by their numbers. */
void grant_mark_dirty(const struct domain *d)
{
    for (u32 ref = 0; ref < d->nr_grant_frames * REFS_PER_FRAME; ref++) {
        u64 mfn = READ_ONCE(*entry_of(d, ref)) >> ENTRY_FRAME_SHIFT;

        if ((ref < 2 || (READ_ONCE(*pins_of(d, ref)) & PIN_WRITES)) && mfn_valid(mfn) && page_owned_by(mfn_to_page(mfn), d))
            page_mark_dirty(mfn_to_page(mfn));
    }
}

struct domain *grant_peer_find(struct grant_peer *p, domid_t id)
{
    grant_peer_done(p);
    *p = (struct grant_peer){ id, domain_by_id(id) };
    if (!p->d || READ_ONCE(p->d->state) < DOMAIN_DYING)
        return p->d;
    grant_peer_done(p);
    p->d = NULL;
    return NULL;
}

static int16_t named_domain(domid_t id, struct domain **d)
{
    int denied = domain_for_caller(id, d);

    return denied == -EPERM ? GNTST_permission_denied : denied ? GNTST_bad_domain : GNTST_okay;
}

static long op_setup_table(struct gnttab_setup_table *op)
{
    struct domain *d __held_domain = NULL;

    op->status = named_domain(op->dom, &d);
    if (!op->status && op->nr_frames > d->max_grant_frames)
        op->status = GNTST_general_error;
    if (op->status)
        return 0;
    spin_lock(&d->grant_lock);
    if (d->state >= DOMAIN_DYING || grant_grow_table(d, op->nr_frames))
        op->status = GNTST_general_error;
    spin_unlock(&d->grant_lock);
    for (u32 i = 0; !op->status && i < op->nr_frames; i++) {
        u64 mfn = virt_to_mfn(d->grant_frames[i]);

        if (copy_to_guest(guest_ptr_index(op->frame_list, i, sizeof(mfn)), &mfn, sizeof(mfn)))
            return -EFAULT;
    }
    return 0;
}

static long op_query_size(struct gnttab_query_size *op)
{
    struct domain *d __held_domain = NULL;

    op->status = named_domain(op->dom, &d);
    if (!op->status) {
        op->nr_frames = d->nr_grant_frames;
        op->max_nr_frames = d->max_grant_frames;
    }
    return 0;
}

static long op_set_version(const struct gnttab_set_version *op) { return op->version == 1 ? 0 : op->version == 2 ? -ENOSYS : -EINVAL; }

static long op_get_version(struct gnttab_get_version *op, __unused struct domain *d)
{
    op->version = 1;
    return 0;
}

static long op_swap(struct gnttab_swap_grant_ref *op)
{
    op->status = grant_swap(current->domain, op->ref_a, op->ref_b);
    return 0;
}

/* subop.how */
enum { EACH, ALL_AT_ONCE /* for anybody, and the handler goes through the list itself */ };
#define ARG_LIST(type, handler) SUBOP_RUN(handler, (struct grant_list *)NULL), .how = ALL_AT_ONCE

static const struct subop rows[] = {
    [GNTTABOP_map_grant_ref] = { ANYBODY, ARG_LIST(struct gnttab_map_grant_ref, grant_op_map) },
    [GNTTABOP_unmap_grant_ref] = { ANYBODY, ARG_LIST(struct gnttab_unmap_grant_ref, grant_op_unmap) },
    [GNTTABOP_setup_table] = { ANYBODY, ARG_IN_OUT(struct gnttab_setup_table, op_setup_table) },
    [GNTTABOP_copy] = { ANYBODY, ARG_LIST(struct gnttab_copy, grant_op_copy) },
    [GNTTABOP_query_size] = { ANYBODY, ARG_IN_OUT(struct gnttab_query_size, op_query_size) },
    [GNTTABOP_unmap_and_replace] = { ANYBODY, ARG_LIST(struct gnttab_unmap_and_replace, grant_op_unmap_and_replace) },
    [GNTTABOP_set_version] = { ANYBODY, ARG_IN_OUT(struct gnttab_set_version, op_set_version) },
    [GNTTABOP_get_version] = { OWN_OR_CONTROL, ARG_IN_OUT(struct gnttab_get_version, op_get_version, WITH_DOMAIN) },
    [GNTTABOP_swap_grant_ref] = { ANYBODY, ARG_IN_OUT(struct gnttab_swap_grant_ref, op_swap) },
};

const struct subops grant_table_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_grant_table_op };

static noinline long one_by_one(u32 cmd, struct grant_list *l)
{
    const struct subop *row;
    long rc = subop_find(&grant_table_op_table, cmd, &row);

    for (u32 i = 0; i < l->count && !rc; i++) {
        rc = subop_dispatch(&grant_table_op_table, cmd, guest_ptr_index(l->at, i, row->size), NULL);
        if (!rc)
            rc = grant_list_point(l, i + 1, row->size);
    }
    return rc;
}

static noinline long rest_again(u64 cmd, const struct grant_list *l)
{
    const u64 args[] = { cmd, l->at.va, l->count };

    return hypercall_again(__HYPERVISOR_grant_table_op, args, ARRAY_SIZE(args));
}

long do_grant_table_op(u64 cmd, guest_ptr_t list, u64 count)
{
    const struct subop *row = &rows[index_nospec((u32)cmd, ARRAY_SIZE(rows))];
    struct grant_list l = { list, (u32)count };

    if ((s32)count < 0)
        return -EINVAL;
    long rc = likely((u32)cmd < ARRAY_SIZE(rows) && row->how == ALL_AT_ONCE) ? row->run(&l, NULL) : one_by_one((u32)cmd, &l);
    return likely(rc != -ERESTART) ? rc : rest_again(cmd, &l);
}
