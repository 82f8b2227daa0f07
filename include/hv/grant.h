/* SPDX-License-Identifier: MIT */
/* Grant tables: frames that domains let others use. Tables are the hypervisor's pages, shown to their domain. */
#ifndef HV_GRANT_H
#define HV_GRANT_H

#include <hv/domain.h>

int grant_init_domain(struct domain *d) __must_check; /* 0, -ENOMEM */
/* A dying domain that has no page tables any more gives back what it has mapped of others. -ERESTART: to be called again. */
int grant_release_mappings(struct domain *d) __may_preempt __must_check;
void grant_destroy(struct domain *d) __may_preempt; /* a dying domain's frames are no longer shown to it */
void grant_free_domain(struct domain *d);           /* no reference to the domain is left */

#endif
