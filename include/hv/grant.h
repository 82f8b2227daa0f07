/* SPDX-License-Identifier: MIT */
/* Grant tables: set-up and sizes; frames are the hypervisor's, shown to the domain. */
#ifndef HV_GRANT_H
#define HV_GRANT_H

#include <hv/domain.h>

#define GRANT_MAX_FRAMES 64

int grant_init_domain(struct domain *d);            /* 0, -ENOMEM */
void grant_destroy(struct domain *d) __may_preempt; /* a dying domain's frames are no longer shown to it */
void grant_free_domain(struct domain *d);           /* no reference to the domain is left */

#endif
