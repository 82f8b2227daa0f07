/* SPDX-License-Identifier: MIT */
/* Grant tables: frames that domains let others use. Tables are the hypervisor's pages, shown to their domain. */
#pragma once

#include <hv/domain.h>

int grant_init_domain(struct domain *d) __must_check; /* 0, -ENOMEM */
/* A dying domain that has no page tables any more gives back what it has mapped of others. -ERESTART: to be called again. */
int grant_release_mappings(struct domain *d) __may_preempt __must_check;
void grant_destroy(struct domain *d) __may_preempt; /* a dying domain's frames are no longer shown to it */
void grant_mark_dirty(const struct domain *d);      /* frames of d's that others may be writing to: page_mark_dirty() */
/* The n-th frame of the domain's table, which grows for it. 0, -EINVAL: it may not have as many, or is dying; -ENOMEM. */
int grant_shared_frame(struct domain *d, u32 n, mfn_t *mfn) __must_check;
void grant_free_domain(struct domain *d); /* no reference to the domain is left */
