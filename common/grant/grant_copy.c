/* SPDX-License-Identifier: MIT */
/* Copies between frames of the caller's and granted ones, or between two granted ones. Each side is held, and pinned, for the copy alone. */
#include "grant.h"

struct side {
    const struct gnttab_copy_ptr *ptr;
    bool by_ref, write;
    struct domain *d;
    mfn_t mfn;
};

static int16_t side_get(struct side *s, struct grant_peer *peer)
{
    /* A frame by its number is the caller's alone. */
    if (!s->by_ref && s->ptr->domid != DOMID_SELF)
        return GNTST_permission_denied;
    s->d = s->ptr->domid == DOMID_SELF ? current->domain : grant_peer(peer, s->ptr->domid);
    if (!s->d)
        return GNTST_bad_domain;
    s->mfn = s->ptr->u.gmfn;
    int16_t status = s->by_ref ? grant_pin(s->d, s->ptr->u.ref, current->domain->id, s->write, &s->mfn) : GNTST_okay;

    if (status)
        return status;
    status = grant_frame_get(s->d, s->mfn, s->write);
    if (status && s->by_ref)
        grant_unpin(s->d, s->ptr->u.ref, s->write);
    return status;
}

static force_inline void side_put(const struct side *s)
{
    grant_frame_put(s->mfn, s->write);
    if (s->by_ref)
        grant_unpin(s->d, s->ptr->u.ref, s->write);
}

static force_inline int16_t copy_one(const struct gnttab_copy *op, struct grant_peer *source, struct grant_peer *dest)
{
    struct side from = { .ptr = &op->source, .by_ref = op->flags & GNTCOPY_source_gref };
    struct side to = { .ptr = &op->dest, .by_ref = op->flags & GNTCOPY_dest_gref, .write = true };

    if ((u32)op->source.offset + op->len > PAGE_SIZE || (u32)op->dest.offset + op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    int16_t status = side_get(&from, source);

    if (status)
        return status;
    status = side_get(&to, dest);
    if (!status) {
        memmove((u8 *)mfn_to_virt(to.mfn) + op->dest.offset, (u8 *)mfn_to_virt(from.mfn) + op->source.offset, op->len);
        side_put(&to);
    }
    side_put(&from);
    return status;
}

long grant_op_copy(struct grant_list *list)
{
    struct grant_peer from __held_peer = GRANT_PEER_SELF, to __held_peer = GRANT_PEER_SELF;
    long rc = 0;

    for (u32 i = 0; i < list->count && !rc; i++) {
        guest_ptr_t at = guest_ptr_index(list->at, i, sizeof(struct gnttab_copy));
        struct gnttab_copy op;

        if (copy_from_guest(&op, at, sizeof(op)))
            return -EFAULT;
        op.status = copy_one(&op, &from, &to);
        if (copy_to_guest(guest_ptr_add(at, offsetof(struct gnttab_copy, len)), &op.len, 8))
            return -EFAULT;
        if ((i & 7) == 7)
            rc = grant_list_point(list, i + 1, sizeof(op));
    }
    return rc;
}
