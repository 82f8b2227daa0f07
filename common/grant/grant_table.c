/* SPDX-License-Identifier: MIT */
/* Grant tables, version 1: the frames and their sizes. Lock: grant_lock. */
#include <hv/grant.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/softirq.h>
#include <hv/x86/page_type.h>
#include <public/grant_table.h>

static int grant_grow_table(struct domain *d, u32 frames)
{
    while (d->nr_grant_frames < frames) {
        void *page = hv_alloc_page();

        if (!page)
            return -ENOMEM;
        domain_share_page(d, mfn_to_page(virt_to_mfn(page)), PGT_WRITABLE);
        d->grant_frames[d->nr_grant_frames++] = page;
    }
    return 0;
}

int grant_init_domain(struct domain *d)
{
    d->grant_version = 1;
    return grant_grow_table(d, MIN(1u, d->max_grant_frames));
}

void grant_destroy(struct domain *d)
{
    u32 n;

    spin_lock(&d->grant_lock); /* from here on there are no more: see op_setup_table() */
    n = d->nr_grant_frames;
    spin_unlock(&d->grant_lock);
    for (u32 i = 0; i < n; i++)
        page_put_and_type(mfn_to_page(virt_to_mfn(d->grant_frames[i])));
}

void grant_free_domain(struct domain *d)
{
    for (u32 i = 0; i < d->nr_grant_frames; i++)
        hv_free_page(d->grant_frames[i]);
}

static int16_t named_domain(domid_t id, struct domain **d)
{
    int denied = domain_for_caller(id, d);

    return denied == -EPERM ? GNTST_permission_denied : denied ? GNTST_bad_domain : GNTST_okay;
}

static long op_setup_table(void *arg)
{
    struct gnttab_setup_table *op = arg;
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

static long op_query_size(void *arg)
{
    struct gnttab_query_size *op = arg;
    struct domain *d __held_domain = NULL;

    op->status = named_domain(op->dom, &d);
    if (!op->status) {
        op->nr_frames = d->nr_grant_frames;
        op->max_nr_frames = d->max_grant_frames;
    }
    return 0;
}

static long op_set_version(void *arg)
{
    const struct gnttab_set_version *op = arg;

    return op->version == 1 ? 0 : op->version == 2 ? -ENOSYS : -EINVAL;
}

static long op_get_version(void *arg)
{
    struct gnttab_get_version *op = arg;
    struct domain *d __held_domain = NULL;
    long denied = domain_for_caller(op->dom, &d);

    if (denied)
        return denied;
    op->version = d->grant_version;
    return 0;
}

static const struct subop rows[] = {
    [GNTTABOP_setup_table] = { ANYBODY, ARG_IN_OUT(struct gnttab_setup_table), .run = op_setup_table },
    [GNTTABOP_query_size] = { ANYBODY, ARG_IN_OUT(struct gnttab_query_size), .run = op_query_size },
    [GNTTABOP_set_version] = { ANYBODY, ARG_IN_OUT(struct gnttab_set_version), .run = op_set_version },
    [GNTTABOP_get_version] = { ANYBODY, ARG_IN_OUT(struct gnttab_get_version), .run = op_get_version },
};

const struct subops grant_table_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_grant_table_op };

long do_grant_table_op(u64 cmd, guest_ptr_t list, u64 count)
{
    const struct subop *row;

    if ((s32)count < 0)
        return -EINVAL;
    long rc = subop_find(&grant_table_op_table, (u32)cmd, &row);

    for (u64 i = 0; i < (u32)count && !rc; i++) {
        rc = subop_dispatch(&grant_table_op_table, (u32)cmd, guest_ptr_index(list, i, row->size), NULL);
        preempt_point();
    }
    return rc;
}
