/* The operations of domctl that have files of their own. Each may act on any domain, its caller's too. */
#ifndef CONTROL_DOMCTL_H
#define CONTROL_DOMCTL_H

#include <hv/domain.h>
#include <public/domctl.h>

long domctl_set_affinity(struct domain *d, struct xen_domctl *op);
long domctl_get_affinity(struct domain *d, struct xen_domctl *op);
long domctl_scheduler_op(struct domain *d, struct xen_domctl *op);

#endif
